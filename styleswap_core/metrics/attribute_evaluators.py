"""Pose and expression of a result against its target, by whatever can read them from the pictures at hand.

- `regressors`: the networks of regressors.py. They know rendered faces only.
- `landmarks`: the 3D landmark model of an insightface pack. Pose is insightface's; expression is read from openings and
  distances between the landmarks in 3D, which turning the head does not change.
- `points`: the detector's five points and a rigid head. Crude: pose alone, and a few degrees of it are the points' noise.
"""

from typing import Protocol

import cv2
import numpy as np
import torch

from ..faces.detected import DetectedFace
from ..faces.landmarks import LandmarkModel
from ..io.images import from_uint8
from ..synthetic.exact_landmarks import head_points
from ..synthetic.geometry import build_shape
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from .attribute_regressors import AttributeRegressor, expression_error, gaze_error_deg, pose_error_deg, read_attributes

# Pairs of iBUG 300-W points whose distances change with the expression: both lids of each eye, the lips inside, the
# mouth's corners, and each brow over its eye.
_EXPRESSION_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46), (62, 66), (48, 54), (19, 37), (24, 44))
_EYE_CORNERS = (36, 45)
# Focal length in extents of the five points, as pictures do not say it: of those tried, near the one that gives turns of the
# face world's heads back best.
_FOCAL_LENGTH = 4.0
_HEADS = 32


class AttributeJudge(Protocol):
    """Compares the attributes of two pictures of about one place. `name` is a row of this module's docstring; `note` says
    what it is and what it knows.
    """

    name: str
    note: str

    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Key -> error; pictures (H, W, 3) uint8 RGB."""
        ...


class RegressorJudge:
    """The face world's regressors, which read both pictures through the window that aligns the target's points."""

    name = "regressors"
    note = "small networks trained on rendered faces; they know rendered faces only"

    def __init__(self, regressor: AttributeRegressor, device: torch.device) -> None:
        self._regressor, self._device = regressor, device

    @torch.no_grad()
    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Degrees of pose and gaze, and the mean difference of the expression parameters."""
        points = torch.from_numpy(target_face.points)[None].to(self._device)
        first, second = (
            read_attributes(self._regressor, from_uint8(picture).to(self._device), points)
            for picture in (target, result)
        )
        return {
            "pose_error_deg": float(pose_error_deg(first.pose, second.pose)),
            "expression_error": float(expression_error(first.expression, second.expression)),
            "gaze_error_deg": float(gaze_error_deg(first.gaze, second.gaze)),
        }


class LandmarkJudge:
    """A pack's 3D landmarks, read in each picture at its own face's box."""

    name = "landmarks"

    def __init__(self, landmarks: LandmarkModel) -> None:
        self._landmarks = landmarks
        self.note = (
            f"68 landmarks in 3D and the pose of the pack's {landmarks.name}; expression: distances between landmarks"
        )

    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Degrees of pose, and the mean difference of the `expression_distances`."""
        first, second = self._landmarks.read(target, target_face.box), self._landmarks.read(result, result_face.box)
        change = np.abs(expression_distances(first.points) - expression_distances(second.points))
        return {
            "pose_error_deg": angle_distance(first.pose, second.pose),
            "landmark_expression_error": float(change.mean()),
        }


class PointsJudge:
    """The detector's five points, held to the face world's mean head."""

    name = "points"
    note = "the detector's five points held to a rigid head: pose alone, crude; a pack with 3D landmarks is better"

    def __init__(self) -> None:
        self._head = _mean_head()

    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Degrees of pose."""
        first, second = self.pose(target_face.points), self.pose(result_face.points)
        return {"pose_error_deg": angle_distance(first, second)}

    def pose(self, points: np.ndarray) -> np.ndarray:
        """(3,) pitch, yaw, roll in degrees of a face by its five points (5, 2)."""
        side = float(np.ptp(points, axis=0).max())
        focal = _FOCAL_LENGTH * side
        center = points.mean(axis=0)
        camera = np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]], dtype=np.float64)
        _, turn, shift = cv2.solvePnP(self._head, np.float64(points), camera, None, flags=cv2.SOLVEPNP_SQPNP)
        turn, _ = cv2.solvePnPRefineLM(self._head, np.float64(points), camera, None, turn, shift)
        return np.float32(cv2.RQDecomp3x3(cv2.Rodrigues(turn)[0])[0])


def angle_distance(first: np.ndarray, second: np.ndarray) -> float:
    """L2 distance of two sets of angles in degrees, each difference by the shorter way round."""
    return float(np.linalg.norm((first - second + 180.0) % 360.0 - 180.0))


def expression_distances(landmarks: np.ndarray) -> np.ndarray:
    """(8,) distances that the expression changes, as shares of the distance of the outer eye corners; landmarks (68, 3)."""
    outer, inner = np.array(_EXPRESSION_PAIRS).T
    scale = np.linalg.norm(landmarks[_EYE_CORNERS[0]] - landmarks[_EYE_CORNERS[1]])
    return np.linalg.norm(landmarks[outer] - landmarks[inner], axis=1) / max(float(scale), 1e-6)


def _mean_head() -> np.ndarray:
    """(5, 3) five points of the face world's mean head, in OpenCV's camera axes: y down, z away."""
    people = Identities.from_seeds(IDENTITY_SEEDS["train"][:_HEADS])
    attributes = Attributes.from_seeds(ATTRIBUTE_SEEDS["train"][:_HEADS])
    five = head_points(build_shape(people, attributes))[0].mean(dim=0)
    return np.float64(five.numpy() * [1.0, -1.0, -1.0])
