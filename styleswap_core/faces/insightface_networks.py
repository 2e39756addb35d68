"""Detectors and recognizers of insightface behind the interfaces of face_networks.py.

insightface takes BGR pictures, and places the centers of pixels at integers, where the rest of the package adds 0.5
(see alignment.py).
"""

from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError
from .arcface import TorchRecognizer
from .face_networks import Detection
from .insightface_types import DetectorNetwork, RecognizerNetwork

# Coarsest stride of a detector; its input has sides of multiples.
STRIDE = 32
MIN_SIDE = 64


class InsightFaceDetector:
    """A FaceDetector over a detector of insightface, prepared with a threshold.

    Attributes:
        square: Run on squares, as insightface does, and not on inputs of the picture's shape.
        fixed: (width, height) of the network's input where its file fixes it.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        self._network = network
        height, width = network.session.get_inputs()[0].shape[2:4]
        self.fixed = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        self.square = not _takes_any_shape(network)

    def detect(self, picture: np.ndarray, size: int) -> list[Detection]:
        """See `FaceDetector.detect`.

        Raises:
            StyleSwapError: The network has no five points.
        """
        # Not within `stdout_to_stderr`, which affects all threads: detection may run in parallel with others.
        canvas = self.fixed or ((size, size) if self.square else canvas_for(size, *picture.shape[1::-1]))
        bgr, factor = _bgr_for(picture, canvas)
        boxes, points = self._network.detect(bgr, input_size=canvas)
        if points is None:
            raise StyleSwapError("this pack's detector has no five points; use a pack with one such as det_10g")
        return [
            Detection(row[:4] * factor + 0.5, float(row[4]), five * factor + 0.5)
            for row, five in zip(boxes, points, strict=True)
        ]


class InsightFaceRecognizer:
    """A CropRecognizer over a recognizer of insightface.

    Attributes:
        path: Its ONNX file.
        input_size: Side of its crops in pixels.
        dimension: Length of its embeddings.
    """

    def __init__(self, network: RecognizerNetwork) -> None:
        self._network = network
        self.path = Path(network.model_file)
        self.input_size = int(network.input_size[0])
        declared = network.output_shape[-1]
        # Some exporters leave the length of the output open.
        probe = np.zeros((self.input_size, self.input_size, 3), np.uint8)
        self.dimension = declared if isinstance(declared, int) else len(self.raw_embedding(probe))

    def raw_embedding(self, crop: np.ndarray) -> np.ndarray:
        """See `CropRecognizer.raw_embedding`."""
        return self._network.get_feat(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)).ravel().astype(np.float32)

    def torch_recognizer(self) -> TorchRecognizer:
        """See `CropRecognizer.torch_recognizer`."""
        return TorchRecognizer(self.path, (float(self._network.input_mean), float(self._network.input_std)))


def canvas_for(size: int, width: int, height: int) -> tuple[int, int]:
    """(width, height) of a detector's input for a picture whose longer side is scaled to `size`.

    insightface pads to a square; without the padding, a 16:9 frame takes 9/16 of the time. The picture has the same
    scale as in the square.
    """
    longer = max(width, height)
    # Rounded up to multiples of the stride in integers, without floating-point errors.
    across, down = (max(MIN_SIDE, -(-side * size // (longer * STRIDE)) * STRIDE) for side in (width, height))
    return across, down


def _bgr_for(picture: np.ndarray, canvas: tuple[int, int]) -> tuple[np.ndarray, float]:
    """A picture as BGR, and the factor from its pixels to those of the original.

    Reordering the channels of a large frame takes as long as running a small detector. A picture that the detector
    would reduce is therefore reduced first, exactly as the detector does it, which then leaves it unchanged.
    """
    height, width = picture.shape[:2]
    size = _size_on(canvas, width, height)
    if min(size) < 1 or size[0] >= width or size[1] >= height or _size_on(canvas, *size) != size:
        return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), 1.0
    return cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_RGB2BGR), height / size[1]


def _size_on(canvas: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    # Exactly insightface's rule for fitting a picture into its input; a size that is off by one is resampled again.
    ratio = height / width
    if ratio > canvas[1] / canvas[0]:
        return int(canvas[1] / ratio), canvas[1]
    return canvas[0], int(canvas[0] * ratio)


def _takes_any_shape(detector: DetectorNetwork) -> bool:
    """Whether a single session of the detector runs on inputs of all shapes."""
    fixed = any(isinstance(side, int) for side in detector.session.get_inputs()[0].shape[2:4])
    return not fixed and not getattr(detector, "static_shape_sessions", False)
