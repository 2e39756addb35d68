"""Load StyleSwap Model, Load Face Analysis."""

from collections.abc import Callable
from pathlib import Path

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.pack_licenses import DEMO_LICENSE
from ..styleswap_core.swappers.guest_families import FAMILY_NAMES
from .folders import DEMO, generator_path, pack_folder
from .loaded_guest import LoadedGuest
from .loader_inputs import detection_inputs, download_input, model_name_input, pack_input
from .loading import AUTOMATIC, model_state, open_model, open_pack, pack_state
from .sockets import FaceAnalysis, Model, make_schema, unknown_choice

_UNSTATED = "not stated in the file; ask its author"


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
                model_name_input(),
                # Optional, so that prompts saved without them still run.
                io.Combo.Input(
                    "family",
                    options=[AUTOMATIC, *FAMILY_NAMES],
                    default=AUTOMATIC,
                    optional=True,
                    tooltip="For networks of other programs. automatic: determined from the file and its name. For a "
                    "renamed file that could belong to several families, choose the right one.",
                ),
                io.Boolean.Input(
                    "any_recognizer",
                    default=False,
                    optional=True,
                    tooltip="For networks of other programs: also accept identities from a different recognizer than "
                    "the one the network was trained with. The likeness is usually lost.",
                ),
            ],
            outputs=[
                Model.Output("model", display_name="model", tooltip="For Swap Face and Invert Identity."),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and its license."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model_name: str | None = None, family: str | None = None) -> bool | str:
        """True, or a message about a missing model or an unknown family."""
        if problem := unknown_choice(cls, family=family):
            return problem
        return True if model_name is None else _validate(lambda: generator_path(model_name))

    @classmethod
    def fingerprint_inputs(cls, model_name: str | None, **_others: object) -> str:
        """State of the file, so that the node runs again if it changes."""
        return model_state(model_name)

    @classmethod
    def execute(cls, model_name: str, family: str = AUTOMATIC, any_recognizer: bool = False) -> io.NodeOutput:
        """Load a network.

        Returns:
            The network under ComfyUI's memory manager, and a report with its hash, recognizer and license.

        Raises:
            StyleSwapError: The file does not exist, is no swapping network, or needs another file that is missing; or
                an option for networks of other programs was set for a model of this project.
        """
        model = open_model(model_name, family, any_recognizer)
        if isinstance(model, LoadedGuest):
            network = model.network
            details = [f"family: {network.family.name}, by {network.file.maker}", f"runs on: {network.provider}"]
            stated = network.file.license
        else:
            details = []
            stated = DEMO_LICENSE if model_name == DEMO else str(model.metadata.get("license", _UNSTATED))
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
                pack_input(),
                *detection_inputs(),
                download_input(),
            ],
            outputs=[
                FaceAnalysis.Output(
                    "face_analysis", display_name="face_analysis", tooltip="For all nodes that detect faces."
                ),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and its license."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        pack: str | None = None,
        detection_size: str | None = None,
        run_on: str | None = None,
        download: bool | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice or a missing pack that may not be downloaded."""
        if problem := unknown_choice(cls, detection_size=detection_size, run_on=run_on):
            return problem
        # A pack that may be downloaded is looked up when the node runs.
        return True if pack is None or download is not False else _validate(lambda: pack_folder(pack, False))

    @classmethod
    def fingerprint_inputs(cls, pack: str | None, **_others: object) -> str:
        """State of the pack's files, so that the node runs again if they change."""
        return pack_state(pack)

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
        analysis = open_pack(pack, detection_size, detection_threshold, run_on, download)
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
