"""Invert Identity."""

import logging
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import comfy.model_management as memory
import comfy.utils
import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from PIL import Image

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.identity_format import save_identity
from ..styleswap_core.io.images import bchw_to_bhwc, from_uint8, to_uint8
from .analysis import open_analysis
from .folders import identity_folder
from .host import check_interrupted, result_device, show_text
from .identity_names import check_filename, prepare_file
from .loaded_generator import LoadedGenerator
from .loaded_guest import LoadedModel
from .sockets import Identity, Model, face_analysis_input, make_schema
from .values import image_arrays

if TYPE_CHECKING:
    from ..styleswap_core.faces.detected import FaceAnalyzer
    from ..styleswap_core.inversion import Inversion, InversionSettings, InvertibleNetwork, Progress


class InvertIdentity(io.ComfyNode):
    """Optimizes the identity of one person for one model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_InvertIdentity",
            display_name="Invert Identity",
            category="StyleSwap/identity",
            description="Optimizes a person's identity for one model: half a minute, once, for a better likeness in"
            " every later swap. Steps alternate between reconstructing the source images and swapping onto other"
            " faces. The result is used like any identity, but only with this model.",
            # Its preview is shown again if the result comes from the cache.
            has_intermediate_output=True,
            search_aliases=["inversion", "optimize identity", "better likeness", "w+"],
            inputs=[
                Model.Input("model", tooltip="From Load StyleSwap Model; the result works with this model only."),
                face_analysis_input(),
                io.Image.Input(
                    "source", tooltip="One or more images of one person; the largest face of each image is used."
                ),
                *_optimization_inputs(),
                io.Image.Input(
                    "guides",
                    optional=True,
                    tooltip="Images of other people to swap onto during the optimization, for example frames of the"
                    " target video. Without any, rendered faces are used.",
                ),
            ],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face and Save Identity."),
                io.Image.Output("curve", display_name="curve", tooltip="Likeness on held-out guides over the steps."),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="Likeness before and after, and how the optimization ended.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename: str | None = None) -> bool | str:
        """True, or a message about an invalid file name."""
        return check_filename(filename)

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        face_analysis: object,
        source: torch.Tensor,
        steps: int,
        trust: float,
        seed: int,
        low_memory: bool,
        keep_on_cancel: bool,
        filename: str,
        guides: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Invert the person in `source`; `source` and `guides` are (B, H, W, 3 or 4).

        Returns:
            The identity with `w_plus`, the curve (1, h, w, 3), and a report.

        Raises:
            StyleSwapError: As for `inversion.invert`, or not enough memory.
            InterruptProcessingException: Canceled; raised after the best result has been saved if `keep_on_cancel`.
        """
        # Imported here, because the pack must also load without the packages that the inversion needs.
        with open_analysis(face_analysis) as analyzer:
            from ..styleswap_core.inversion import InversionSettings
            from ..styleswap_core.inversion.curve import curve_picture

            settings = InversionSettings(steps=steps, trust=trust, seed=seed, low_memory=low_memory)
            display = _Display(steps)
            inversion = _invert(
                model, analyzer, list(image_arrays(source)), list(image_arrays(guides)), settings, display
            )
        if inversion.canceled:
            if keep_on_cancel:
                _save_canceled(inversion, filename)
            _stop()
        display.show_result(inversion.outcome.pictures)
        outcome, notes = inversion.outcome, [f"note: {note}" for note in inversion.notes()]
        report = "\n".join([*inversion.summary(), *notes])
        # The node has room for a line or two only.
        gain = f"likeness {outcome.likeness_before:.3f} -> {outcome.likeness:.3f}, {outcome.steps_done} steps"
        show_text("\n".join([gain, *notes]))
        curve = bchw_to_bhwc(from_uint8(curve_picture(outcome))).to(result_device())
        # Progress previews disappear when the run ends; this one stays, and is part of the history.
        shown = bchw_to_bhwc(_strip(outcome.pictures).cpu())
        return io.NodeOutput(inversion.identity, curve, report, ui=ui.PreviewImage(shown, cls=cls))


def _optimization_inputs() -> list[io.Input]:
    """How long and how freely the identity is optimized, and what happens if that is canceled."""
    return [
        io.Int.Input(
            "steps",
            default=60,
            min=0,
            max=2000,
            tooltip="Maximum number of steps; stops early when the likeness on held-out guides no longer"
            " improves. 0 returns the plain identity as the model maps it.",
        ),
        io.Float.Input(
            "trust",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="Strength of the trust region. 1: stay at the plain identity. 0: unconstrained. Lower"
            " values allow a better likeness at the cost of pose and expression.",
        ),
        # The frontend randomizes a widget of this name after each run unless this is turned off.
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**53 - 1,
            control_after_generate=False,
            tooltip="The same seed gives the same identity.",
        ),
        io.Boolean.Input(
            "low_memory",
            default=False,
            tooltip="Processes one face at a time and recomputes activations: slower, but with a fraction of"
            " the memory. Used automatically if memory runs out.",
        ),
        io.Boolean.Input(
            "keep_on_cancel",
            default=True,
            tooltip="When canceled, saves the best result so far as an identity named filename.",
        ),
        io.String.Input("filename", default="inversion", tooltip="For keep_on_cancel: file name without suffix."),
    ]


def _invert(
    model: LoadedModel,
    analyzer: "FaceAnalyzer",
    sources: list[np.ndarray],
    guides: list[np.ndarray],
    settings: "InversionSettings",
    display: "_Display",
) -> "Inversion":
    """Invert on ComfyUI's device; if memory runs out, start again with `low_memory`.

    Raises:
        StyleSwapError: There is not enough memory even for that.
    """
    if not settings.low_memory:
        try:
            return _attempt(model, analyzer, sources, guides, settings, display)
        except memory.OOM_EXCEPTION:
            logging.info(
                "StyleSwap: not enough memory to invert %d faces at once; starting again face by face",
                settings.guide_batch,
            )
        # Outside the handler, which would keep the tensors of the failed run alive.
        memory.soft_empty_cache()
        settings = replace(settings, low_memory=True)
    try:
        return _attempt(model, analyzer, sources, guides, settings, display)
    except memory.OOM_EXCEPTION as error:
        raise StyleSwapError(
            f"not enough memory on {memory.get_torch_device()} to invert an identity at {model.size} px; close"
            " other programs, or start ComfyUI with --lowvram or --cpu"
        ) from error


def _attempt(
    model: LoadedModel,
    analyzer: "FaceAnalyzer",
    sources: list[np.ndarray],
    guides: list[np.ndarray],
    settings: "InversionSettings",
    display: "_Display",
) -> "Inversion":
    from ..styleswap_core.inversion import Callbacks, Canceled, bytes_needed, invert

    device = memory.get_torch_device()
    # ComfyUI runs nodes in inference mode, and tensors created there can never require gradients: copy the networks.
    with torch.inference_mode(False):
        network, module = _invertible(model)
        recognizer = analyzer.torch_recognizer()
        patchers = [ModelPatcher(part, device, memory.unet_offload_device()) for part in (module, recognizer)]
        memory.load_models_gpu(patchers, force_full_load=True)
        needed = bytes_needed(network, recognizer, settings, len(sources), len(guides))
        memory.load_models_gpu(patchers, memory_required=needed, force_full_load=True)
        try:
            return invert(
                network,
                analyzer,
                sources,
                guides,
                settings=settings,
                callbacks=Callbacks(display.show, display.canceled),
                recognizer=recognizer,
            )
        except Canceled:
            _stop()


def _invertible(model: LoadedModel) -> "tuple[InvertibleNetwork, torch.nn.Module]":
    """A copy of a model for an inversion, and the module that holds its weights, on the CPU."""
    from ..styleswap_core.inversion import InvertibleGenerator, InvertibleGuest

    if isinstance(model, LoadedGenerator):
        generator = deepcopy(model.patcher.model)
        return InvertibleGenerator(generator, model.sha256), generator
    guest = InvertibleGuest(model.network, torch.device("cpu"))
    return guest, guest.graph


def _stop() -> NoReturn:
    """End the run as canceled, even if ComfyUI's progress bar has already cleared the interrupt flag."""
    check_interrupted()
    raise memory.InterruptProcessingException


class _Display:
    """Progress bar, remaining time, and a preview of source, reconstruction and swap side by side."""

    def __init__(self, steps: int) -> None:
        self.steps = max(steps, 1)
        self.bar = comfy.utils.ProgressBar(self.steps)
        self.interrupted = False

    def show(self, progress: "Progress") -> None:
        """Show the state after a step; text and preview change only when there are new images."""
        if progress.pictures is not None:
            show_text(
                f"step {progress.step} of {progress.steps}, likeness {progress.likeness:.3f}, at most"
                f" {progress.seconds_left:.0f} s left"
            )
        self._move(progress.step, progress.pictures)

    def show_result(self, pictures: tuple[torch.Tensor, ...]) -> None:
        """Show the best state, which is not necessarily that of the last step."""
        self._move(self.steps, pictures)

    def canceled(self) -> bool:
        """Whether the user has canceled."""
        return self.interrupted or memory.processing_interrupted()

    def _move(self, step: int, pictures: tuple[torch.Tensor, ...] | None) -> None:
        preview = None
        if pictures:
            preview = ("JPEG", Image.fromarray(to_uint8(_strip(pictures))[0]), None)
        try:
            self.bar.update_absolute(step, self.steps, preview)
        except memory.InterruptProcessingException:
            # ComfyUI's progress bar checks for cancellation; the inversion must end first, so that its result is kept.
            self.interrupted = True


def _strip(pictures: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """N images (3, S, S) side by side, (1, 3, S, N * S)."""
    return torch.cat(pictures, dim=2)[None]


def _save_canceled(inversion: "Inversion", filename: str) -> None:
    """Save the result of a canceled inversion, and say where."""
    folder = identity_folder()
    path = prepare_file(folder, filename)
    save_identity(folder / path, inversion.identity)
    message = (
        f"canceled after {inversion.outcome.steps_done} steps; the best result so far is saved as {path.as_posix()},"
        " for Load Identity"
    )
    logging.info("StyleSwap: %s", message)
    show_text(message)
