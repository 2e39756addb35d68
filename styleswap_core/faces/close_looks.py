"""Close looks: the detector on small, turned cuts from places of a picture, many of them in one run."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .alignment import TEMPLATES
from .face_networks import Detection, FaceDetector

# Cuts per row of a mosaic: few choices, since some execution providers build a session for each shape, and not too many
# in one, which limits the memory of a run.
_COLUMNS = (1, 2, 3, 4, 6, 8)
# The five points of an upright face about their center, as complex numbers.
_UPRIGHT = np.array(TEMPLATES["arcface_112"]) @ [1.0, 1.0j]
_UPRIGHT = _UPRIGHT - _UPRIGHT.mean()


class Place(NamedTuple):
    """A square part of a picture that is looked at in a turned position.

    Attributes:
        center: (2,), continuous pixels.
        side: In pixels.
        angle: Degrees, clockwise as seen in the picture: a face with this roll appears upright.
    """

    center: np.ndarray
    side: float
    angle: float


def look_closely(
    detector: FaceDetector, picture: np.ndarray, places: Sequence[Place], size: int
) -> list[list[Detection]]:
    """What the detector finds at each place, in the picture's coordinates.

    Args:
        detector: The detector.
        picture: (H, W, 3) uint8 RGB.
        places: The places.
        size: Side in pixels to which each place is scaled, a multiple of the detector's stride.
    """
    found: list[list[Detection]] = []
    for start in range(0, len(places), _COLUMNS[-1] ** 2):
        part = places[start : start + _COLUMNS[-1] ** 2]
        columns = next(count for count in _COLUMNS if count**2 >= len(part))
        rows = math.ceil(len(part) / columns)
        mosaic = np.zeros((rows * size, columns * size, 3), dtype=np.uint8)
        around: dict[tuple[float, ...], _Surroundings] = {}
        for number, place in enumerate(part):
            # Shared by all turns of a place: reducing them takes longer than cutting.
            key = (*place.center.tolist(), place.side)
            if key not in around:
                around[key] = _surroundings(picture, place, size)
            row, column = divmod(number, columns)
            mosaic[row * size : (row + 1) * size, column * size : (column + 1) * size] = _cut(around[key], place, size)
        looks: list[list[Detection]] = [[] for _ in part]
        for face in detector.detect(mosaic, columns * size):
            column, row = (int(value // size) for value in face.points.mean(0))
            number = row * columns + column
            if 0 <= column < columns and row >= 0 and number < len(part):
                looks[number].append(_in_picture(face, part[number], np.array([column, row]) * size, size))
        found += looks
    return found


def cut_place(picture: np.ndarray, place: Place, size: int) -> np.ndarray:
    """The upright cut (size, size, 3) uint8 of a place; black beyond the picture."""
    return _cut(_surroundings(picture, place, size), place, size)


class _Surroundings(NamedTuple):
    """A part of a picture that holds a place in all turns, reduced to less than twice the scale of the cut.

    Attributes:
        pixels: (h, w, 3) uint8.
        corner: (2,), its upper left corner in pixels of the picture.
        factor: Pixels of the picture per pixel.
    """

    pixels: np.ndarray
    corner: np.ndarray
    factor: int


def _surroundings(picture: np.ndarray, place: Place, size: int) -> _Surroundings:
    height, width = picture.shape[:2]
    # Half the diagonal: enough for every angle.
    reach = place.side * math.sqrt(0.5) + 2
    low = np.clip(np.floor(place.center - reach), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(place.center + reach), low + 1, [width, height]).astype(int)
    pixels, factor = picture[low[1] : high[1], low[0] : high[0]], 1
    # Warping samples without a filter. Exact halves are averaged ten times as fast as other factors.
    while place.side >= 2 * factor * size and min(pixels.shape[:2]) >= 2:
        rows, columns = (side // 2 for side in pixels.shape[:2])
        half = pixels[: 2 * rows, : 2 * columns]
        pixels, factor = cv2.resize(half, (columns, rows), interpolation=cv2.INTER_AREA), 2 * factor
    return _Surroundings(pixels, low, factor)


def _cut(around: _Surroundings, place: Place, size: int) -> np.ndarray:
    matrix = _matrix(place, size)
    # From the pixels of the surroundings, whose centers OpenCV places at integers, to those of the cut.
    linear = matrix[:, :2] * around.factor
    shift = matrix[:, 2] + matrix[:, :2] @ around.corner + linear @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(around.pixels, np.hstack([linear, shift[:, None]]), (size, size))


def roll_of(points: np.ndarray) -> float:
    """Roll of a face in degrees, -180..180, clockwise as seen in the picture, by the best fit of its points (5, 2)."""
    shape = points @ [1.0, 1.0j]
    return math.degrees(np.angle(np.vdot(_UPRIGHT, shape - shape.mean())))


def angle_between(first: float, second: float) -> float:
    """Absolute difference of two angles in degrees, 0..180."""
    return abs((first - second + 180.0) % 360.0 - 180.0)


def _matrix(place: Place, size: int) -> np.ndarray:
    """(2, 3): picture -> cut, both in continuous pixels."""
    scale, angle = size / place.side, math.radians(place.angle)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.hstack([linear, (size / 2 - linear @ place.center)[:, None]])


def _in_picture(face: Detection, place: Place, corner: np.ndarray, size: int) -> Detection:
    """A detection of a mosaic in the picture's coordinates; the box is that of the turned ellipse in the found box."""
    matrix = _matrix(place, size)
    to_picture = np.linalg.inv(matrix[:, :2])
    points = (face.points - corner - matrix[:, 2]) @ to_picture.T
    low, high = face.box[:2] - corner, face.box[2:] - corner
    center = to_picture @ ((low + high) / 2 - matrix[:, 2])
    half = np.linalg.norm(to_picture * ((high - low) / 2), axis=1)
    return Detection(np.concatenate([center - half, center + half]), face.score, points)
