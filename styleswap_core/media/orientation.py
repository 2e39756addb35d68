"""Orientation of frames: the display matrix of a video file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..compositing.video_picture import PlaneGrid


@dataclass(frozen=True)
class Orientation:
    """How a decoded frame is shown: transposed first, then mirrored.

    Attributes:
        transposed: Rows become columns.
        flip_x: Mirrored from left to right.
        flip_y: Mirrored from top to bottom.
    """

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_matrix(cls, matrix: Sequence[int]) -> "Orientation":
        """Orientation closest to a display matrix.

        Args:
            matrix: Nine numbers a b u, c d v, x y w, which act on row vectors (x, y, 1). Zeros, which some writers
                leave behind, are the identity.
        """
        a, b, _, c, d = matrix[:5]
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @property
    def is_identity(self) -> bool:
        """Whether frames are shown as they are."""
        return self == Orientation()

    def upright(self, plane: np.ndarray) -> np.ndarray:
        """View of a plane (h, w, ...) as it is shown."""
        plane = plane.swapaxes(0, 1) if self.transposed else plane
        return plane[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def upright_grid(self, grid: PlaneGrid) -> PlaneGrid:
        """Grid of the plane that `upright` returns."""
        x, y = (grid.y, grid.x) if self.transposed else (grid.x, grid.y)
        return PlaneGrid(x.flipped() if self.flip_x else x, y.flipped() if self.flip_y else y)
