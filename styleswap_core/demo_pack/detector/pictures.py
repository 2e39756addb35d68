"""Full-frame pictures of one face each: what scenes are composed of."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import StyleSwapError
from ...synthetic.columns import ColumnSet


class PictureSet:
    """Pictures in memory, at full, half and quarter size (shrunken pastes must not alias).

    images: (N, 3, S, S) uint8 RGB, S a multiple of 4; points: (N, 5, 2) continuous px of the full size.
    """

    def __init__(self, images: np.ndarray, points: np.ndarray) -> None:
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[2] % 4 or images.shape[2] != images.shape[3]:
            raise StyleSwapError(
                f"expected square uint8 pictures of a multiple of 4 px, got {images.shape} {images.dtype}"
            )
        if points.shape != (len(images), 5, 2):
            raise StyleSwapError(f"expected points ({len(images)}, 5, 2), got {points.shape}")
        self.points = torch.from_numpy(np.array(points, dtype=np.float32))
        full = torch.from_numpy(np.array(images))
        self.levels = [full, _shrunken(full, 2), _shrunken(full, 4)]

    @classmethod
    def open(cls, folder: str | Path) -> "PictureSet":
        """All members of all columns of a folder; render it with `align=None`, full frame.

        Raises:
            StyleSwapError: the folder does not hold finished columns.
        """
        columns = ColumnSet(folder)
        images = columns.images.reshape(-1, *columns.images.shape[2:])
        return cls(images, np.asarray(columns.points, dtype=np.float32).reshape(-1, 5, 2))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def size(self) -> int:
        """Side of the pictures, px."""
        return self.levels[0].shape[-1]


def _shrunken(images: Tensor, factor: int) -> Tensor:
    parts = [F.avg_pool2d(part.float(), factor).round_().to(torch.uint8) for part in images.split(256)]
    return torch.cat(parts)
