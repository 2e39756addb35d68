"""Full-frame pictures with one face each, from which scenes are composed."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import StyleSwapError
from ...synthetic.columns import ColumnSet


class PictureSet:
    """N pictures in memory, at full, half and quarter size, so that reduced pastes do not alias.

    Args:
        images: (N, 3, S, S), RGB, uint8, S a multiple of 4.
        points: Five points (N, 5, 2) in pixels of the full size, the center of the first pixel at 0.5.

    Attributes:
        points: As given, float32.
        levels: Images at full, half and quarter size, uint8.

    Raises:
        StyleSwapError: Arrays of another shape or type.
    """

    def __init__(self, images: np.ndarray, points: np.ndarray) -> None:
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[2] % 4 or images.shape[2] != images.shape[3]:
            raise StyleSwapError(
                f"expected square uint8 pictures whose side is a multiple of 4 px, got {images.shape} {images.dtype}"
            )
        if points.shape != (len(images), 5, 2):
            raise StyleSwapError(f"expected points ({len(images)}, 5, 2), got {points.shape}")
        self.points = torch.from_numpy(np.array(points, dtype=np.float32))
        full = torch.from_numpy(np.array(images))
        self.levels = [full, _reduced(full, 2), _reduced(full, 4)]

    @classmethod
    def open(cls, folder: str | Path) -> "PictureSet":
        """All pictures of a folder of full-frame columns.

        Raises:
            StyleSwapError: The folder does not hold finished columns.
        """
        columns = ColumnSet(folder)
        images = columns.images.reshape(-1, *columns.images.shape[2:])
        return cls(images, np.asarray(columns.points, dtype=np.float32).reshape(-1, 5, 2))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return self.levels[0].shape[-1]


def _reduced(images: Tensor, factor: int) -> Tensor:
    parts = [F.avg_pool2d(part.float(), factor).round_().to(torch.uint8) for part in images.split(256)]
    return torch.cat(parts)
