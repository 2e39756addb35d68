"""The face analysis that travels between nodes. Imports insightface only when faces are looked for."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..styleswap_core.errors import StyleSwapError

if TYPE_CHECKING:
    from ..styleswap_core.faces.analysis import InsightFaceAnalyzer

PROVIDERS = {"CPU": ("CPUExecutionProvider",), "CUDA": ("CUDAExecutionProvider", "CPUExecutionProvider")}
# Package -> the module that it brings.
_NEEDED = {"insightface": "insightface", "opencv-python": "cv2", "onnxruntime": "onnxruntime"}
_REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"


@dataclass(eq=False)
class LoadedAnalysis:
    """A pack and how it runs; what Load Face Analysis gives.

    ONNX Runtime's sessions are outside of ComfyUI's memory management: on the CPU they stay, on the GPU they are
    given back whenever a node is done with them.
    """

    folder: Path
    det_size: int | None = None
    det_thresh: float = 0.5
    run_on: str = "CPU"
    _kept: Any = field(default=None, repr=False)

    @contextmanager
    def open(self) -> Iterator["InsightFaceAnalyzer"]:
        """The analyzer, for the time of a `with` block.

        Raises:
            StyleSwapError: the pack does not load, or cannot run where it should.
        """
        analyzer = self._kept
        if analyzer is None:
            analyzer = _analysis_module().load_face_analysis(
                self.folder, providers=PROVIDERS[self.run_on], det_size=self.det_size, det_thresh=self.det_thresh
            )
        if self.run_on == "CPU":
            self._kept = analyzer
        yield analyzer


@contextmanager
def open_analysis(value: Any) -> Iterator["InsightFaceAnalyzer"]:
    """The analyzer of a face-analysis socket: this pack's, or an insightface `FaceAnalysis` of another pack.

    Raises:
        StyleSwapError: neither of the two, or it does not load.
    """
    if isinstance(value, LoadedAnalysis):
        with value.open() as analyzer:
            yield analyzer
        return
    yield _analysis_module().adopt_face_analysis(value)


def find_pack(pack: str | None, roots: Sequence[str], allow_download: bool) -> Path:
    """The folder of a pack: see `styleswap_core.faces.packs.find_pack`."""
    from ..styleswap_core.faces.packs import find_pack as find

    return find(pack, roots, allow_download)


def missing_packages() -> list[str]:
    """Names of the packages of requirements.txt that are not installed; nothing is imported to find out."""
    return [name for name, module in _NEEDED.items() if importlib.util.find_spec(module) is None]


def _analysis_module() -> Any:
    """The core's module, whose import needs packages that ComfyUI does not bring."""
    if missing := missing_packages():
        raise StyleSwapError(
            f"finding faces needs {', '.join(missing)}, not installed here; run"
            f' "{sys.executable}" -m pip install -r "{_REQUIREMENTS}" and start ComfyUI again'
        )
    from ..styleswap_core.faces import analysis

    return analysis
