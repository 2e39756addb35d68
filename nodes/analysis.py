"""The face analysis that travels between nodes. Imports insightface only when faces are detected."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..styleswap_core.faces.execution_providers import CPU_PROVIDER, CUDA_PROVIDER
from ..styleswap_core.faces.opencv_zoo import zoo_files
from ..styleswap_core.installation.import_failures import require

if TYPE_CHECKING:
    from ..styleswap_core.faces.detected import FaceAnalyzer

PROVIDERS = {"CPU": (CPU_PROVIDER,), "CUDA": (CUDA_PROVIDER, CPU_PROVIDER)}
# What ComfyUI does not install itself.
_REQUIRED = ("cv2", "onnxruntime", "insightface.app")
_REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"


@dataclass(eq=False)
class LoadedAnalysis:
    """A face analysis pack and how it runs; output of Load Face Analysis.

    ComfyUI does not manage the memory of ONNX Runtime's sessions: on the CPU they are kept, on the GPU each node frees
    them when it is done.

    Attributes:
        folder: Folder of the pack.
        det_size: Edge length of the detector's input in pixels; None for automatic.
        det_thresh: Minimum confidence of a face, 0..1.
        run_on: Key of PROVIDERS.
    """

    folder: Path
    det_size: int | None = None
    det_thresh: float = 0.5
    run_on: str = "CPU"
    _kept: "FaceAnalyzer | None" = field(default=None, init=False, repr=False)

    @contextmanager
    def open(self) -> Iterator["FaceAnalyzer"]:
        """Context manager for the analyzer.

        Raises:
            StyleSwapError: The pack does not load, or cannot run on `run_on`.
        """
        analyzer = self._kept or self._load()
        if self.run_on == "CPU":
            self._kept = analyzer
        yield analyzer

    def _load(self) -> "FaceAnalyzer":
        # OpenCV runs OpenCV Zoo's networks.
        check_packages(without=("insightface.app", "onnxruntime") if zoo_files(self.folder) else ())
        from ..styleswap_core.faces.analysis import load_face_analysis

        return load_face_analysis(
            self.folder, providers=PROVIDERS[self.run_on], det_size=self.det_size, det_thresh=self.det_thresh
        )


@contextmanager
def open_analysis(value: object) -> Iterator["FaceAnalyzer"]:
    """Context manager for the analyzer in a face-analysis socket: this pack's, or another pack's `FaceAnalysis`.

    Raises:
        StyleSwapError: Another kind of value, or an analysis that does not load.
    """
    if isinstance(value, LoadedAnalysis):
        with value.open() as analyzer:
            yield analyzer
        return
    check_packages()
    from ..styleswap_core.faces.analysis import adopt_face_analysis

    yield adopt_face_analysis(value)


def check_packages(purpose: str = "face detection needs", without: Collection[str] = ()) -> None:
    """Check that the packages that ComfyUI does not install itself are there and can be imported.

    Args:
        purpose: Start of the message.
        without: Modules that are not needed.

    Raises:
        StyleSwapError: One cannot be imported; the message says why, and how to fix it.
    """
    modules = [module for module in _REQUIRED if module not in without]
    require(*modules, purpose=purpose, install=f'-r "{_REQUIREMENTS}"', then="and restart ComfyUI")
