"""Embeddings from a pack's recognizer or from a single file, with the preprocessing of the library that runs it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.assets import ASSETS
from ..io.files import file_sha256
from .alignment import estimate_similarity, matrix_scale, recognizer_points
from .execution_providers import default_providers
from .face_networks import CropRecognizer
from .insightface_networks import InsightFaceRecognizer
from .opencv_networks import SFaceRecognizer
from .opencv_zoo import is_sface
from .packs import load_errors, stdout_to_stderr
from .recognizer_id import RecognizerId

# Larger pictures are reduced before the analysis, to limit memory and because the detector subsamples without a filter.
MAX_ANALYZED_SIDE = 2048

SHIPPED_JUDGE = ASSETS / "judge.onnx"
"""Recognizer for evaluation that ships with the package, independent of the demo pack's; trained on rendered faces."""


class OnnxRecognizer:
    """A recognizer from an ONNX file with any operators, without gradients.

    insightface runs it, or OpenCV if it has the form of SFace.

    Attributes:
        name: Stem of the file name.
        sha256: Hash of the file.
        recognizer_id: Both of them, for comparisons.
    """

    def __init__(self, path: str | Path) -> None:
        """Load a file.

        Raises:
            StyleSwapError: A file that is missing, damaged, or not a face recognizer.
        """
        path = Path(path)
        self.name, self.sha256 = path.stem, file_sha256(path)
        self._model: CropRecognizer = SFaceRecognizer(path) if is_sface(path) else _insightface_recognizer(path)
        self.recognizer_id = RecognizerId(self.name, self.sha256, self._model.dimension)

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Embedding of a face with known points.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (5, 2), continuous pixels.

        Returns:
            (D,) float32, L2-normalized.
        """
        check_picture(picture)
        return PictureEmbedder(self._model, picture).embed(points)[0]


class Reduced(NamedTuple):
    """A picture with sides of MAX_ANALYZED_SIDE at most.

    Attributes:
        picture: (h, w, 3) uint8 RGB.
        factors: (2,) factors (x, y) to the pixels of the original.
    """

    picture: np.ndarray
    factors: np.ndarray


class PictureEmbedder:
    """Embeds the faces of a picture: large faces of a large picture from a reduced one, small ones from the original.

    Crops are sampled without a filter, as insightface does it, which suits pictures of moderate size. A face that the
    reduced picture shows smaller than its crop would lose detail.
    """

    def __init__(self, recognizer: CropRecognizer, picture: np.ndarray, small: Reduced | None = None) -> None:
        """Prepare a picture.

        Args:
            recognizer: The recognizer.
            picture: (H, W, 3) uint8 RGB.
            small: What `reduced` makes of it, if that is known.
        """
        self._recognizer = recognizer
        self._picture = picture
        self._known = small

    def embed(self, points: np.ndarray) -> tuple[np.ndarray, float]:
        """Embedding (D,) float32, L2-normalized, and its norm before, of a face with five points (5, 2)."""
        points = np.asarray(points, dtype=np.float64)
        picture, scale = self._picture, np.ones(2)
        # Checked first, since reducing a frame takes longer than embedding a face.
        if max(picture.shape[:2]) > MAX_ANALYZED_SIDE and not self._is_small(points):
            picture, scale = self._small
        return unit_and_norm(raw_embedding(self._recognizer, picture, points / scale))

    def _is_small(self, points: np.ndarray) -> bool:
        matrix = estimate_similarity(torch.from_numpy(points)[None], recognizer_points(self._recognizer.input_size))
        return float(matrix_scale(matrix)[0]) * max(self._picture.shape[:2]) > MAX_ANALYZED_SIDE

    @cached_property
    def _small(self) -> Reduced:
        return self._known or reduced(self._picture)


def raw_embedding(recognizer: CropRecognizer, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Embedding (D,) float32, not normalized, of a face.

    Args:
        recognizer: The recognizer.
        picture: (H, W, 3) uint8 RGB.
        points: (5, 2), continuous pixels.
    """
    # The steps of insightface's norm_crop, whose call of scikit-image is deprecated and warns every time. Like OpenCV,
    # it places the centers of pixels at integers.
    size = recognizer.input_size
    matrix = estimate_similarity(torch.from_numpy(np.float64(points) - 0.5)[None], recognizer_points(size))
    return recognizer.raw_embedding(cv2.warpAffine(picture, matrix[0].numpy(), (size, size), borderValue=0.0))


def unit_and_norm(embedding: np.ndarray) -> tuple[np.ndarray, float]:
    """An embedding (D,) divided by its norm, and the norm."""
    norm = float(np.linalg.norm(embedding))
    return embedding / max(norm, 1e-12), norm


def _insightface_recognizer(path: Path) -> InsightFaceRecognizer:
    with stdout_to_stderr():
        import onnxruntime
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX

        try:
            session = onnxruntime.InferenceSession(str(path), providers=default_providers())
            _check_form(path, session.get_inputs()[0].shape, len(session.get_outputs()))
            network = ArcFaceONNX(str(path), session)
            width = int(network.input_size[0])
            shape = network.get_feat(np.zeros((width, width, 3), np.uint8)).shape
        except StyleSwapError:
            raise
        except load_errors() as error:
            raise StyleSwapError(
                f"{path} is not an ONNX file that runs ({type(error).__name__}); replace it"
            ) from error
    if len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
        raise StyleSwapError(
            f"expected a recognizer with embeddings (N, D), but the output of {path} is {shape}; use another file"
        )
    return InsightFaceRecognizer(network)


def _check_form(path: Path, shape: Sequence[int | str | None], outputs: int) -> None:
    side = shape[2] if len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] else None
    # insightface would fail with an AssertionError.
    if not isinstance(side, int) or outputs != 1:
        raise StyleSwapError(
            f"expected a recognizer with one input (N, 3, S, S) and one output, but {path} has the input {list(shape)}"
            f" and {outputs} outputs; use another file"
        )
    recognizer_points(side)


def check_picture(picture: np.ndarray) -> None:
    """Check that an array is a picture (H, W, 3) uint8.

    Raises:
        StyleSwapError: It is not.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise StyleSwapError(f"expected a picture (H, W, 3) uint8 RGB, got {picture.dtype} {picture.shape}")


def reduced(picture: np.ndarray) -> Reduced:
    """A picture, reduced if it is larger than MAX_ANALYZED_SIDE."""
    height, width = picture.shape[:2]
    factor = MAX_ANALYZED_SIDE / max(height, width)
    if factor >= 1.0:
        return Reduced(picture, np.ones(2))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return Reduced(small, np.array([width / size[0], height / size[1]]))
