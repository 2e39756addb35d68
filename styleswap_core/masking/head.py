"""Head of average proportions, fitted to five points: its orientation and outline.

The fit is a similarity transform under orthographic projection. Yaw and roll are accurate to a few degrees; pitch is
less accurate, because long and short faces differ in the same way as raised and lowered ones.
"""

from dataclasses import dataclass

import numpy as np

# Millimeters; x right, y down, z toward the viewer, from the midpoint between the pupils. The plane of eyes and mouth
# has the proportions of the FFHQ template for a pupil distance of 63 mm; the depths are anthropometric means.
FIVE = np.array([[-31.5, 0, 0], [31.5, 0, 0], [0, 37, 28], [-27.5, 66, 3], [27.5, 66, 3]])
"""The five points (5, 3)."""


@dataclass(frozen=True)
class Ellipsoid:
    """Front half of an ellipsoid: semi-axes, and height and depth of its center, in millimeters."""

    width: float
    height: float
    depth: float
    y: float
    z: float

    def surface(self) -> np.ndarray:
        """Points (N, 3) on the surface."""
        around = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        around, away = np.meshgrid(around, np.linspace(0, np.pi / 2, 8))
        x, y = self.width * np.sin(away) * np.cos(around), self.height * np.sin(away) * np.sin(around)
        return np.stack([x, self.y + y, self.z + self.depth * np.cos(away)], -1).reshape(-1, 3)


FACE = Ellipsoid(70, 92, 60, 21, -45)  # from hairline to chin
CORE = Ellipsoid(50, 66, 60, 30, -40)  # certainly face
SURROUNDINGS = Ellipsoid(84, 104, 60, 14, -45)  # everything outside is certainly not face


@dataclass(frozen=True, eq=False)
class HeadFit:
    """Position and orientation of a head.

    Attributes:
        linear: (2, 3), pixels per millimeter.
        shift: (2,), pixels.
        yaw: Degrees, positive if the nose points to the right of the picture.
        pitch: Degrees, positive if the face is raised.
        roll: Degrees, positive counterclockwise.
    """

    linear: np.ndarray
    shift: np.ndarray
    yaw: float
    pitch: float
    roll: float

    def outline(self, part: Ellipsoid) -> np.ndarray:
        """Points (N, 2), in pixels, whose convex hull is the outline of a part of the head."""
        return part.surface() @ self.linear.T + self.shift


def fit_head(points: np.ndarray) -> HeadFit:
    """Fit the head to five points (5, 2), in pixels."""
    center, model = points.mean(0), FIVE - FIVE.mean(0)
    # The least-squares linear map, then the nearest one that is a rotation and a scale.
    linear = np.linalg.lstsq(model, points - center, rcond=None)[0].T  # (2, 3)
    left, scales, right = np.linalg.svd(linear, full_matrices=False)
    rotation = left @ right  # (2, 3), orthonormal rows
    linear = rotation * scales.mean()
    forward = np.cross(rotation[0], rotation[1])
    # Order of rotations: pitch, yaw, roll. The third row of the rotation matrix does not depend on roll.
    yaw = -np.degrees(np.arcsin(np.clip(forward[0], -1, 1)))
    pitch = np.degrees(np.arctan2(forward[1], forward[2]))
    roll = -np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))
    return HeadFit(linear, center - linear @ FIVE.mean(0), float(yaw), float(pitch), float(roll))
