"""Invert Identity."""

import logging
from copy import deepcopy

import comfy.model_management as memory
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..styleswap_core.identity import save_identity
from ..styleswap_core.images import bchw_to_bhwc, from_uint8
from ..styleswap_core.inversion.settings import MAX_STEPS, InversionSettings
from .analysis import open_analysis
from .folders import identity_folder
from .generator import LoadedGenerator
from .host import check_interrupted, result_device, show_text, step_progress
from .identity_files import free_name, relative_name
from .reports import describe_inversion
from .sockets import Identity, Model, face_analysis_input, make_schema
from .values import picture_arrays

_DEFAULTS = InversionSettings()


class InvertIdentity(io.ComfyNode):
    """Optimises one person's identity for one model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return make_schema(
            node_id="StyleSwap_InvertIdentity",
            display_name="Invert Identity",
            category="StyleSwap/identity",
            description="Takes half a minute once, for a better likeness in every later swap: optimises the identity of the"
            " person in the source pictures for this model, by reconstructing them and by swapping onto other faces in turn."
            " The result goes wherever an identity goes, with this model alone.",
            search_aliases=["inversion", "optimize identity", "better likeness", "w+"],
            inputs=[
                Model.Input("model", tooltip="From Load StyleSwap Model; the result fits this model alone"),
                face_analysis_input(),
                io.Image.Input("source", tooltip="One or several pictures of one person; the largest face of each counts"),
                io.Int.Input("steps", default=_DEFAULTS.steps, min=0, max=MAX_STEPS,
                             tooltip="At most so many; it stops by itself when the likeness on held-out guides grows no more."
                             " 0 gives the identity as the model maps it"),
                io.Float.Input("trust", default=_DEFAULTS.trust, min=0.0, max=1.0, step=0.05,
                               tooltip="Strength of the trust region. 1: stay with the plain identity. 0: unbound. Lower it for"
                               " more likeness, at the cost of pose and expression"),
                io.Int.Input("seed", default=0, min=0, max=2**53 - 1, control_after_generate=False,
                             tooltip="The same seed gives the same identity"),
                io.Boolean.Input("low_memory", default=False,
                                 tooltip="One face at a time, and parts computed twice: slower, for a fraction of the memory."
                                 " Done by itself where memory does not suffice"),
                io.Boolean.Input("keep_on_cancel", default=True,
                                 tooltip="On cancelling, save what was found so far among the identities, under the name below"),
                io.String.Input("filename", default="inversion", tooltip="For keep_on_cancel: name without suffix"),
                io.Image.Input("guides", optional=True,
                               tooltip="Other people's pictures to swap onto meanwhile, such as some frames of the video to come;"
                               " without any, rendered faces serve"),
            ],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face and Save Identity"),
                io.Image.Output("curve", display_name="curve", tooltip="Likeness on held-out guides over the steps"),
                io.String.Output("report", display_name="report", tooltip="What was gained, and how far it went"),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename: str) -> bool | str:
        try:
            return True if filename is None else bool(relative_name(filename))
        except ValueError as error:
            return str(error)

    @classmethod
    def execute(
        cls, model: LoadedGenerator, face_analysis: object, source: torch.Tensor, steps: int, trust: float, seed: int,
        low_memory: bool, keep_on_cancel: bool, filename: str, guides: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        from ..styleswap_core.inversion.curve import curve_picture

        settings = InversionSettings(steps=steps, trust=trust, seed=seed, low_memory=low_memory)
        with open_analysis(face_analysis) as analyzer:
            inversion = _invert(model, analyzer, list(picture_arrays(source)), list(picture_arrays(guides)), settings)
        if inversion.cancelled:
            if keep_on_cancel:
                _keep(inversion.identity, filename, inversion.outcome.steps_done)
            check_interrupted()
        report = describe_inversion(inversion)
        show_text(report)
        curve = bchw_to_bhwc(from_uint8(curve_picture(inversion.outcome))).to(result_device())
        return io.NodeOutput(inversion.identity, curve, report)


def _invert(model: LoadedGenerator, analyzer, sources: list, guides: list, settings: InversionSettings):
    """Invert on ComfyUI's device; where memory does not suffice, once more with little of it."""
    from dataclasses import replace

    from ..styleswap_core.inversion import Callbacks, Cancelled, invert

    callbacks = Callbacks(step_progress(settings.steps), memory.processing_interrupted)
    # ComfyUI runs nodes in inference mode, in which nothing has a gradient; tensors made there never get one, so the
    # networks are copied.
    with torch.inference_mode(False):
        generator, recognizer = deepcopy(model.patcher.model), analyzer.torch_recognizer()
        patchers = [ModelPatcher(network, memory.get_torch_device(), memory.unet_offload_device())
                    for network in (generator, recognizer)]
        for attempt in (settings, replace(settings, low_memory=True)):
            memory.load_models_gpu(patchers, memory_required=model.bytes_to_train(attempt), force_full_load=True)
            try:
                return invert(generator, analyzer, sources, guides, generator_sha256=model.sha256, settings=attempt,
                              callbacks=callbacks, recognizer=recognizer)
            except Cancelled:
                check_interrupted()
                raise
            except memory.OOM_EXCEPTION:
                if attempt.low_memory:
                    raise
            # Outside of the handler, which would keep the failed run's tensors alive.
            memory.soft_empty_cache()
    raise AssertionError("the second attempt returns or raises")


def _keep(identity, filename: str, steps: int) -> None:
    """Save what a cancelled inversion had found, and say where."""
    folder = identity_folder()
    name = free_name(folder, relative_name(filename), "add a number")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    save_identity(folder / name, identity)
    message = f"cancelled after {steps} steps; what was found by then is saved as {name.as_posix()}, for Load Identity"
    logging.info("StyleSwap: %s", message)
    show_text(message)
