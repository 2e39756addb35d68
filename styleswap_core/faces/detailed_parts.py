"""Parts of a picture with detail: where a face can be that only a fine pass of the detector shows.

A coarse pass over the whole picture finds faces of moderate and large size. Smaller ones have detail, while skies,
walls and backgrounds that are out of focus have none. So the fine pass needs to see only the rest of the picture.
"""

from typing import NamedTuple

import cv2
import numpy as np

from .face_networks import Detection, FaceDetector

# Side of a cell in the detector's pixels, and cells by which parts extend beyond those with detail. Detectors also
# judge faces by their surroundings.
_CELL, _MARGIN = 16, 2
# Side in pixels of the means that are compared with the limit, which small faces fill.
_SPOT = 8
# What a picture shows at half its size, and not at a fifth, is detail: features of faces, and little noise.
_FINE, _COARSE = 2, 5
# Mean difference, 0..255, from which a spot has detail. Of 1,200 faces that two detectors found at 640 px and not at
# 256, blurred and down to an eighth of their contrast, the least detailed has a spot of 1.9.
_DETAIL = 1.5
# Edges of parts are at multiples, as in the detector's inputs: its grid is the same as in the whole picture.
_STRIDE = 32
# Share of the cells that a cut between two parts must save, and that parts must save together. A run of the detector
# has costs of its own.
_WORTHWHILE = 1 / 16


class Part(NamedTuple):
    """A rectangle of a picture, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Searched(NamedTuple):
    """What a search found.

    Attributes:
        faces: The faces, in pixels of the picture.
        whole: Whether the detector saw the whole picture.
    """

    faces: list[Detection]
    whole: bool


def search_details(detector: FaceDetector, picture: np.ndarray, size: int) -> Searched:
    """Search the detailed parts of a picture; all of it if the detector does not take any shape.

    Args:
        detector: The detector.
        picture: (H, W, 3) uint8 RGB.
        size: Side in pixels to which the picture's longer side is scaled.
    """
    if not detector.any_shape:
        return Searched(detector.detect(picture, size), True)
    height, width = picture.shape[:2]
    shown = _shown(picture, size)
    shape = shown.shape[1::-1]
    factors, found = np.array([width / shape[0], height / shape[1]]), []
    parts = detailed_parts(shown)
    for part in parts:
        corner = np.array([part.left, part.top])
        pixels = shown[part.top : part.bottom, part.left : part.right]
        for face in detector.detect(pixels, max(pixels.shape[:2])):
            # As detectors scale pictures: the centers of the first pixels stay in place.
            box = (face.box - 0.5 + np.tile(corner, 2)) * np.tile(factors, 2) + 0.5
            found.append(Detection(box, face.score, (face.points - 0.5 + corner) * factors + 0.5))
    return Searched(found, parts == [Part(0, 0, *shape)])


def has_detail(picture: np.ndarray, size: int) -> bool:
    """Whether there is any detail in a picture (H, W, 3) uint8 RGB whose longer side is scaled to `size` pixels."""
    return bool(_detailed_cells(_shown(picture, size)).any())


def _shown(picture: np.ndarray, size: int) -> np.ndarray:
    """The picture at the scale of a pass, as detectors scale it."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    shape = max(1, width * size // longer), max(1, height * size // longer)
    return picture if shape == (width, height) else cv2.resize(picture, shape)


def detailed_parts(picture: np.ndarray) -> list[Part]:
    """Rectangles that together hold all detail of a picture; the whole picture if they would hold most of it.

    Args:
        picture: (H, W, 3) uint8 RGB at the scale of the fine pass.
    """
    height, width = picture.shape[:2]
    cells = _detailed_cells(picture)
    grown = _Cells(cv2.dilate(cells.astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8)) > 0, 0, 0)
    parts = [_part_of(cells, width, height) for cells in _separate(grown, _WORTHWHILE * cells.size)]
    if sum((part.right - part.left) * (part.bottom - part.top) for part in parts) > (1 - _WORTHWHILE) * width * height:
        return [Part(0, 0, width, height)]
    return parts


def _detailed_cells(picture: np.ndarray) -> np.ndarray:
    """(rows, columns) bool: the cells with detail."""
    height, width = picture.shape[:2]
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    fine = _reduced(gray, (-(-width // _FINE), -(-height // _FINE)))
    coarse = _reduced(fine, (-(-width // _COARSE), -(-height // _COARSE)))
    difference = cv2.absdiff(fine, cv2.resize(coarse, fine.shape[::-1])).astype(np.float32)
    rows, columns = -(-height // _CELL), -(-width // _CELL)
    spots = _CELL // _SPOT
    means = _reduced(difference, (columns * spots, rows * spots))
    return means.reshape(rows, spots, columns, spots).max((1, 3)) > _DETAIL


def _reduced(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


class _Cells(NamedTuple):
    """A rectangle of cells, (rows, columns) bool, and the row and column of its first one."""

    set: np.ndarray
    top: int
    left: int

    def part(self, rows: slice, columns: slice) -> "_Cells":
        """A part without empty rows and columns at its edges."""
        cells = self.set[rows, columns]
        down, across = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
        if not len(down):
            return _Cells(cells[:0, :0], 0, 0)
        kept = cells[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
        return _Cells(kept, self.top + rows.start + int(down[0]), self.left + columns.start + int(across[0]))


def _separate(cells: _Cells, worthwhile: float) -> list[_Cells]:
    """Rectangles that hold all set cells, cut apart at empty rows and columns where that saves enough cells."""
    height, width = cells.set.shape
    cells = cells.part(slice(0, height), slice(0, width))
    if not cells.set.size:
        return []
    height, width = cells.set.shape
    rows, columns = slice(0, height), slice(0, width)
    cuts = [
        (cells.part(slice(0, row), columns), cells.part(slice(row, height), columns))
        for row in np.flatnonzero(~cells.set.any(1)).tolist()
    ]
    cuts += [
        (cells.part(rows, slice(0, column)), cells.part(rows, slice(column, width)))
        for column in np.flatnonzero(~cells.set.any(0)).tolist()
    ]
    best = min(cuts, key=lambda cut: cut[0].set.size + cut[1].set.size, default=None)
    if best is None or cells.set.size - best[0].set.size - best[1].set.size < worthwhile:
        return [cells]
    return _separate(best[0], worthwhile) + _separate(best[1], worthwhile)


def _part_of(cells: _Cells, width: int, height: int) -> Part:
    """A rectangle of cells in pixels, widened to multiples of the stride and limited to the picture."""
    rows, columns = cells.set.shape
    left, right = _widened(cells.left, cells.left + columns, width)
    top, bottom = _widened(cells.top, cells.top + rows, height)
    return Part(left, top, right, bottom)


def _widened(first: int, last: int, side: int) -> tuple[int, int]:
    start = first * _CELL // _STRIDE * _STRIDE
    return start, min(-(-last * _CELL // _STRIDE) * _STRIDE, side)
