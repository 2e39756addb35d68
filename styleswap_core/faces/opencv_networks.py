"""OpenCV's detector (YuNet) and recognizer (SFace) behind the interfaces of face_networks.py.

OpenCV takes BGR pictures, and places the centers of pixels at integers, where the rest of the package adds 0.5 (see
alignment.py). `FaceRecognizerSF.alignCrop` is insightface's `norm_crop`: the same template and the same least-squares
similarity, so that the crops of `recognition` and `alignment.recognizer_crop` are its crops.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from ..errors import StyleSwapError, one_line
from .arcface import TorchRecognizer
from .execution_providers import CPU_PROVIDER
from .face_networks import Detection
from .opencv_zoo import SFACE, SFACE_SIDE, YUNET, ZooFiles

# Boxes with a larger overlap are one face; OpenCV's default.
_NMS_IOU = 0.3
_MAX_CANDIDATES = 5000
_PROBE_SIDE = 64
# A clone of the repository without Git LFS has such files in place of the networks.
_MAX_PLACEHOLDER_BYTES = 1000


class YuNetDetector:
    """A FaceDetector over `cv2.FaceDetectorYN`.

    Attributes:
        any_shape: See `FaceDetector`.
    """

    any_shape = True

    def __init__(self, path: Path, threshold: float) -> None:
        """Load a file.

        Args:
            path: ONNX file of a YuNet.
            threshold: Minimum confidence of a detection.

        Raises:
            StyleSwapError: The file is damaged, or this OpenCV has no FaceDetectorYN.
        """
        # The size of the input is state of the network.
        self._lock = Lock()
        shape = (_PROBE_SIDE, _PROBE_SIDE)
        self._network = _load("FaceDetectorYN", path, YUNET.name, shape, threshold, _NMS_IOU, _MAX_CANDIDATES)
        with _naming(path, YUNET.name):
            self.detect(np.zeros((*shape, 3), np.uint8), _PROBE_SIDE)

    def detect(self, picture: np.ndarray, size: int) -> list[Detection]:
        """See `FaceDetector.detect`."""
        height, width = picture.shape[:2]
        factor = size / max(height, width)
        shape = max(1, round(width * factor)), max(1, round(height * factor))
        # Reduced before its channels are reordered, which takes long on large pictures. Averaging over areas instead of
        # the bilinear default finds nothing more and takes eight times as long.
        shown = picture if shape == (width, height) else cv2.resize(picture, shape)
        bgr = cv2.cvtColor(shown, cv2.COLOR_RGB2BGR)
        with self._lock:
            self._network.setInputSize(shape)
            rows = self._network.detect(bgr)[1]
        if rows is None:
            return []
        scale = np.array([width / shape[0], height / shape[1]])
        # Each row: x, y, width, height, five points from left to right as seen in the picture, score.
        return [
            Detection(
                np.concatenate([row[:2], row[:2] + row[2:4]]) * np.tile(scale, 2) + 0.5,
                float(row[14]),
                row[4:14].reshape(5, 2) * scale + 0.5,
            )
            for row in rows
        ]


class SFaceRecognizer:
    """A CropRecognizer over `cv2.FaceRecognizerSF`.

    Attributes:
        path: Its ONNX file.
        input_size: Side of its crops in pixels.
        dimension: Length of its embeddings, 128.
    """

    def __init__(self, path: Path) -> None:
        """Load a file.

        Raises:
            StyleSwapError: The file is damaged, or this OpenCV has no FaceRecognizerSF.
        """
        self.path = path
        self.input_size = SFACE_SIDE
        self._network = _load("FaceRecognizerSF", path, SFACE.name)
        self._lock = Lock()
        with _naming(path, SFACE.name):
            self.dimension = len(self.raw_embedding(np.zeros((SFACE_SIDE, SFACE_SIDE, 3), np.uint8)))

    def raw_embedding(self, crop: np.ndarray) -> np.ndarray:
        """See `CropRecognizer.raw_embedding`."""
        with self._lock:
            # A copy: the next run writes into the same memory.
            return np.array(self._network.feature(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)), dtype=np.float32).ravel()

    def torch_recognizer(self) -> TorchRecognizer:
        """See `CropRecognizer.torch_recognizer`."""
        # OpenCV gives SFace RGB in 0..255, which its graph normalizes.
        return TorchRecognizer(self.path, (0.0, 1.0))


def load_opencv_networks(
    files: ZooFiles, threshold: float, providers: Sequence[str] | None = None
) -> tuple[YuNetDetector, SFaceRecognizer | None]:
    """Detector and recognizer of a folder.

    Args:
        files: See `opencv_zoo.zoo_files`.
        threshold: Minimum confidence of a detection.
        providers: Requested execution providers of ONNX Runtime, the first of which must be the CPU's.

    Raises:
        StyleSwapError: A file is damaged, or another provider is requested.
    """
    if providers and providers[0] != CPU_PROVIDER:
        raise StyleSwapError(
            f"OpenCV runs {files.detector.name} on the CPU, got the execution provider {providers[0]}; run on CPU"
        )
    recognizer = SFaceRecognizer(files.recognizer) if files.recognizer else None
    return YuNetDetector(files.detector, threshold), recognizer


def _load(name: str, path: Path, expected: str, *arguments: Any) -> Any:
    """One of OpenCV's networks; their classes have no type information in all versions."""
    kind = getattr(cv2, name, None)
    if kind is None:
        raise StyleSwapError(
            f"expected an OpenCV with {name}, got {cv2.__version__}; update it: pip install -U opencv-python"
        )
    with _naming(path, expected):
        if str(path).isascii():
            return kind.create(str(path), "", *arguments)
        # OpenCV on Windows cannot open other paths.
        return kind.create("onnx", np.fromfile(path, np.uint8), np.zeros(0, np.uint8), *arguments)


@contextmanager
def _naming(path: Path, expected: str) -> Iterator[None]:
    """Turn OpenCV's errors into one that names the file, and keep it from logging them as well."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    except (cv2.error, OSError) as error:
        fault = f"cannot be loaded by OpenCV {cv2.__version__} ({one_line(error)})"
        if path.is_file() and path.stat().st_size < _MAX_PLACEHOLDER_BYTES:
            fault = f"has {path.stat().st_size} bytes, as the placeholders of Git LFS do"
        raise StyleSwapError(
            f"expected a network such as OpenCV Zoo's {expected}, but {path} {fault}; delete it and download it again"
        ) from error
    finally:
        logging.setLogLevel(level)
