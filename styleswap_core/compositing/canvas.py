"""Pictures that faces are cut from and pasted into.

Only the regions of swapped faces are ever converted, moved or written, so the rest of a picture keeps its exact values,
and a large picture costs little more than a small one. Faces of one size are cut and pasted together, across pictures.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ..faces.alignment import crop_box, matrix_scale, paste_layers, shift_origin, warp
from .pixels import Box, Picture, pixels_of, result_pixels

_BOX_STEP = 32


class Canvas:
    """The target pictures and the result that grows on a copy of them; crops always come from the target."""

    def __init__(self, targets: Sequence[Picture]) -> None:
        """Start with the targets themselves as results.

        Args:
            targets: Pictures, each of any kind and size; not modified.

        Raises:
            StyleSwapError: Something that is not a picture.
        """
        self._targets = [pixels_of(target) for target in targets]
        self._results = [result_pixels(target) for target in targets]
        self._masks = [torch.zeros(1, *target.size) for target in self._targets]

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self._targets)

    def pixels(self, picture: int, result: bool = False) -> np.ndarray:
        """(H, W, 3) uint8 of the target, or of the result so far."""
        return (self._results if result else self._targets)[picture].uint8()

    def result(self, picture: int) -> tuple[np.ndarray | torch.Tensor, torch.Tensor]:
        """One picture's result so far, as it came, and its mask (H, W) float32 0..1: how much of each pixel is new."""
        return self._results[picture].values, self._masks[picture][0]

    def read_crops(
        self, pictures: Sequence[int], matrices: torch.Tensor, size: int, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Aligned crops of the target, (N, 3, size, size) float32 on `device`.

        Args:
            pictures: of each crop.
            matrices: (N, 2, 3), picture -> crop.
        """
        # Beyond the crop's own outline, antialiasing and interpolation reach about one crop pixel.
        boxes = {row: self._box(picture, matrices[row], size, reach=2.0) for row, picture in enumerate(pictures)}
        crops = torch.empty(len(pictures), 3, size, size, device=device)
        for rows in self._alike(pictures, boxes):
            regions = [self._targets[pictures[row]].region(boxes[row]) for row in rows]
            floats = self._targets[pictures[rows[0]]].floats(regions, device)
            crops[rows] = warp(floats, _in_boxes(matrices, boxes, rows).to(device), size)
        return crops

    def paste(self, pictures: Sequence[int], layers: torch.Tensor, masks: torch.Tensor, matrices: torch.Tensor) -> None:
        """Blend layers (N, 3, S, S) into the result under masks (N, 1, S, S), both on one device; the last on top."""
        shown = {row: part for row, part in enumerate(map(_extent, masks.cpu())) if part is not None}
        boxes = {
            row: self._box(pictures[row], matrices[row], layers.shape[-1], reach=1.0, part=part)
            for row, part in shown.items()
        }
        ready: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for rows in self._alike(pictures, boxes):
            x0, y0, x1, y1 = boxes[rows[0]]
            at = _in_boxes(matrices, boxes, rows).to(layers)
            color, weight = paste_layers(layers[rows], at, (y1 - y0, x1 - x0), masks[rows])
            ready |= dict(zip(rows, zip(color.cpu(), weight.cpu(), strict=True), strict=True))
        # In the order given, so that of two faces that overlap the same one lies on top however they were grouped.
        for row in sorted(ready):
            self._blend(pictures[row], boxes[row], *ready[row])

    def _box(self, picture: int, matrix: torch.Tensor, size: int, reach: float, part: Box | None = None) -> Box:
        """x0, y0, x1, y1 in the picture around a crop, or a part of it, and `reach` crop pixels more.

        It depends on this face alone, so that a face comes out the same whatever it is worked on together with; and its
        sides are multiples of _BOX_STEP where the picture has the room, so that faces of about one size have equal boxes.
        """
        margin = math.ceil(reach / float(matrix_scale(matrix[None]))) + 1
        limits = self._targets[picture].size[::-1]  # width, height
        x0, y0, x1, y1 = crop_box(matrix[None], size, limits[::-1], margin, part)[0].tolist()
        sides = [
            min(-(-side // _BOX_STEP) * _BOX_STEP, limit)
            for side, limit in zip((x1 - x0, y1 - y0), limits, strict=True)
        ]
        left, top = min(x0, limits[0] - sides[0]), min(y0, limits[1] - sides[1])
        return left, top, left + sides[0], top + sides[1]

    def _blend(self, picture: int, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        x0, y0, x1, y1 = box
        self._results[picture].blend(box, color, weight)
        part = self._masks[picture][:, y0:y1, x0:x1]
        torch.maximum(part, weight, out=part)

    def _alike(self, pictures: Sequence[int], boxes: Mapping[int, Box]) -> Iterator[list[int]]:
        """Rows that can be warped together: pictures of one kind, boxes of one size."""
        groups: dict[tuple, list[int]] = defaultdict(list)
        for row, (x0, y0, x1, y1) in boxes.items():
            groups[(type(self._targets[pictures[row]]), x1 - x0, y1 - y0)].append(row)
        yield from groups.values()


def _in_boxes(matrices: torch.Tensor, boxes: Mapping[int, Box], rows: Sequence[int]) -> torch.Tensor:
    """(len(rows), 2, 3), box -> crop."""
    return shift_origin(matrices[rows], torch.tensor([boxes[row][:2] for row in rows]))


def _extent(mask: torch.Tensor) -> Box | None:
    """x0, y0, x1, y1 around everything that a mask (1, S, S) shows; None if that is nothing."""
    rows, columns = ((mask[0] > 0).any(axis).nonzero().flatten().tolist() for axis in (1, 0))
    return (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None
