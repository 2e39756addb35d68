"""Pose and expression errors of a result against its target, measured from the pictures alone.

Three evaluators, since no single one suits all pictures:

- `regressors`: the networks of attribute_regressors.py, for rendered faces only.
- `landmarks`: the 3D landmark model of an insightface pack. Pose is insightface's own estimate; expression is compared
  by distances between 3D landmarks, which do not change when the head turns.
- `points`: the detector's five points, fitted to a rigid head. Pose only, and noise in the points alone causes errors
  of a few degrees.
"""

from typing import Protocol

import cv2
import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.detected import DetectedFace
from ..faces.landmarks import LandmarkModel, Landmarks
from ..io.images import from_uint8
from ..synthetic.exact_landmarks import head_points
from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from ..synthetic.shape import build_shape
from .attribute_regressors import AttributeRegressor, expression_error, gaze_error_deg, pose_error_deg, read_attributes

# Pairs of iBUG 300-W landmarks whose distance depends on the expression: upper and lower lid of each eye (two pairs
# each), inner lips, mouth corners, and each brow with its eye.
_EXPRESSION_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46), (62, 66), (48, 54), (19, 37), (24, 44))
_OUTER_EYE_CORNERS = (36, 45)
# Focal length relative to the extent of the five points, since pictures do not tell it. The value that recovers
# rotations of the face world's heads best among those tried.
_FOCAL_LENGTH = 4.0
_HEADS_IN_MEAN = 32


class AttributeEvaluator(Protocol):
    """Compares pose and expression of a face in a result with those in its target.

    Attributes:
        name: One of the names in the module's docstring.
        note: What the evaluator is and which pictures it is meant for; ends up in reports.
    """

    name: str
    note: str

    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Errors by key, from two pictures (H, W, 3) uint8 RGB of the same size."""
        ...


class RegressorEvaluator:
    """The face world's regressors; both pictures are cropped with the similarity transform of the target's points."""

    name = "regressors"
    note = "small networks trained on rendered faces, meaningless for photographs"

    def __init__(self, regressor: AttributeRegressor, device: torch.device) -> None:
        self._regressor, self._device = regressor, device

    @torch.no_grad()
    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Pose and gaze errors in degrees, and the mean absolute difference of the expression parameters."""
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


class LandmarkEvaluator:
    """3D landmarks of an insightface pack, detected in the face's box of each picture."""

    name = "landmarks"

    def __init__(self, landmarks: LandmarkModel) -> None:
        self._landmarks = landmarks
        self.note = (
            f"pose and 68 landmarks in 3D from the pack's {landmarks.name}; expression: distances between landmarks"
        )

    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Pose error in degrees, and the mean absolute difference of the `expression_distances`.

        Raises:
            StyleSwapError: The landmark model does not estimate the pose.
        """
        first, second = self._landmarks.read(target, target_face.box), self._landmarks.read(result, result_face.box)
        change = np.abs(expression_distances(first.points) - expression_distances(second.points))
        return {
            "pose_error_deg": angle_distance(self._pose(first), self._pose(second)),
            "landmark_expression_error": float(change.mean()),
        }

    def _pose(self, landmarks: Landmarks) -> np.ndarray:
        if landmarks.pose is None:
            raise StyleSwapError(
                f"expected a landmark model that estimates the pose, such as 1k3d68.onnx, got {self._landmarks.name}"
            )
        return landmarks.pose


class PointsEvaluator:
    """Head pose from the detector's five points, fitted to the face world's mean head."""

    name = "points"
    note = "five points of the detector fitted to a rigid head: pose only, crude; prefer a pack with 3D landmarks"

    def __init__(self) -> None:
        self._head = _mean_head()

    def errors(
        self, target: np.ndarray, target_face: DetectedFace, result: np.ndarray, result_face: DetectedFace
    ) -> dict[str, float]:
        """Pose error in degrees."""
        first, second = self.pose(target_face.points), self.pose(result_face.points)
        return {"pose_error_deg": angle_distance(first, second)}

    def pose(self, points: np.ndarray) -> np.ndarray:
        """Pitch, yaw and roll (3,) in degrees, from five points (5, 2) in pixels."""
        extent = float(np.ptp(points, axis=0).max())
        focal = _FOCAL_LENGTH * extent
        center = points.mean(axis=0)
        camera = np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]], dtype=np.float64)
        _, rotation, shift = cv2.solvePnP(self._head, np.float64(points), camera, None, flags=cv2.SOLVEPNP_SQPNP)
        rotation, _ = cv2.solvePnPRefineLM(self._head, np.float64(points), camera, None, rotation, shift)
        return np.asarray(cv2.RQDecomp3x3(cv2.Rodrigues(rotation)[0])[0], dtype=np.float32)


def angle_distance(first: np.ndarray, second: np.ndarray) -> float:
    """L2 distance of two sets of angles in degrees; each difference is wrapped to -180..180."""
    return float(np.linalg.norm((first - second + 180.0) % 360.0 - 180.0))


def expression_distances(landmarks: np.ndarray) -> np.ndarray:
    """Distances (8,) that vary with the expression, relative to the distance of the outer eye corners.

    Args:
        landmarks: (68, 3) in the order of iBUG 300-W.
    """
    first, second = np.array(_EXPRESSION_PAIRS).T
    scale = np.linalg.norm(landmarks[_OUTER_EYE_CORNERS[0]] - landmarks[_OUTER_EYE_CORNERS[1]])
    return np.linalg.norm(landmarks[first] - landmarks[second], axis=1) / max(float(scale), 1e-6)


def _mean_head() -> np.ndarray:
    """Five points (5, 3) of the face world's mean head, in OpenCV's camera axes: y down, z away from the camera."""
    people = Identities.from_seeds(IDENTITY_SEEDS["train"][:_HEADS_IN_MEAN])
    attributes = Attributes.from_seeds(ATTRIBUTE_SEEDS["train"][:_HEADS_IN_MEAN])
    five = head_points(build_shape(people, attributes))[0].mean(dim=0)
    return np.float64(five.numpy() * [1.0, -1.0, -1.0])
