"""The face analysis that travels between nodes. Imports insightface only when faces are detected."""

import importlib.util
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.opencv_zoo import zoo_files

if TYPE_CHECKING:
    from ..styleswap_core.faces.detected import FaceAnalyzer

PROVIDERS = {"CPU": ("CPUExecutionProvider",), "CUDA": ("CUDAExecutionProvider", "CPUExecutionProvider")}
# Package -> module that it provides.
_REQUIRED = {"insightface": "insightface", "opencv-python": "cv2", "onnxruntime": "onnxruntime"}
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
        check_packages(without=("insightface", "onnxruntime") if zoo_files(self.folder) else ())
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


def missing_packages() -> list[str]:
    """Required packages that are not installed, found without importing any."""
    return [name for name, module in _REQUIRED.items() if importlib.util.find_spec(module) is None]


def check_packages(purpose: str = "face detection needs", without: Collection[str] = ()) -> None:
    """Check that the packages that ComfyUI does not install itself are there.

    Args:
        purpose: Start of the message.
        without: Packages that are not needed.

    Raises:
        StyleSwapError: One is missing; the message says how to install it.
    """
    if missing := [name for name in missing_packages() if name not in without]:
        raise StyleSwapError(
            f"{purpose} {', '.join(missing)}, not installed here; run"
            f' "{sys.executable}" -m pip install -r "{_REQUIREMENTS}" and restart ComfyUI'
        )
