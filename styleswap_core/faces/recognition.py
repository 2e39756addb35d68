"""Embeddings through ONNX Runtime, as insightface makes them: of a pack's recognizer, or of any recognizer's own file."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.assets import ASSETS
from ..io.files import file_sha256
from .alignment import estimate_similarity, recognizer_points
from .packs import default_providers, load_errors, stdout_to_stderr
from .recognizer_id import RecognizerId

# The largest picture that is analyzed as it is; beyond, memory and the detector's plain subsampling do harm.
MAX_ANALYZED_SIDE = 2048

SHIPPED_JUDGE = ASSETS / "judge.onnx"
"""The second recognizer that comes with the package, for evaluation alone; it knows rendered faces."""


class OnnxRecognizer:
    """A recognizer that only judges: from an ONNX file with whatever operators, by insightface's rules for pixels and crop.

    Attributes:
        name: stem of the file.
        sha256: of the file.

    Raises:
        StyleSwapError: a file that is missing, damaged, or no face recognizer.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self.name, self.sha256 = path.stem, file_sha256(path)
        self.recognizer_id = RecognizerId(self.name, self.sha256)
        with stdout_to_stderr():
            import onnxruntime
            from insightface.model_zoo.arcface_onnx import ArcFaceONNX

            try:
                session = onnxruntime.InferenceSession(str(path), providers=default_providers())
                _check_form(path, session.get_inputs()[0].shape, len(session.get_outputs()))
                self._model = ArcFaceONNX(str(path), session)
                width = int(self._model.input_size[0])
                shape = self._model.get_feat(np.zeros((width, width, 3), np.uint8)).shape
            except StyleSwapError:
                raise
            except load_errors() as error:
                raise StyleSwapError(
                    f"{path} is not an ONNX file that runs ({type(error).__name__}); replace it"
                ) from error
        if len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
            raise StyleSwapError(f"expected embeddings (N, D), {path} gives {shape}; it is another kind of network")

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Embedding of a face whose place is known.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (5, 2), continuous pixels.

        Returns:
            (D,) float32, L2-normalized.
        """
        check_picture(picture)
        shown, scale = reduced(picture)
        return embed_points(self._model, shown, np.asarray(points, dtype=np.float32) / scale - 0.5)


def embed_points(model: Any, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """L2-normalized embedding (D,) of a face in an RGB picture by insightface's `ArcFaceONNX`; points (5, 2) with pixel
    centers at 0.
    """
    # insightface's norm_crop, step by step: its own call of scikit-image is deprecated there and warns every time.
    size = int(model.input_size[0])
    matrix = estimate_similarity(torch.from_numpy(np.float64(points))[None], recognizer_points(size))
    crop = cv2.warpAffine(picture, matrix[0].numpy(), (size, size), borderValue=0.0)
    embedding = model.get_feat(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)).ravel().astype(np.float32)
    return embedding / max(float(np.linalg.norm(embedding)), 1e-12)


def _check_form(path: Path, shape: list, outputs: int) -> None:
    square = len(shape) == 4 and shape[1] == 3 and isinstance(shape[2], int) and shape[2] == shape[3]
    # Checked here: insightface asserts it, and an assertion tells users nothing.
    if not square or outputs != 1:
        raise StyleSwapError(
            f"expected a recognizer with one input (N, 3, S, S) and one output, {path} has {shape} and {outputs}; it is"
            " another kind of network"
        )
    recognizer_points(shape[2])


def check_picture(picture: np.ndarray) -> None:
    """Raise StyleSwapError for anything but a picture (H, W, 3) uint8."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise StyleSwapError(f"expected a picture (H, W, 3) uint8 RGB, got {picture.dtype} {picture.shape}")


def reduced(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture, at most MAX_ANALYZED_SIDE a side, and the (x, y) factor back to its own pixels."""
    height, width = picture.shape[:2]
    factor = MAX_ANALYZED_SIDE / max(height, width)
    if factor >= 1.0:
        return picture, np.ones(2)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small, np.array([width / size[0], height / size[1]])
