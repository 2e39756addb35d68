"""Contact sheet of an evaluation: its best, median and worst cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..io.images import to_uint8
from ..io.sheets import labeled_sheet, mask_picture

SWAP_COLUMNS = ("source photo", "target", "result", "exact swap", "mask", "error x4")
ERROR_GAIN = 4.0


@dataclass(frozen=True)
class SwapRow:
    """Row of the sheet: pictures (3, H, W) RGB in -1..1, a mask (1, H, W) in 0..1, and a label of one or more lines."""

    label: str
    source_photo: Tensor
    target: Tensor
    result: Tensor
    exact: Tensor
    mask: Tensor

    def pictures(self) -> list[np.ndarray]:
        """uint8 pictures in the order of SWAP_COLUMNS; the last one is the amplified |result - exact| on black."""
        error = (self.result - self.exact).abs() * ERROR_GAIN - 1
        photo, target, result, exact, error_picture = (
            to_uint8(picture[None])[0] for picture in (self.source_photo, self.target, self.result, self.exact, error)
        )
        return [photo, target, result, exact, mask_picture(self.mask[0].cpu().numpy()), error_picture]


def swap_sheet(rows: Sequence[SwapRow], cell: int = 192, title: str = "") -> np.ndarray:
    """Labeled sheet (H, W, 3) uint8 of the rows, with cells of `cell` pixels."""
    return labeled_sheet([row.pictures() for row in rows], SWAP_COLUMNS, [row.label for row in rows], cell, title)


def best_median_worst(values: Tensor, each: int = 3) -> list[tuple[str, int]]:
    """Kind ("best", "median" or "worst") and index of up to `each` values per kind.

    Higher is better. No index appears twice, and NaN is never chosen.
    """
    order = [int(i) for i in torch.argsort(values, descending=True, stable=True) if not torch.isnan(values[i])]
    middle = max(0, (len(order) - each) // 2)
    parts = {"best": order[:each], "median": order[middle : middle + each], "worst": order[max(0, len(order) - each) :]}
    chosen: dict[int, str] = {}
    for kind, indices in parts.items():
        for index in indices:
            chosen.setdefault(index, kind)
    return [(kind, index) for index, kind in chosen.items()]
