"""Load StyleSwap Model, Load Face Analysis."""

from collections.abc import Callable
from pathlib import Path

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.opencv_zoo import ZOO_LICENSE
from ..styleswap_core.faces.pack_licenses import INSIGHTFACE_TERMS
from ..styleswap_core.swappers.guest_families import FAMILY_NAMES
from ..styleswap_core.swappers.guest_files import SUFFIXES as GUEST_SUFFIXES
from ..styleswap_core.swappers.guest_files import read_guest
from .analysis import PROVIDERS, LoadedAnalysis
from .folders import DEMO, file_state, generator_names, generator_path, guest_folders, pack_folder, pack_names
from .host import download_progress
from .loaded_generator import LoadedGenerator
from .loaded_guest import LoadedGuest, LoadedModel
from .sockets import FaceAnalysis, Model, make_schema, unknown_choice

_OWN_LICENSE = "MIT, trained only on rendered images"
_UNSTATED = "not stated in the file; ask its author"
_AUTOMATIC = "automatic"
_SIZES = ("160", "256", "320", "480", "640", "800", "1024", "1280")


class LoadModel(io.ComfyNode):
    """Loads a swapping network for Swap Face."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_LoadModel",
            display_name="Load StyleSwap Model",
            category="StyleSwap/loaders",
            description="Loads the network that swaps faces: the built-in demo model, trained on rendered faces only, a"
            " StyleSwap model from models/styleswap, or a network of another program, such as inswapper, ReSwapper or"
            " HyperSwap, from the folder where its pack keeps it.",
            search_aliases=["face swap model", "styleswap", "inswapper", "reswapper", "hyperswap", "simswap", "ghost"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=generator_names(),
                    default=DEMO,
                    tooltip="The built-in demo model was trained on rendered faces only. Files from models/styleswap,"
                    " and swapping networks from models/insightface, models/reswapper and models/hyperswap. Weights"
                    " keep the license of their authors.",
                ),
                # Optional, so that prompts saved without them still run.
                io.Combo.Input(
                    "family",
                    options=[_AUTOMATIC, *FAMILY_NAMES],
                    default=_AUTOMATIC,
                    optional=True,
                    tooltip="For networks of other programs. automatic: told by the file and its name. Choose the"
                    " family of a renamed file that could belong to several.",
                ),
                io.Boolean.Input(
                    "any_recognizer",
                    default=False,
                    optional=True,
                    tooltip="For networks of other programs: also take identities of another recognizer than the one"
                    " the network was trained with. The likeness is usually lost.",
                ),
            ],
            outputs=[
                Model.Output("model", display_name="model", tooltip="For Swap Face and Invert Identity."),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and its license."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model_name: str | None, family: str | None = None) -> bool | str:
        """True, or a message about a missing model or an unknown family."""
        if problem := unknown_choice(cls, family=family):
            return problem
        return True if model_name is None else _validate(lambda: generator_path(model_name))

    @classmethod
    def fingerprint_inputs(cls, model_name: str, **_others: object) -> str:
        """State of the file, so that the node runs again if it changes."""
        return file_state(generator_path(model_name))

    @classmethod
    def execute(cls, model_name: str, family: str = _AUTOMATIC, any_recognizer: bool = False) -> io.NodeOutput:
        """Load a network.

        Returns:
            The network under ComfyUI's memory manager, and a report with its hash, recognizer and license.

        Raises:
            StyleSwapError: The file does not exist, is no swapping network, or needs another file that is missing; or
                an option for networks of other programs was set for a model of this project.
        """
        path, named = generator_path(model_name), "" if family == _AUTOMATIC else family
        model: LoadedModel
        if path.suffix.lower() in GUEST_SUFFIXES:
            model = LoadedGuest(read_guest(path, named), guest_folders(), any_recognizer)
            network = model.network
            details = [f"family: {network.family.name}, by {network.file.maker}", f"runs on: {network.provider}"]
            stated = network.file.license
        elif named:
            raise StyleSwapError(f"{model_name} is a StyleSwap model, which has no family; set family to {_AUTOMATIC}")
        else:
            model, details = LoadedGenerator(model_name, path), []
            stated = _OWN_LICENSE if model_name == DEMO else str(model.metadata.get("license", _UNSTATED))
        lines = [
            f"{model_name}: {model.size} px, crop template {model.template}",
            *details,
            f"sha256: {model.sha256}",
            f"recognizer: {model.recognizer or 'any'}",
            f"license: {stated}",
        ]
        notice = model.notice()
        return io.NodeOutput(model, "\n".join(lines + ([f"note: {notice}"] if notice else [])))


class LoadFaceAnalysis(io.ComfyNode):
    """Loads a face detector and a recognizer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_LoadFaceAnalysis",
            display_name="Load Face Analysis",
            category="StyleSwap/loaders",
            description="Loads a face detector and a recognizer: the built-in demo pack, trained on rendered faces"
            " only, opencv_zoo (YuNet and SFace, under free licenses), or an insightface pack from"
            " models/insightface/models. Choose the pack whose recognizer the StyleSwap model was trained with.",
            search_aliases=["insightface", "arcface", "face detector", "buffalo_l", "opencv", "yunet", "sface"],
            inputs=[
                io.Combo.Input(
                    "pack",
                    options=pack_names(),
                    default=DEMO,
                    tooltip=f"The built-in pack belongs to the demo model (license: {_OWN_LICENSE}). opencv_zoo is for"
                    f" photographs (license: {ZOO_LICENSE}). Note: {INSIGHTFACE_TERMS}.",
                ),
                io.Combo.Input(
                    "detection_size",
                    options=[_AUTOMATIC, *_SIZES],
                    default=_AUTOMATIC,
                    tooltip="Input size of the detector in pixels. automatic runs it at 640 and 256, and finer in"
                    " images over 2048 px and where faces are small; it never enlarges the image. Other sizes apply to"
                    " every image.",
                ),
                io.Float.Input(
                    "detection_threshold",
                    default=0.5,
                    min=0.05,
                    max=0.95,
                    step=0.05,
                    tooltip="Minimum confidence of the detector. Lower values find more faces, but also more false"
                    " positives.",
                ),
                io.Combo.Input(
                    "run_on",
                    options=list(PROVIDERS),
                    default="CPU",
                    tooltip="CUDA needs the onnxruntime-gpu package and reports an error if it cannot run; its memory"
                    " is freed after each node. opencv_zoo runs on the CPU only.",
                ),
                io.Boolean.Input(
                    "download",
                    default=False,
                    tooltip="Downloads the pack if it is missing: opencv_zoo from its repository, the others through"
                    f" insightface. {INSIGHTFACE_TERMS.capitalize()}.",
                ),
            ],
            outputs=[
                FaceAnalysis.Output(
                    "face_analysis", display_name="face_analysis", tooltip="For all nodes that detect faces."
                ),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and its license."),
            ],
        )

    @classmethod
    def validate_inputs(cls, pack: str | None, detection_size: str, run_on: str, download: bool | None) -> bool | str:
        """True, or a message about the first unknown choice or a missing pack that may not be downloaded."""
        if problem := unknown_choice(cls, detection_size=detection_size, run_on=run_on):
            return problem
        # A pack that may be downloaded is looked up when the node runs.
        return True if pack is None or download is not False else _validate(lambda: pack_folder(pack, False))

    @classmethod
    def fingerprint_inputs(cls, pack: str, download: bool, **_others: object) -> str:
        """State of the pack's files, so that the node runs again if they change."""
        try:
            folder = pack_folder(pack, False)
        except StyleSwapError:
            return f"{pack}: missing"
        return " ".join(file_state(file) for file in sorted(folder.glob("*.onnx")))

    @classmethod
    def execute(
        cls, pack: str, detection_size: str, detection_threshold: float, run_on: str, download: bool
    ) -> io.NodeOutput:
        """Load a pack, and open it once to check that it works.

        Returns:
            The face analysis, and a report with its files, recognizer and license.

        Raises:
            StyleSwapError: A missing or damaged pack, a failed download, or a device that ONNX Runtime cannot use.
        """
        size = None if detection_size == _AUTOMATIC else int(detection_size)
        analysis = LoadedAnalysis(pack_folder(pack, download, download_progress()), size, detection_threshold, run_on)
        with analysis.open() as analyzer:
            recognizer, license_note = analyzer.recognizer or "none", analyzer.license_note
        lines = [
            f"{pack} on {run_on}: {', '.join(file.name for file in sorted(analysis.folder.glob('*.onnx')))}",
            f"recognizer: {recognizer}",
            f"license: {license_note}",
        ]
        return io.NodeOutput(analysis, "\n".join(lines))


def _validate(check: Callable[[], Path]) -> bool | str:
    """Result for ComfyUI's validation: True, or the message of the error that `check` raises."""
    try:
        check()
    except StyleSwapError as error:
        return str(error)
    return True
