"""Shapes of brows, eyes, nose and mouth in aligned crops, from dense landmarks or from five points."""

import numpy as np

from .head import FIVE, HeadFit, fit_head
from .outlines import filled_hull, filled_polygon, mouth_outline

FEATURES = ("brows", "eyes", "nose", "mouth")
"""Features of a face that have a shape."""

# Landmarks of both sides of each feature, by the number of landmarks: iBUG 300-W's 68 and insightface's 106.
_LANDMARKS = {
    68: {
        "brows": (slice(17, 22), slice(22, 27)),
        "eyes": (slice(36, 42), slice(42, 48)),
        "nose": (slice(27, 36),),
    },
    106: {
        "brows": (slice(43, 52), slice(97, 106)),
        "eyes": (slice(33, 43), slice(87, 97)),
        "nose": (slice(72, 87),),
    },
}
# Landmarks lie on the edges of lids and nostrils; the shapes reach this many millimeters beyond them. Of the brows,
# 68 landmarks only have a line.
_REACH = {"brows": 3.0, "eyes": 2.5, "nose": 4.0}

# The average face in millimeters, as in head.py; the left side as seen in the picture. Each eye and brow moves with its
# own pupil.
_EYE = FIVE[0].astype(float)
_EYE_AXES = (18.0, 9.5)
_BROW = np.array(
    [[-10, -13, 4], [-14, -22, 4], [-34, -28, 2], [-52, -23, -8], [-59, -11, -14], [-46, -17, -4], [-30, -20, 2]],
    dtype=float,
)
_NOSE = np.array(
    [
        [-8, -4, 12],
        [8, -4, 12],
        [13, 25, 18],
        [19, 36, 13],
        [17, 44, 13],
        [0, 50, 20],
        [-17, 44, 13],
        [-19, 36, 13],
        [-13, 25, 18],
    ],
    dtype=float,
)
_NOSE_TIP = FIVE[2].astype(float)


def feature_mask(points: np.ndarray, landmarks: np.ndarray | None, feature: str, size: int) -> np.ndarray:
    """Mask of a feature.

    Args:
        points: (5, 2), pixels of the crop.
        landmarks: (N, 2), pixels of the crop; or None.
        feature: One of FEATURES; the mouth has its lips.
        size: Size of the crop.

    Returns:
        (size, size) uint8, 255 inside.
    """
    points = points.astype(np.float64)
    if feature == "mouth":
        return filled_hull(mouth_outline(points, landmarks, margin=1.0), size)
    head = fit_head(points)
    if landmarks is not None and len(landmarks) in _LANDMARKS:
        sides = [landmarks[side].astype(np.float64) for side in _LANDMARKS[len(landmarks)][feature]]
        reach = _REACH[feature] * float(np.linalg.norm(head.linear[0]))
        return np.maximum.reduce([filled_hull(_widened(side, reach), size) for side in sides])
    if feature == "nose":
        return filled_hull(_NOSE @ head.linear.T + (points[2] - head.linear @ _NOSE_TIP), size)
    sides = [_paired(feature, head, points, side) for side in (0, 1)]
    return np.maximum.reduce([filled_polygon(side, size) for side in sides])


def _paired(feature: str, head: HeadFit, points: np.ndarray, side: int) -> np.ndarray:
    """Outline (N, 2) in pixels of the eye or brow of the left (0) or right (1) side as seen in the picture."""
    mirror = np.array([1.0 if side == 0 else -1.0, 1.0, 1.0])
    if feature == "eyes":
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        across, down = _EYE_AXES
        outline = _EYE + np.stack([across * np.cos(angle), down * np.sin(angle), 0 * angle], 1)
    else:
        outline = _BROW
    return (outline - _EYE) * mirror @ head.linear.T + points[side]


def _widened(outline: np.ndarray, reach: float) -> np.ndarray:
    """Points around each point of an outline, whose convex hull reaches that far beyond it."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = reach * np.stack([np.cos(angle), np.sin(angle)], 1)
    return (outline[:, None] + circle).reshape(-1, 2)
