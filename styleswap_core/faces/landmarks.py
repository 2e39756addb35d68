"""Dense facial landmarks and head pose, from the landmark models of insightface's larger packs.

As in analysis.py, the models follow insightface's conventions and the results those of this package.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ..errors import StyleSwapError
from .insightface_types import LandmarkNetwork
from .packs import load_model_file

FLAT, SOLID = "2d106det.onnx", "1k3d68.onnx"
"""Files of insightface: 106 points in the picture, more of them on the outline, and 68 points in space with pose."""


class Landmarks(NamedTuple):
    """Landmarks of one face.

    Attributes:
        points: (106, 2) or (68, 3) float32: x and y in continuous pixels of the picture, depth in the same unit. The 68
            points are in the order of iBUG 300-W.
        pose: (3,) float32 pitch, yaw and roll in degrees; None for the model of 106 points.
    """

    points: np.ndarray
    pose: np.ndarray | None


class LandmarkModel:
    """Landmark model for detected faces, made by `load_landmark_model`.

    Attributes:
        name: Stem of its file name.
    """

    def __init__(self, model: LandmarkNetwork, name: str) -> None:
        self._model, self.name = model, name

    def read(self, picture: np.ndarray, box: np.ndarray) -> Landmarks:
        """The landmarks of one face.

        Args:
            picture: (H, W, 3) uint8 RGB.
            box: (4,) x0, y0, x1, y1, continuous pixels.
        """
        from insightface.app.common import Face

        # The model also writes its results into the face; the pose is returned nowhere else.
        face = Face(bbox=np.asarray(box, dtype=np.float64) - 0.5)
        points = np.array(self._model.get(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), face), dtype=np.float32)
        # insightface places pixel centers at integers; depth is relative.
        points[:, :2] += 0.5
        return Landmarks(points, np.asarray(face["pose"], dtype=np.float32) if "pose" in face else None)


def load_landmark_model(
    folder: Path,
    files: tuple[str, ...] = (FLAT, SOLID),
    threads: int = 0,
    providers: Sequence[str] | None = None,
) -> LandmarkModel | None:
    """Landmark model in a pack's folder, or None if it has none.

    Args:
        folder: Folder of the pack, see `packs.find_pack`.
        files: File names in order of preference; (SOLID,) for a model with pose.
        threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.
        providers: Execution providers of ONNX Runtime; by default the best available.

    Raises:
        StyleSwapError: insightface is missing, or the file is damaged or not the model that its name says.
    """
    path = next((folder / name for name in files if (folder / name).is_file()), None)
    if path is None:
        return None
    kind = "landmark_3d_68" if path.name == SOLID else "landmark_2d_"
    model = load_model_file(path, threads, providers)
    if not str(getattr(model, "taskname", "")).startswith(kind):
        raise StyleSwapError(f"expected a landmark model in {path}, got another type of model; replace the file")
    return LandmarkModel(model, path.stem)


def adopt_landmark_model(models: Mapping[str, LandmarkNetwork]) -> LandmarkModel | None:
    """Landmark model out of the models of an insightface `FaceAnalysis`, or None if it has none loaded."""
    name = next((name for name in ("landmark_2d_106", "landmark_3d_68") if name in models), None)
    return None if name is None else LandmarkModel(models[name], name)
