"""Many landmarks of a face, and its pose, by the models for them that insightface's larger packs bring.

Like analysis.py it speaks insightface's convention (BGR, pixel centers at 0) on one side and the package's on the other.
"""

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..errors import StyleSwapError
from .packs import load_model_file

FLAT, SOLID = "2d106det.onnx", "1k3d68.onnx"
"""insightface's files: 106 points in the picture, and 68 points in space with the pose. Of the outline, the first has more."""


class Landmarks(NamedTuple):
    """What a model reads of one face.

    Attributes:
        points: (106, 2) or (68, 3) float32, x and y in continuous pixels of the picture, depth in the same unit; the 68 in
            the order of iBUG 300-W.
        pose: (3,) float32 pitch, yaw, roll in degrees; None where the points are flat.
    """

    points: np.ndarray
    pose: np.ndarray | None


class LandmarkModel:
    """Reads the landmarks of a face that a detector found; `load_landmark_model` makes one.

    Attributes:
        name: stem of its file.
    """

    def __init__(self, model: Any, name: str) -> None:
        self._model, self.name = model, name

    def read(self, picture: np.ndarray, box: np.ndarray) -> Landmarks:
        """The landmarks of one face.

        Args:
            picture: (H, W, 3) uint8 RGB.
            box: (4,) x0, y0, x1, y1, continuous pixels.
        """
        from insightface.app.common import Face

        # The model writes what it finds into the face, too: the pose is there alone.
        face = Face(bbox=np.asarray(box, dtype=np.float64) - 0.5)
        points = np.float32(self._model.get(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), face))
        # Pixel centers at 0 there, at 0.5 here; depth has no pixels.
        points[:, :2] += 0.5
        return Landmarks(points, np.float32(face["pose"]) if "pose" in face else None)


def load_landmark_model(folder: Path, files: tuple[str, ...] = (FLAT, SOLID), threads: int = 0) -> LandmarkModel | None:
    """The landmark model in a pack's folder, or None if it has none.

    Args:
        folder: as `packs.find_pack` gives it.
        files: names to look for, the first that is there is taken; (SOLID,) for a model that knows the pose.
        threads: of ONNX Runtime on the CPU; 0: its own choice.

    Raises:
        StyleSwapError: insightface is missing, or the file is damaged or no landmark model of its name's kind.
    """
    path = next((folder / name for name in files if (folder / name).is_file()), None)
    if path is None:
        return None
    kind = "landmark_3d_68" if path.name == SOLID else "landmark_2d_"
    model = load_model_file(path, threads)
    if not str(getattr(model, "taskname", "")).startswith(kind):
        raise StyleSwapError(f"expected a landmark model in {path}, got another kind; replace the file")
    return LandmarkModel(model, path.stem)
