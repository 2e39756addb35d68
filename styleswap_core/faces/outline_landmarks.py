"""Landmarks along the outline of a face, for its mask, where an insightface pack has a model for them.

Like analysis.py it speaks insightface's convention (BGR, pixel centres at 0) on one side and the package's on the other.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from ..errors import StyleSwapError
from .packs import load_model_file

# The first of these that a pack holds: the one with more points along the outline goes first.
FILES = ("2d106det.onnx", "1k3d68.onnx")


class OutlineLandmarks:
    """insightface's landmark model; `load_outline_landmarks` makes one.

    Attributes:
        name: stem of its file.
    """

    def __init__(self, model: Any, name: str) -> None:
        self._model, self.name = model, name

    def find(self, picture: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Landmarks of one face.

        Args:
            picture: (H, W, 3) uint8 RGB.
            box: (4,) x0, y0, x1, y1, continuous pixels.
        Returns:
            (N, 2) float32, continuous pixels; N is 106 or 68.
        """
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        face = _FaceBox(bbox=np.asarray(box, dtype=np.float32) - 0.5)
        return np.float32(self._model.get(bgr, face)[:, :2] + 0.5)


class _FaceBox(SimpleNamespace):
    """What insightface's landmark model reads of a face; it also writes results into it, which are not needed here."""

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)


def load_outline_landmarks(folder: Path, threads: int = 0) -> OutlineLandmarks | None:
    """The landmark model of a pack's folder, or None if it has none.

    Args:
        threads: of ONNX Runtime on the CPU; 0: its own choice.

    Raises:
        StyleSwapError: the file is damaged or no landmark model.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    model = load_model_file(path, threads)
    if not str(getattr(model, "taskname", "")).startswith("landmark"):
        raise StyleSwapError(f"expected a landmark model in {path}, got another kind; replace the file")
    return OutlineLandmarks(model, path.stem)
