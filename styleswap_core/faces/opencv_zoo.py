"""Face analysis under a free license: the files of OpenCV Zoo, where they lie, and how they are told from others.

YuNet detects faces with five points (Wu et al., Machine Intelligence Research 2023; MIT). SFace recognizes them (Zhong
et al., TIP 2021; Apache-2.0). OpenCV runs both, see opencv_networks.py; insightface is not needed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError
from ..io.downloads import Progress, RemoteFile, download
from .onnx_summary import OnnxSummary, summarize_onnx

ZOO_NAMES = ("opencv_zoo", "opencv")
"""Names of this pack; the first is that of its folder, the others are short forms."""

# The repository at a fixed state; the files are in its Git LFS.
_PAGE = "https://github.com/opencv/opencv_zoo"
_ADDRESS = f"{_PAGE}/raw/966be4cb6eefc2a4f586ed0581bf4bbaa2533070/models"

YUNET = RemoteFile(
    "face_detection_yunet_2023mar.onnx",
    f"{_ADDRESS}/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    232_589,
    "MIT",
)
SFACE = RemoteFile(
    "face_recognition_sface_2021dec.onnx",
    f"{_ADDRESS}/face_recognition_sface/face_recognition_sface_2021dec.onnx",
    "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
    38_696_353,
    "Apache-2.0",
)
ZOO_LICENSE = f"YuNet {YUNET.license}, SFace {SFACE.license}"
"""Licenses of the two files, as their repository states them."""

SFACE_SIDE = 112
"""Side of SFace's crops in pixels."""

# Outputs of a YuNet since 2023, at each of three strides, and the length of SFace's embeddings.
_YUNET_OUTPUTS = {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
_SFACE_LENGTH = 128
# Operators of (pixels - mean) * gain.
_SFACE_NORMALIZATION = {"Sub", "Mul"}


class ZooFiles(NamedTuple):
    """A detector and a recognizer that OpenCV runs.

    Attributes:
        detector: A YuNet.
        recognizer: An SFace; None if the folder has none.
    """

    detector: Path
    recognizer: Path | None


def find_zoo(folders: Sequence[Path], allow_download: bool = False, progress: Progress | None = None) -> Path:
    """Folder with the two files.

    Args:
        folders: Where they may lie, in order of preference; downloads go to the first.
        allow_download: Download what is missing.
        progress: See `downloads.download`.

    Raises:
        StyleSwapError: A file is missing and may not be downloaded, or its download failed.
    """
    found = next((folder for folder in folders if not _missing(folder)), None)
    if found is not None:
        return found.resolve()
    # One that has a part of the files is completed.
    folder = min(folders, key=lambda folder: len(_missing(folder)))
    missing = _missing(folder)
    if not allow_download:
        names = " and ".join(file.name for file in missing)
        raise StyleSwapError(
            f"expected OpenCV Zoo's {names} in {folder}, found no such file; allow the download (--download), or get"
            f" the file from {_PAGE}. Licenses: {ZOO_LICENSE}"
        )
    for file in missing:
        download(file, folder, progress)
    return folder.resolve()


def zoo_files(folder: Path) -> ZooFiles | None:
    """The files in a folder that OpenCV's face analysis runs, told by their form; None if no YuNet is among them.

    Of several, those with the names of OpenCV Zoo are taken, then those that are not quantized.
    """
    paths = sorted(folder.glob("*.onnx"), key=_preference)
    detector = _first(paths, _is_yunet)
    return None if detector is None else ZooFiles(detector, _first(paths, is_sface))


def is_sface(path: Path) -> bool:
    """Whether a file has SFace's name, or its form: 128 numbers of a crop of 112 px in 0..255, which it normalizes."""
    if path.name == SFACE.name:
        return True
    form = _form(path)
    return (
        form is not None
        and [value.shape[1:] for value in form.inputs] == [(3, SFACE_SIDE, SFACE_SIDE)]
        and [value.shape[1:] for value in form.outputs] == [(_SFACE_LENGTH,)]
        and form.operators >= _SFACE_NORMALIZATION
    )


def _missing(folder: Path) -> list[RemoteFile]:
    """The files that a folder lacks; none if it has a detector and a recognizer under other names."""
    missing = [file for file in (YUNET, SFACE) if not (folder / file.name).is_file()]
    if not missing or not folder.is_dir():
        return missing
    found = zoo_files(folder)
    return missing if found is None or found.recognizer is None else []


def _preference(path: Path) -> tuple[bool, bool, str]:
    return path.name not in (YUNET.name, SFACE.name), "int8" in path.name, path.name


def _first(paths: Sequence[Path], fits: Callable[[Path], bool]) -> Path | None:
    return next((path for path in paths if fits(path)), None)


def _is_yunet(path: Path) -> bool:
    # By name even if its form is another, so that loading a damaged file names it.
    if path.name == YUNET.name:
        return True
    form = _form(path)
    return form is not None and {value.name for value in form.outputs} >= _YUNET_OUTPUTS


def _form(path: Path) -> OnnxSummary | None:
    try:
        return summarize_onnx(path)
    except StyleSwapError:
        return None
