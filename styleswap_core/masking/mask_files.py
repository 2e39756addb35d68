"""Files of mask networks: where they lie, and which kind each of them is. No weights are read."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import StyleSwapError
from ..faces.onnx_summary import OnnxSummary, summarize_onnx

SUFFIX = ".onnx"

FOLDER_NAMES = ("styleswap/masks", "face_parsing", "bisenet", "xseg", "facefusion", "faceless", "facedetection")
"""Folders under ComfyUI's `models` in which node packs keep the files."""

PARSING, OCCLUSION = "face parsing", "occlusion"
"""Kinds of networks."""


@dataclass(frozen=True)
class MaskFile:
    """File of a mask network.

    Attributes:
        path: The file.
        kind: PARSING, with pictures (1, 3, h, w) and scores (1, C, h, w), or OCCLUSION, with pictures (1, h, w, 3) and
            masks (1, h, w, 1).
        side: Size of its pictures in pixels; 0 if the file leaves it open.
    """

    path: Path
    kind: str
    side: int


def read_mask_file(path: str | Path) -> MaskFile:
    """Recognize the file of a mask network by its inputs and outputs.

    Raises:
        StyleSwapError: The file is missing, damaged, or no mask network, or it keeps weights outside its folder.
    """
    path = Path(path)
    if not path.is_file():
        raise StyleSwapError(f"expected the ONNX file of a mask network, but {path} does not exist; check the path")
    summary = summarize_onnx(path)
    kind = _kind(summary)
    if kind is None:
        raise StyleSwapError(
            f"expected a face parsing network, from pictures (1, 3, h, w) to scores (1, classes, h, w), or an occlusion"
            f" network, from pictures (1, h, w, 3) to masks (1, h, w, 1), but {path} has {summary.describe()}; choose"
            " another file"
        )
    summary.external_files()
    sides = summary.inputs[0].shape[1:3] if kind == OCCLUSION else summary.inputs[0].shape[2:]
    return MaskFile(path, kind, sides[0] or 0)


def mask_folders(models: str | Path = "models") -> list[Path]:
    """Folders in which the files usually lie.

    Args:
        models: ComfyUI's folder `models`.
    """
    return [Path(models) / name for name in FOLDER_NAMES]


def list_mask_files(paths: Iterable[str | Path], kind: str) -> list[Path]:
    """Those of some files that hold networks of a kind, in their order."""
    found = []
    for path in map(Path, paths):
        if path.suffix.lower() == SUFFIX and path.is_file():
            status = path.stat()
            if _kind_or_none(path, status.st_size, status.st_mtime_ns) == kind:
                found.append(path)
    return found


@lru_cache(maxsize=256)
def _kind_or_none(path: Path, size: int, modified: int) -> str | None:
    """Kind of a file; size and time of modification tell whether it has changed."""
    try:
        return read_mask_file(path).kind
    except StyleSwapError:
        return None


def _kind(summary: OnnxSummary) -> str | None:
    if len(summary.inputs) != 1 or not summary.outputs:
        return None
    picture, first = summary.inputs[0].shape, summary.outputs[0].shape
    if len(picture) != 4 or len(first) not in (0, 4):  # some files do not declare the shape of their output
        return None
    if picture[3] == 3 and picture[1] != 3:
        return OCCLUSION if not first or first[3] in (1, None) else None
    if picture[1] != 3:
        return None
    # Networks from pictures to pictures, such as face restorers, have three channels too.
    return PARSING if not first or first[1] != 3 else None
