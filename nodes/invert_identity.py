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
from .identity_files import prepare_file, relative_name
from .loaded_generator import LoadedGenerator
from .sockets import Identity, Model, face_analysis_input, make_schema
from .values import picture_arrays

if TYPE_CHECKING:
    from ..styleswap_core.faces.analysis import InsightFaceAnalyzer
    from ..styleswap_core.inversion import Inversion, InversionSettings, Progress


class InvertIdentity(io.ComfyNode):
    """Optimizes one person's identity for one model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_InvertIdentity",
            display_name="Invert Identity",
            category="StyleSwap/identity",
            description="Takes half a minute once, for a better likeness in every later swap: optimizes the identity of the"
            " person in the source pictures for this model, by reconstructing them and by swapping onto other faces in turn."
            " The result goes wherever an identity goes, with this model alone.",
            search_aliases=["inversion", "optimize identity", "better likeness", "w+"],
            inputs=[
                Model.Input("model", tooltip="From Load StyleSwap Model; the result fits this model alone"),
                face_analysis_input(),
                io.Image.Input(
                    "source", tooltip="One or several pictures of one person; the largest face of each counts"
                ),
                io.Int.Input(
                    "steps",
                    default=60,
                    min=0,
                    max=2000,
                    tooltip="At most so many; it stops by itself when the likeness on held-out guides grows no more."
                    " 0 gives the identity as the model maps it",
                ),
                io.Float.Input(
                    "trust",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Strength of the trust region. 1: stay with the plain identity. 0: unbound. Lower it for"
                    " more likeness, at the cost of pose and expression",
                ),
                # Not a random number that changes after each run: the frontend would do so to a widget of this name.
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    control_after_generate=False,
                    tooltip="The same seed gives the same identity",
                ),
                io.Boolean.Input(
                    "low_memory",
                    default=False,
                    tooltip="One face at a time, and parts computed twice: slower, for a fraction of the memory."
                    " Done by itself where memory does not suffice",
                ),
                io.Boolean.Input(
                    "keep_on_cancel",
                    default=True,
                    tooltip="On canceling, save what was found so far among the identities, under the name below",
                ),
                io.String.Input("filename", default="inversion", tooltip="For keep_on_cancel: name without suffix"),
                io.Image.Input(
                    "guides",
                    optional=True,
                    tooltip="Other people's pictures to swap onto meanwhile, such as some frames of the video to come;"
                    " without any, rendered faces serve",
                ),
            ],
            outputs=[
                Identity.Output("identity", display_name="identity", tooltip="For Swap Face and Save Identity"),
                io.Image.Output("curve", display_name="curve", tooltip="Likeness on held-out guides over the steps"),
                io.String.Output("report", display_name="report", tooltip="What was gained, and how far it went"),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename: str) -> bool | str:
        """True, or a sentence about a file name that leads out of the folder of identities."""
        try:
            return True if filename is None else bool(relative_name(filename))
        except StyleSwapError as error:
            return str(error)

    @classmethod
    def execute(
        cls,
        model: LoadedGenerator,
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
        """Source and guides (B, H, W, 3 or 4) -> the identity with `w_plus`, the curve (1, h, w, 3), and a report.

        Raises:
            StyleSwapError: see `inversion.invert`, or not memory enough.
            InterruptProcessingException: canceled, after what was found is saved.
        """
        # Not at the top: finding faces needs packages that ComfyUI does not bring, and the pack loads without them.
        with open_analysis(face_analysis) as analyzer:
            from ..styleswap_core.inversion import InversionSettings
            from ..styleswap_core.inversion.curve import curve_picture

            settings = InversionSettings(steps=steps, trust=trust, seed=seed, low_memory=low_memory)
            pictures = list(picture_arrays(source)), list(picture_arrays(guides))
            display = _Display(steps)
            inversion = _invert(model, analyzer, *pictures, settings, display)
        if inversion.canceled:
            if keep_on_cancel:
                _keep(inversion, filename)
            _stop()
        display.show_result(inversion.outcome.pictures)
        outcome, notes = inversion.outcome, [f"note: {note}" for note in inversion.notes()]
        report = "\n".join([*inversion.summary(), *notes])
        # The node has room for a line or two.
        gain = f"likeness {outcome.likeness_before:.3f} -> {outcome.likeness:.3f}, {outcome.steps_done} steps"
        show_text("\n".join([gain, *notes]))
        curve = bchw_to_bhwc(from_uint8(curve_picture(outcome))).to(result_device())
        # What the node showed last goes with the run's end; this stays, and comes back with the workflow's history.
        shown = bchw_to_bhwc(_strip(outcome.pictures).cpu())
        return io.NodeOutput(inversion.identity, curve, report, ui=ui.PreviewImage(shown, cls=cls))


def _invert(
    model: LoadedGenerator,
    analyzer: "InsightFaceAnalyzer",
    sources: list[np.ndarray],
    guides: list[np.ndarray],
    settings: "InversionSettings",
    display: "_Display",
) -> "Inversion":
    """Invert on ComfyUI's device; where memory does not suffice, once more with little of it.

    Raises:
        StyleSwapError: not even that little memory is there.
    """
    if settings.low_memory:
        return _attempt(model, analyzer, sources, guides, settings, display)
    try:
        return _attempt(model, analyzer, sources, guides, settings, display)
    except memory.OOM_EXCEPTION:
        logging.info(
            "StyleSwap: not memory enough to invert %d faces at once; going on face by face", settings.guide_batch
        )
    # Outside of the handler, which would keep the failed run's tensors alive.
    memory.soft_empty_cache()
    try:
        return _attempt(model, analyzer, sources, guides, replace(settings, low_memory=True), display)
    except memory.OOM_EXCEPTION as error:
        raise StyleSwapError(
            f"not memory enough on {memory.get_torch_device()} to invert an identity at {model.config.size} px; close other"
            " programs, or start ComfyUI with --lowvram or --cpu"
        ) from error


def _attempt(
    model: LoadedGenerator,
    analyzer: "InsightFaceAnalyzer",
    sources: list[np.ndarray],
    guides: list[np.ndarray],
    settings: "InversionSettings",
    display: "_Display",
) -> "Inversion":
    from ..styleswap_core.inversion import Callbacks, Canceled, bytes_needed, invert

    device = memory.get_torch_device()
    # ComfyUI runs nodes in inference mode. What is made in it never gets gradients, so the networks are made again.
    with torch.inference_mode(False):
        networks = deepcopy(model.patcher.model), analyzer.torch_recognizer()
        patchers = [ModelPatcher(network, device, memory.unet_offload_device()) for network in networks]
        needed = bytes_needed(*networks, settings, len(sources), len(guides), device)
        memory.load_models_gpu(patchers, memory_required=needed, force_full_load=True)
        try:
            return invert(
                networks[0],
                analyzer,
                sources,
                guides,
                generator_sha256=model.sha256,
                settings=settings,
                callbacks=Callbacks(display.show, display.canceled),
                recognizer=networks[1],
            )
        except Canceled:
            _stop()


def _stop() -> NoReturn:
    """End the run as ComfyUI ends a canceled one, whether or not its bar has taken the user's wish down already."""
    check_interrupted()
    raise memory.InterruptProcessingException


class _Display:
    """Moves the node's bar, says how long it will take, and shows source, reconstruction and a swap side by side."""

    def __init__(self, steps: int) -> None:
        self.steps = max(steps, 1)
        self.bar = comfy.utils.ProgressBar(self.steps)
        self.interrupted = False

    def show(self, progress: "Progress") -> None:
        """After a step: move the bar, and say how it goes where there are new pictures."""
        if progress.pictures is not None:
            show_text(
                f"step {progress.step} of {progress.steps}, likeness {progress.likeness:.3f}, at most"
                f" {progress.seconds_left:.0f} s to go"
            )
        self._move(progress.step, progress.pictures)

    def show_result(self, pictures: tuple[torch.Tensor, ...]) -> None:
        """The best state, which the last step need not be."""
        self._move(self.steps, pictures)

    def canceled(self) -> bool:
        """Whether the user wants the run to end."""
        return self.interrupted or memory.processing_interrupted()

    def _move(self, step: int, pictures: tuple[torch.Tensor, ...] | None) -> None:
        preview = None
        if pictures:
            preview = ("JPEG", Image.fromarray(to_uint8(_strip(pictures))[0]), None)
        try:
            self.bar.update_absolute(step, self.steps, preview)
        except memory.InterruptProcessingException:
            # ComfyUI's bar looks for canceling by itself. What was found is kept first, and then the run ends.
            self.interrupted = True


def _strip(pictures: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """(3, S, S) each -> one picture (1, 3, S, n S), side by side."""
    return torch.cat(pictures, dim=2)[None]


def _keep(inversion: "Inversion", filename: str) -> None:
    """Save what a canceled inversion had found, and say where."""
    folder = identity_folder()
    name = prepare_file(folder, filename)
    save_identity(folder / name, inversion.identity)
    message = (
        f"canceled after {inversion.outcome.steps_done} steps; what was found by then is saved as"
        f" {name.as_posix()}, for Load Identity"
    )
    logging.info("StyleSwap: %s", message)
    show_text(message)
