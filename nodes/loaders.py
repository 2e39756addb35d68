"""Load StyleSwap Model, Load Face Analysis."""

from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.packs import LICENSE_NOTE
from .analysis import LoadedAnalysis, find_pack
from .folders import DEMO, file_state, generator_names, generator_path, insightface_roots, pack_names
from .loaded_generator import LoadedGenerator
from .sockets import FaceAnalysis, Model, make_schema, unknown_choice

_OWN_LICENSE = "license: MIT, trained on rendered pictures alone"
_AUTOMATIC = "automatic"
_SIZES = ("160", "256", "320", "480", "640", "800", "1024", "1280")


class LoadModel(io.ComfyNode):
    """A generator for Swap Face."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_LoadModel",
            display_name="Load StyleSwap Model",
            category="StyleSwap/loaders",
            description="Loads the generator that swaps faces: the demo model that comes with the pack (it knows rendered"
            " faces only), or a file in models/styleswap.",
            search_aliases=["face swap model", "styleswap"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=generator_names(),
                    default=DEMO,
                    tooltip="The built-in demo model knows rendered faces only; models made from photographs go into"
                    " models/styleswap. Converted weights keep the license of their makers",
                ),
            ],
            outputs=[
                Model.Output("model", display_name="model", tooltip="For Swap Face"),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and its license"),
            ],
        )

    @classmethod
    def validate_inputs(cls, model_name: str) -> bool | str:
        """True, or a sentence about a model that is not there."""
        return True if model_name is None else _problem(lambda: generator_path(model_name))

    @classmethod
    def fingerprint_inputs(cls, model_name: str) -> str:
        """What changes with the file's content, so that the node runs again."""
        return file_state(generator_path(model_name))

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        """The generator, ready to be moved by ComfyUI, and a report with its hash, recognizer and license.

        Raises:
            StyleSwapError: no such file, or one that holds no generator.
        """
        model = LoadedGenerator(model_name, generator_path(model_name))
        config, notice = model.config, model.notice()
        stated = model.metadata.get("license", "not stated in the file; ask whoever made it")
        lines = [
            f"{model.name}: {config.size} px, crop template {config.template}",
            f"sha256: {model.sha256}",
            f"recognizer: {model.recognizer or 'any'}",
            _OWN_LICENSE if model_name == DEMO else f"license: {stated}",
        ]
        return io.NodeOutput(model, "\n".join(lines + ([f"note: {notice}"] if notice else [])))


class LoadFaceAnalysis(io.ComfyNode):
    """Detector and recognizer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_LoadFaceAnalysis",
            display_name="Load Face Analysis",
            category="StyleSwap/loaders",
            description="Loads a face detector and recognizer: the demo pack (it knows rendered faces), or an insightface"
            " pack in models/insightface/models. A StyleSwap model works with the recognizer that it was trained with.",
            search_aliases=["insightface", "arcface", "face detector", "buffalo_l"],
            inputs=[
                io.Combo.Input(
                    "pack",
                    options=pack_names(),
                    default=DEMO,
                    tooltip=f"The built-in pack goes with the demo model ({_OWN_LICENSE}). Note: {LICENSE_NOTE}",
                ),
                io.Combo.Input(
                    "detection_size",
                    options=[_AUTOMATIC, *_SIZES],
                    default=_AUTOMATIC,
                    tooltip="Side in pixels at which the detector looks; automatic looks twice, at 640 and 256, and never"
                    " enlarges. Larger finds smaller faces and takes longer",
                ),
                io.Float.Input(
                    "detection_threshold",
                    default=0.5,
                    min=0.05,
                    max=0.95,
                    step=0.05,
                    tooltip="How sure the detector must be; lower finds more faces, and more that are none",
                ),
                io.Combo.Input(
                    "run_on",
                    options=["CPU", "CUDA"],
                    default="CPU",
                    tooltip="CUDA needs the onnxruntime-gpu package and says so where it cannot run; its memory is given"
                    " back after each node",
                ),
                io.Boolean.Input(
                    "download",
                    default=False,
                    tooltip=f"Let insightface download the pack if it is not there. {LICENSE_NOTE.capitalize()}",
                ),
            ],
            outputs=[
                FaceAnalysis.Output(
                    "face_analysis", display_name="face_analysis", tooltip="For all nodes that look for faces"
                ),
                io.String.Output("info", display_name="info", tooltip="What was loaded, and its license"),
            ],
        )

    @classmethod
    def validate_inputs(cls, pack: str, detection_size: str, run_on: str, download: bool) -> bool | str:
        """True, or a sentence about a choice that is not offered or a pack that is not there and may not be downloaded."""
        if problem := unknown_choice(cls, detection_size=detection_size, run_on=run_on):
            return problem
        # What is to be downloaded is looked for when the node runs.
        return True if pack is None or download is not False else _problem(lambda: _pack_folder(pack, False))

    @classmethod
    def fingerprint_inputs(cls, pack: str, download: bool, **_others: object) -> str:
        """What changes with the pack's files, so that the node runs again."""
        try:
            folder = _pack_folder(pack, False)
        except StyleSwapError:
            return f"{pack}: missing"
        return " ".join(file_state(file) for file in sorted(folder.glob("*.onnx")))

    @classmethod
    def execute(
        cls, pack: str, detection_size: str, detection_threshold: float, run_on: str, download: bool
    ) -> io.NodeOutput:
        """The face analysis, opened once to see that it works, and a report with its files, recognizer and license.

        Raises:
            StyleSwapError: a pack that is missing or damaged, a failed download, or a device that ONNX Runtime cannot use.
        """
        size = None if detection_size == _AUTOMATIC else int(detection_size)
        analysis = LoadedAnalysis(_pack_folder(pack, download), size, detection_threshold, run_on)
        with analysis.open() as analyzer:
            recognizer = analyzer.recognizer or "none"
        lines = [
            f"{pack} on {run_on}: {', '.join(file.name for file in sorted(analysis.folder.glob('*.onnx')))}",
            f"recognizer: {recognizer}",
            _OWN_LICENSE if pack == DEMO else f"license: {LICENSE_NOTE}",
        ]
        return io.NodeOutput(analysis, "\n".join(lines))


def _pack_folder(pack: str, download: bool):
    return find_pack(None if pack == DEMO else pack, insightface_roots(), download)


def _problem(check) -> bool | str:
    """What ComfyUI's validation wants: True, or the sentence of the error that `check` raises."""
    try:
        check()
    except StyleSwapError as error:
        return str(error)
    return True
