"""Dense landmarks in 3D and head pose, by the model that insightface's larger packs bring (1k3d68 in buffalo_l)."""

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from .packs import Roots, build_analysis, find_pack

MODULE = "landmark_3d_68"


class DenseFace(NamedTuple):
    """landmarks (68, 3) float32 in the order of iBUG 300-W, x and y in continuous picture pixels, depth in the same unit;
    pose (3,) pitch, yaw, roll in degrees."""

    landmarks: np.ndarray
    pose: np.ndarray


class DenseLandmarks:
    """Reads 68 landmarks and the pose of a face that a detector found."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.name = Path(model.model_file).stem

    def read(self, picture: np.ndarray, box: np.ndarray) -> DenseFace:
        """The face in `box` (4,), x0, y0, x1, y1 in continuous pixels, of a picture (H, W, 3) uint8 RGB."""
        from insightface.app.common import Face

        face = Face(bbox=np.asarray(box, dtype=np.float64) - 0.5)
        landmarks = self._model.get(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), face)
        # Pixel centres at 0 there, at 0.5 here; depth has no pixels.
        return DenseFace(np.float32(landmarks + np.array([0.5, 0.5, 0.0])), np.float32(face["pose"]))


def load_dense_landmarks(pack: str | Path | None = None, root: Roots = None) -> DenseLandmarks | None:
    """The landmark model of a pack, or None where the pack has none; `pack` and `root` as for `load_face_analysis`.

    Raises:
        StyleSwapError: insightface or the pack is missing or damaged.
    """
    model = build_analysis(find_pack(pack, root), modules=("detection", MODULE)).models.get(MODULE)
    return None if model is None else DenseLandmarks(model)
