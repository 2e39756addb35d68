"""Detectors and recognizers of insightface behind the interfaces of face_networks.py.

insightface takes BGR pictures, and places the centers of pixels at integers, where the rest of the package adds 0.5
(see alignment.py).
"""

from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError
from .anchor_network import InsightFaceDetectorNetwork, can_run, run_anchors
from .arcface import TorchRecognizer
from .execution_providers import CPU_PROVIDER
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
        any_shape: See `FaceDetector`.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        self._network = network
        self._anchors: InsightFaceDetectorNetwork | None = None
        # Only insightface knows its sessions for each shape.
        if can_run(network) and not getattr(network, "static_shape_sessions", False):
            self._anchors = network
        height, width = network.session.get_inputs()[0].shape[2:4]
        self.fixed = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        self.square = not _takes_any_shape(network)
        self.any_shape = not self.square and network.session.get_providers()[0] == CPU_PROVIDER

    def detect(self, picture: np.ndarray, size: int) -> list[Detection]:
        """See `FaceDetector.detect`.

        Raises:
            StyleSwapError: The network has no five points.
        """
        # Not within `stdout_to_stderr`, which affects all threads: detection may run in parallel with others.
        canvas = self.fixed or ((size, size) if self.square else canvas_for(size, *picture.shape[1::-1]))
        shown, factors = _fitted(picture, canvas)
        boxes, points = self._run(shown, canvas)
        if points is None:
            raise StyleSwapError("this pack's detector has no five points; use a pack with one such as det_10g")
        return [
            Detection(row[:4] * np.tile(factors, 2) + 0.5, float(row[4]), five * factors + 0.5)
            for row, five in zip(boxes, points, strict=True)
        ]

    def _run(self, shown: np.ndarray, canvas: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Boxes with scores (N, 5) and points (N, 5, 2) of a picture that fits its canvas."""
        if self._anchors is not None:
            return run_anchors(self._anchors, shown, canvas)
        # It leaves the size of a picture that fits unchanged.
        return self._network.detect(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR), input_size=canvas)


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


def _fitted(picture: np.ndarray, canvas: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture scaled to its canvas, and the factors (x, y) from its pixels to those of the original.

    Scaled before its channels are reordered, which takes as long as running a small detector on a large frame.
    """
    height, width = picture.shape[:2]
    size = _size_on(canvas, width, height)
    shown = picture if size == (width, height) else cv2.resize(picture, size)
    return shown, np.array([width / size[0], height / size[1]])


def _size_on(canvas: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Size of a picture in its canvas, by insightface's rule."""
    ratio = height / width
    if ratio > canvas[1] / canvas[0]:
        return max(1, int(canvas[1] / ratio)), canvas[1]
    return canvas[0], max(1, int(canvas[0] * ratio))


def _takes_any_shape(detector: DetectorNetwork) -> bool:
    """Whether a single session of the detector runs on inputs of all shapes."""
    fixed = any(isinstance(side, int) for side in detector.session.get_inputs()[0].shape[2:4])
    return not fixed and not getattr(detector, "static_shape_sessions", False)
