"""Face masks from a face parsing model, given by the user as an ONNX file."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..errors import StyleSwapError, one_line
from ..faces.packs import default_providers, load_errors, session_options

# The 19 classes of CelebAMask-HQ in the order of published parsing models. Skin, brows and eyes (1..5), nose, mouth and
# lips (10..13) are face; glasses (6), ears, neck, hair and hats are not.
CELEBA_CLASSES = 19
CELEBA_FACE = (1, 2, 3, 4, 5, 10, 11, 12, 13)
# ImageNet's statistics, which these models were trained with.
_MEAN, _STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
_DEFAULT_SIDE = 512


class FaceParser:
    """Face parsing model: (1, 3, h, w) RGB, normalized by ImageNet's statistics -> first output (1, C, h', w').

    Args:
        path: The ONNX file.
        classes: Which of the C classes are face. May be empty if C is 19 (CelebAMask-HQ's classes) or 1 (logits of the
            face).
        threads: Threads of ONNX Runtime; 0 for its default.

    Raises:
        StyleSwapError: The file does not exist, is not an ONNX model, or has other inputs or outputs.
    """

    def __init__(self, path: str | Path, classes: Sequence[int] = (), threads: int = 0) -> None:
        import onnxruntime

        self.path, self._classes = Path(path), tuple(classes)
        self._errors = load_errors()
        if not self.path.is_file():
            raise StyleSwapError(
                f"expected the ONNX file of a face parsing model, but {path} does not exist; check the path"
            )
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), providers=default_providers(), **session_options(threads)
            )
        except self._errors as error:
            raise StyleSwapError(
                f"cannot load {path} as an ONNX model ({one_line(error)}); use another file"
            ) from error
        self._input = self._session.get_inputs()[0]
        sides = [side for side in self._input.shape[2:] if isinstance(side, int)]
        self._side = sides[0] if sides else _DEFAULT_SIDE
        self.mask(np.zeros((64, 64, 3), dtype=np.uint8))  # reports an unsuitable model at once

    def mask(self, crop: np.ndarray) -> np.ndarray:
        """(S, S, 3) uint8 RGB -> (S, S) uint8, 255 on the face."""
        size = crop.shape[0]
        method = cv2.INTER_AREA if size > self._side else cv2.INTER_LINEAR
        picture = cv2.resize(crop, (self._side, self._side), interpolation=method)
        values = ((picture.astype(np.float32) / 255 - _MEAN) / _STD).transpose(2, 0, 1)[None]
        try:
            scores = self._session.run(None, {self._input.name: values})[0]
        except self._errors as error:
            raise StyleSwapError(
                f"expected {self.path} to accept pictures (1, 3, {self._side}, {self._side}), but it failed "
                f"({one_line(error)}); use another parsing model"
            ) from error
        face = cv2.resize(self._face_share(np.asarray(scores)), (size, size), interpolation=cv2.INTER_LINEAR)
        return np.clip(np.rint(face * 255), 0, 255).astype(np.uint8)

    def _face_share(self, scores: np.ndarray) -> np.ndarray:
        """Scores (1, C, h, w) -> (h, w) float32, 1 on the face and 0 elsewhere."""
        if scores.ndim != 4 or len(scores) != 1:
            raise StyleSwapError(
                f"expected scores (1, classes, h, w) from {self.path}, got {scores.shape}; use another model"
            )
        count = scores.shape[1]
        if count == 1 and not self._classes:
            return (scores[0, 0] > 0).astype(np.float32)
        classes = self._classes or CELEBA_FACE
        if (not self._classes and count != CELEBA_CLASSES) or max(classes) >= count:
            raise StyleSwapError(
                f"{self.path} has {count} classes; state which of them are face with --parsing-classes 1,2,..."
            )
        return np.isin(scores[0].argmax(0), classes).astype(np.float32)
