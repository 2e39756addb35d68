"""Aligned crops cut from pictures and pasted back.

Only the regions of swapped faces are converted, moved or written. The rest of a picture keeps its exact values, and a
large picture costs little more than a small one. Faces of similar size are cut and pasted together, across pictures.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.alignment import crop_box, invert_affine, matrix_scale, shift_origin, warp
from .pixel_access import Box
from .pixels import Picture, pixels_of, result_pixels
from .video_picture import VideoPicture

# Boxes have sides of multiples of this many pixels, so that faces of similar size have boxes of one size.
_BOX_STEP = 32
# Number of pixels of boxes that are warped at once, which bounds the memory that large faces take.
_PIXELS_AT_ONCE = 2**23
# Width of the fade at a crop's border, as a fraction of its side.
_FADE = 0.06


class Canvas:
    """Target pictures, and results that start as copies of them; crops are always cut from the targets."""

    def __init__(self, targets: Sequence[Picture], kept: Sequence[torch.Tensor | None] | None = None) -> None:
        """Take the targets as initial results.

        Args:
            targets: Pictures of any forms and sizes; not modified.
            kept: For each target a mask (1, H, W), 0..1, of what stays as it is, or None.

        Raises:
            StyleSwapError: Something that is not a picture.
        """
        self._targets = [pixels_of(target) for target in targets]
        self._results = [result_pixels(target) for target in targets]
        self._masks = [torch.zeros(1, *target.size) for target in self._targets]
        self._kept = [None] * len(self._targets) if kept is None else list(kept)

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self._targets)

    def pixels(self, picture: int, result: bool = False) -> np.ndarray:
        """(H, W, 3) uint8 of a target, or of its current result."""
        return (self._results if result else self._targets)[picture].uint8()

    def result(self, picture: int) -> tuple[np.ndarray | torch.Tensor | VideoPicture, torch.Tensor]:
        """A picture's current result in the target's form, and its mask (H, W) float32: the share of new color."""
        return self._results[picture].values, self._masks[picture][0]

    def read_crops(
        self, pictures: Sequence[int], matrices: torch.Tensor, size: int, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Aligned crops of the targets, (N, 3, size, size) float32, -1..1.

        Args:
            pictures: Index of each crop's picture.
            matrices: (N, 2, 3), picture -> crop.
            size: Side of the crops in pixels.
            device: Where crops are cut.
        """
        # Antialiasing and interpolation reach about one crop pixel beyond the crop.
        boxes = {row: self._box(picture, matrices[row], size, reach=2.0) for row, picture in enumerate(pictures)}
        crops = torch.empty(len(pictures), 3, size, size, device=device)
        for part in _parts(boxes):
            for rows in self._groups(pictures, part):
                regions = [self._targets[pictures[row]].region(boxes[row], device) for row in rows]
                floats = self._targets[pictures[rows[0]]].floats(regions)
                for row, crop in zip(rows, warp(floats, _in_boxes(matrices, boxes, rows), size), strict=True):
                    crops[row] = crop
        return crops

    def paste(self, pictures: Sequence[int], layers: torch.Tensor, masks: torch.Tensor, matrices: torch.Tensor) -> None:
        """Blend layers into the results on the device of the layers, the last on top.

        A layer fades out toward its border, so that its square outline never shows. Pixels where the mask is 0 keep
        their exact values.

        Args:
            pictures: Index of each layer's picture.
            layers: (N, 3, S, S), -1..1.
            masks: (N, 1, S, S), 0..1, on the device of the layers.
            matrices: (N, 2, 3), picture -> layer.

        Raises:
            StyleSwapError: Layers that are not square, or masks of another size.
        """
        if layers.shape[2] != layers.shape[3] or masks.shape != layers[:, :1].shape:
            raise StyleSwapError(
                f"expected square layers and masks of one size, got {tuple(layers.shape)} and {tuple(masks.shape)}"
            )
        shown = {row: part for row, part in enumerate(_extents(masks)) if part is not None}
        boxes = {
            row: self._box(pictures[row], matrices[row], layers.shape[-1], reach=1.0, part=part)
            for row, part in shown.items()
        }
        for part in _parts(boxes):
            ready: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
            for rows in self._groups(pictures, part):
                x0, y0, x1, y1 = boxes[rows[0]]
                to_layers = _in_boxes(matrices, boxes, rows).to(layers.dtype)
                # Not indexed by a list, which would travel to the device.
                shown_layers, shown_masks = (torch.stack([some[row] for row in rows]) for some in (layers, masks))
                color, weight = _in_picture(shown_layers, shown_masks, to_layers, (y1 - y0, x1 - x0))
                ready |= dict(zip(rows, zip(color, weight, strict=True), strict=True))
            # In the given order: which of two overlapping faces is on top must not depend on the groups.
            for row in sorted(ready):
                self._blend(pictures[row], boxes[row], *ready[row])

    def _box(self, picture: int, matrix: torch.Tensor, size: int, reach: float, part: Box | None = None) -> Box:
        """Box in the picture around a crop, or a part of it, and `reach` crop pixels more.

        It depends on this face alone, so that a face's result does not depend on the batch that it is in.
        """
        margin = math.ceil(reach / float(matrix_scale(matrix[None]))) + 1
        height, width = self._targets[picture].size
        x0, y0, x1, y1 = crop_box(matrix[None], size, (height, width), margin, part)[0].tolist()
        across, down = (
            min(-(-side // _BOX_STEP) * _BOX_STEP, limit) for side, limit in ((x1 - x0, width), (y1 - y0, height))
        )
        left, top = min(x0, width - across), min(y0, height - down)
        return left, top, left + across, top + down

    def _blend(self, picture: int, box: Box, color: torch.Tensor, weight: torch.Tensor) -> None:
        x0, y0, x1, y1 = box
        kept = self._kept[picture]
        if kept is not None:
            weight = weight * (1.0 - kept[:, y0:y1, x0:x1].to(weight.device))
        self._results[picture].blend(box, color, weight)
        part = self._masks[picture][:, y0:y1, x0:x1]
        torch.maximum(part, weight.cpu(), out=part)

    def _groups(self, pictures: Sequence[int], boxes: Mapping[int, Box]) -> Iterator[list[int]]:
        """Rows that can be warped together: pictures of one form, boxes of one size."""
        groups: dict[tuple[type, int, int], list[int]] = defaultdict(list)
        for row, (x0, y0, x1, y1) in boxes.items():
            groups[(type(self._targets[pictures[row]]), x1 - x0, y1 - y0)].append(row)
        yield from groups.values()


def border_fade(size: int) -> torch.Tensor:
    """(1, 1, size, size) float32: 1 inside, smoothly falling to exactly 0 at the outermost pixels."""
    index = torch.arange(size, dtype=torch.float32)
    distance = torch.minimum(index, size - 1 - index)
    ramp = (distance / max(_FADE * size, 1.0)).clamp(0.0, 1.0)
    ramp = ramp * ramp * (3.0 - 2.0 * ramp)
    return (ramp[:, None] * ramp[None, :])[None, None]


def _in_picture(
    layers: torch.Tensor, masks: torch.Tensor, matrices: torch.Tensor, extent: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Layers and their masks, faded at the border, warped into boxes of their pictures.

    Args:
        layers: (N, 3, S, S), -1..1.
        masks: (N, 1, S, S), 0..1.
        matrices: (N, 2, 3), box -> layer.
        extent: (height, width) of the boxes.

    Returns:
        Color (N, 3, height, width), -1..1, and weight (N, 1, height, width), 0..1.
    """
    faded = border_fade(layers.shape[-1]).to(layers) * masks.to(layers)
    to_boxes = invert_affine(matrices)
    color = warp(layers, to_boxes, extent, padding="border", mode="bicubic").clamp(-1.0, 1.0)
    return color, warp(faded, to_boxes, extent, padding="zeros").clamp(0.0, 1.0)


def _in_boxes(matrices: torch.Tensor, boxes: Mapping[int, Box], rows: Sequence[int]) -> torch.Tensor:
    """(len(rows), 2, 3), box -> crop."""
    return shift_origin(matrices[rows], torch.tensor([boxes[row][:2] for row in rows]))


def _parts(boxes: Mapping[int, Box]) -> Iterator[dict[int, Box]]:
    """Boxes in order, at least one and otherwise as many at a time as have `_PIXELS_AT_ONCE`."""
    part: dict[int, Box] = {}
    pixels = 0
    for row, (x0, y0, x1, y1) in boxes.items():
        own = (x1 - x0) * (y1 - y0)
        if part and pixels + own > _PIXELS_AT_ONCE:
            yield part
            part, pixels = {}, 0
        part[row] = (x0, y0, x1, y1)
        pixels += own
    if part:
        yield part


def _extents(masks: torch.Tensor) -> Iterator[Box | None]:
    """Box around everything that each mask (N, 1, S, S) shows; None for an empty one."""
    shown = masks[:, 0] > 0
    # Found on the device of the masks: two bits per line travel instead of the masks.
    for lines in torch.stack([shown.any(2), shown.any(1)], 1).cpu():
        rows, columns = (line.nonzero().flatten().tolist() for line in lines)
        yield (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None
