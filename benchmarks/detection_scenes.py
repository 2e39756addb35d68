"""Pictures for the benchmarks of detection: heads that are turned, in crowds, alone, and of mixed sizes in a frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from styleswap_core.faces.analysis import PackAnalyzer
from styleswap_core.io.images import load_image, to_uint8
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

CROWD, CROWD_SIZE = 60, (3840, 2160)
FRAME_SIZE = (1920, 1080)
# Kinds of backgrounds: out of focus, the same with the noise of a camera in the whole picture, and in focus.
BACKDROPS = ("blurred", "blurred, noisy", "detailed")
# Sides of heads' pictures in a frame of mixed sizes, as shares of its height.
_LARGE, _SMALL = (0.4, 0.8), (0.08, 0.2)


class Portrait(NamedTuple):
    """A picture with one upright head, and the head's five points (5, 2)."""

    picture: np.ndarray
    points: np.ndarray


class Scene(NamedTuple):
    """A picture, and the five points (5, 2) of each of its heads, the largest first."""

    picture: np.ndarray
    heads: list[np.ndarray]


def load_portraits(analyzer: PackAnalyzer, folder: Path) -> list[Portrait]:
    """The pictures of a folder, with the points that the detector finds upright."""
    pictures = [load_image(path) for path in sorted(folder.iterdir())]
    return [Portrait(picture, analyzer.detect(picture, embed=False)[0].points) for picture in pictures]


def rendered_portraits(count: int) -> list[Portrait]:
    """Pictures of the face world with their exact points."""
    faces = render(Identities.from_seeds(range(500, 500 + count)), Attributes.from_seeds(range(900, 900 + count)), 384)
    return [
        Portrait(picture, points.numpy()) for picture, points in zip(to_uint8(faces.image), faces.points, strict=True)
    ]


def turn_portrait(portrait: Portrait, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """A portrait turned clockwise about its middle, its border repeated, and its points."""
    height, width = portrait.picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -turn, 1.0)
    picture = cv2.warpAffine(portrait.picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return picture, (portrait.points - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


def scatter(portraits: Sequence[Portrait], side: int) -> Scene:
    """A picture with CROWD portraits of `side` pixels at random places."""
    rng = np.random.default_rng(0)
    width, height = CROWD_SIZE
    picture = cv2.resize(rng.integers(60, 200, (9, 16, 3), dtype=np.uint8), CROWD_SIZE, interpolation=cv2.INTER_CUBIC)
    columns = 10
    cell = np.array([width // columns, height * columns // CROWD])
    heads = []
    for number in range(CROWD):
        row, column = divmod(number, columns)
        x, y = cell * [column, row] + [int(rng.integers(0, room)) for room in cell - side]
        heads.append(_paste(picture, portraits[number % len(portraits)], side, x, y))
    return Scene(picture, heads)


def one_face(portrait: Portrait, width: int, height: int, kind: str = BACKDROPS[0]) -> np.ndarray:
    """A picture in which a portrait takes 70 % of the shorter side."""
    picture, side = backdrop(width, height, kind), round(0.7 * min(width, height))
    _paste(picture, portrait, side, (width - side) // 3, (height - side) // 2)
    return _exposed(picture, kind)


def mixed(portraits: Sequence[Portrait], count: int, kind: str, seed: int) -> Scene:
    """A frame with one large head and `count - 1` small ones at random places, none of which covers another."""
    rng = np.random.default_rng(seed)
    width, height = FRAME_SIZE
    picture, taken, heads = backdrop(width, height, kind, seed), np.zeros((height, width), bool), []
    while len(heads) < count:
        side = round(height * rng.uniform(*(_SMALL if heads else _LARGE)))
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        if not taken[y : y + side, x : x + side].any():
            taken[y : y + side, x : x + side] = True
            heads.append(_paste(picture, portraits[(7 * seed + len(heads)) % len(portraits)], side, x, y))
    return Scene(_exposed(picture, kind), heads)


def backdrop(width: int, height: int, kind: str = BACKDROPS[0], seed: int = 1) -> np.ndarray:
    """A background (height, width, 3) uint8 without faces."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (9, 16, 3), dtype=np.uint8)
    blurred = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if kind != "detailed":
        return blurred
    picture = blurred.astype(np.float32)
    # As much contrast at each scale down to two pixels, as in photographs of foliage or brickwork.
    for scale in (2, 4, 8, 16, 32):
        noise = rng.normal(0, 8, (-(-height // scale), -(-width // scale), 1)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def eye_distance(points: np.ndarray) -> float:
    """Distance between the eyes of five points, in pixels."""
    return float(np.linalg.norm(points[1] - points[0]))


def _exposed(picture: np.ndarray, kind: str) -> np.ndarray:
    """The picture with the noise of its kind."""
    if kind != "blurred, noisy":
        return picture
    noise = np.random.default_rng(3).normal(0, 2, picture.shape).astype(np.float32)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _paste(picture: np.ndarray, portrait: Portrait, side: int, x: int, y: int) -> np.ndarray:
    """Paste a portrait with its upper left corner at a place; returns its points there."""
    picture[y : y + side, x : x + side] = cv2.resize(portrait.picture, (side, side), interpolation=cv2.INTER_AREA)
    return portrait.points * side / portrait.picture.shape[0] + [x, y]
