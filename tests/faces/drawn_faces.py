"""Faces drawn as five colored disks, and a detector for them with the habits of real ones."""

import cv2
import numpy as np

from styleswap_core.faces.alignment import TEMPLATES
from styleswap_core.faces.close_looks import angle_between, roll_of
from styleswap_core.faces.face_networks import Detection

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
TEMPLATE = np.array(TEMPLATES["arcface_112"])
CENTER = TEMPLATE.mean(0)


def face_points(center, side, roll=0.0):
    """(5, 2): five points of a face whose crop would have this side, turned clockwise by `roll` degrees."""
    angle = np.radians(roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (TEMPLATE - CENTER) @ turn.T * side + center


def draw_face(picture, points):
    """Draw the disks of a face into a picture."""
    side = np.linalg.norm(points - points.mean(0)) / np.linalg.norm(TEMPLATE - CENTER)
    for (x, y), color in zip(points, COLORS, strict=True):
        cv2.circle(picture, (round(x * 16 - 8), round(y * 16 - 8)), round(side * 0.09 * 16), color, -1, cv2.LINE_AA, 4)
    return picture


class UprightDetector:
    """Finds drawn faces in any turn, with a score that falls with the turn, and places their points as if upright.

    Attributes:
        runs: Shape and size of each run.
        smallest: Faces whose crop is smaller at the scale of a run are not found.
    """

    def __init__(self, smallest=8.0, any_shape=False):
        self.runs, self.smallest, self.any_shape = [], smallest, any_shape

    def detect(self, picture, size):
        self.runs.append((picture.shape[:2], size))
        scale = size / max(picture.shape[:2])
        spots = [_spots(picture, color) for color in COLORS]
        found = []
        for nose in spots[2]:
            near = [min(some, key=lambda spot: np.linalg.norm(spot - nose), default=None) for some in spots]
            if any(spot is None for spot in near):
                continue
            points = np.stack(near)
            side = np.linalg.norm(points - points.mean(0)) / np.linalg.norm(TEMPLATE - CENTER)
            roll = angle_between(roll_of(points), 0.0)
            if side * scale < self.smallest or np.linalg.norm(points - nose, axis=1).max() > side:
                continue
            center = points.mean(0)
            if roll > 30:
                points = face_points(center, side)
            found.append(Detection(np.concatenate([center - side / 2, center + side / 2]), 0.95 - roll / 600, points))
        return found


def _spots(picture, color):
    """Centers of the spots of a color."""
    low, high = np.maximum(np.subtract(color, 99), 0), np.minimum(np.add(color, 99), 255)
    count, _, stats, centers = cv2.connectedComponentsWithStats(cv2.inRange(picture, low, high))
    return [centers[row] + 0.5 for row in range(1, count) if stats[row, cv2.CC_STAT_AREA] >= 2]
