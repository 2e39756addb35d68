"""Interfaces of the two networks that a face analysis consists of; one implementation per library that runs them."""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .arcface import TorchRecognizer


class Detection(NamedTuple):
    """One face as a detector reports it.

    Attributes:
        box: (4,) x0, y0, x1, y1 in continuous pixels.
        score: Confidence, 0..1.
        points: (5, 2), continuous pixels: left eye, right eye, nose tip, left and right mouth corner, with left and
            right as seen in an upright picture.
    """

    box: np.ndarray
    score: float
    points: np.ndarray


class FaceDetector(Protocol):
    """A detector of faces with five points.

    Attributes:
        any_shape: Whether a part of a picture takes less time than the whole, in proportion to its area, whatever its
            shape. Some networks have inputs of a fixed size, and some execution providers prepare for each shape.
    """

    any_shape: bool

    def detect(self, picture: np.ndarray, size: int) -> list[Detection]:
        """The faces of a picture (H, W, 3) uint8 RGB whose longer side is scaled to `size` pixels.

        Detections are in the pixels of `picture`, and in no particular order.
        """
        ...


class CropRecognizer(Protocol):
    """A recognizer for aligned crops.

    Attributes:
        path: Its ONNX file.
        input_size: Side of its crops in pixels, see `alignment.recognizer_points`.
        dimension: Length D of its embeddings.
    """

    path: Path
    input_size: int
    dimension: int

    def raw_embedding(self, crop: np.ndarray) -> np.ndarray:
        """Embedding (D,) float32, not normalized, of a crop (input_size, input_size, 3) uint8 RGB."""
        ...

    def torch_recognizer(self) -> TorchRecognizer:
        """The same network as a torch module with gradients, on the CPU.

        Raises:
            StyleSwapError: Unsupported operators.
        """
        ...
