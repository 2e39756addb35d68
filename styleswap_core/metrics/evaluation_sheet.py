"""Picture sheets of a measured suite: the best, the median and the worst cases, to be looked at."""

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
    """One case: pictures (3,H,W) RGB in -1..1, mask (1,H,W) 0..1, and a label (lines split at newlines)."""

    label: str
    source_photo: Tensor
    target: Tensor
    result: Tensor
    exact: Tensor
    mask: Tensor

    def pictures(self) -> list[np.ndarray]:
        """uint8 pictures in the order of SWAP_COLUMNS; the error is |result - exact|, amplified, on black."""
        error = (self.result - self.exact).abs() * ERROR_GAIN - 1
        photo, target, result, exact, error = (
            to_uint8(picture[None])[0] for picture in (self.source_photo, self.target, self.result, self.exact, error)
        )
        return [photo, target, result, exact, mask_picture(self.mask[0].cpu().numpy()), error]


def swap_sheet(rows: Sequence[SwapRow], cell: int = 192, title: str = "") -> np.ndarray:
    """The rows as one labeled sheet, (H,W,3) uint8."""
    return labeled_sheet([row.pictures() for row in rows], SWAP_COLUMNS, [row.label for row in rows], cell, title)


def best_median_worst(values: Tensor, each: int = 3) -> list[tuple[str, int]]:
    """("best" | "median" | "worst", index) of `each` values (higher is better) of a kind; none twice, NaN never."""
    order = [int(i) for i in torch.argsort(values, descending=True, stable=True) if not torch.isnan(values[i])]
    middle = max(0, (len(order) - each) // 2)
    parts = {"best": order[:each], "median": order[middle : middle + each], "worst": order[max(0, len(order) - each) :]}
    chosen: dict[int, str] = {}
    for name, indices in parts.items():
        for index in indices:
            chosen.setdefault(index, name)
    return [(name, index) for index, name in chosen.items()]
