"""Pictures of known identities, as aligned crops for a recognizer.

Any number of column folders feed one set: those of the swapper's training (larger crops, aligned here by their five
points) and those rendered through `recognizer_window` at 112 px (used as they are). Pictures stay on disk as
memory-mapped bytes; alignment and geometric jitter are one resampling, so that no crop is blurred twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import StyleSwapError
from ...faces.alignment import estimate_similarity, template_points, warp
from ...synthetic.columns import ColumnSet
from .recognizer_network import CROP_SIZE


@dataclass(frozen=True)
class CropSource:
    """Pictures with their identities.

    images: (N, 3, S, S) uint8 RGB, an array or a memory map.
    identity_seeds: (N,) int64.
    points: (N, 5, 2) continuous pixels of the picture, or None where the pictures are recognizer crops already
        (S = 112).
    """

    images: np.ndarray
    identity_seeds: np.ndarray
    points: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.ndim != 4 or self.images.shape[1] != 3 or self.images.dtype != np.uint8:
            raise StyleSwapError(f"expected pictures (N, 3, S, S) uint8, got {self.images.shape} {self.images.dtype}")
        if self.identity_seeds.shape != (count,):
            raise StyleSwapError(f"expected {count} identity seeds, got shape {self.identity_seeds.shape}")
        if self.points is not None and self.points.shape != (count, 5, 2):
            raise StyleSwapError(f"expected points ({count}, 5, 2), got {self.points.shape}")
        if self.points is None and self.images.shape[2:] != (CROP_SIZE, CROP_SIZE):
            raise StyleSwapError(
                f"expected {CROP_SIZE} px crops where no points are given, got {self.images.shape[2:]}"
            )


def recognizer_window(points: Tensor) -> Tensor:
    """Windows (N, 2, 3) of recognizer crops for five points (N, 5, 2), by insightface's `norm_crop` convention.

    The `align` of `synthetic.columns.build_columns` for columns of 112 px.
    """
    # insightface's template has pixel centers at 0; half a pixel leads to the continuous coordinates used here.
    return estimate_similarity(points, template_points("arcface_112", CROP_SIZE) + 0.5)


def column_source(folder: str | Path) -> CropSource:
    """All members of all columns of a `ColumnSet` folder; columns of 112 px count as recognizer crops.

    Raises:
        StyleSwapError: the folder does not hold finished columns.
    """
    columns = ColumnSet(folder)
    images = columns.images.reshape(-1, *columns.images.shape[2:])
    aligned = images.shape[-1] == CROP_SIZE
    points = None if aligned else np.asarray(columns.points, dtype=np.float32).reshape(-1, 5, 2)
    return CropSource(images, np.asarray(columns.identity_seeds).reshape(-1), points)


class RecognizerData:
    """Several sources as one set of labeled crops.

    Args:
        sources: where the pictures are.
        identity_range: keep identities with first <= seed < last; None keeps all.

    Attributes:
        identity_seeds: (classes,) int64, sorted; a picture's label is its place in here.
        labels: (N,) int64.

    Raises:
        StyleSwapError: fewer than two identities remain.
    """

    def __init__(self, sources: Sequence[CropSource], identity_range: tuple[int, int] | None = None) -> None:
        self.sources = list(sources)
        seeds = np.concatenate([source.identity_seeds for source in self.sources] or [np.zeros(0, np.int64)])
        origin = [np.full(len(source.images), index) for index, source in enumerate(self.sources)]
        rows = [np.arange(len(source.images)) for source in self.sources]
        first, last = identity_range or (0, np.iinfo(np.int64).max)
        kept = np.flatnonzero((seeds >= first) & (seeds < last))
        self.identity_seeds, self.labels = np.unique(seeds[kept], return_inverse=True)
        if len(self.identity_seeds) < 2:
            raise StyleSwapError(
                f"expected pictures of two identities at least, got {len(self.identity_seeds)} with seeds in "
                f"{first}..{last}; give more data or another identity range"
            )
        self._origin = np.concatenate(origin)[kept]
        self._rows = np.concatenate(rows)[kept]

    def __len__(self) -> int:
        return len(self.labels)

    def crops(self, index: np.ndarray, jitter: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The crops with these indices, in any order.

        Args:
            index: (B,) int64.
            jitter: (B, 2, 3), crop coordinates -> crop coordinates, applied after alignment; None leaves crops as
                they are.

        Returns:
            crops (B, 3, 112, 112) float32 RGB -1..1, labels (B,) int64.
        """
        crops, labels = [], []
        for number, source in enumerate(self.sources):
            mine = np.flatnonzero(self._origin[index] == number)
            if not len(mine):
                continue
            rows = self._rows[index[mine]]
            pictures = torch.from_numpy(np.asarray(source.images[rows])).float().div_(127.5)  # 0..2, black is 0
            points = None if source.points is None else torch.from_numpy(source.points[rows])
            matrix = _alignment(points, len(rows))
            if jitter is not None:
                matrix = _compose(jitter[torch.from_numpy(mine)], matrix)
            if points is not None or jitter is not None:
                # Black beyond the picture, as insightface crops.
                pictures = warp(pictures, matrix, CROP_SIZE, antialias=False, padding="zeros")
            crops.append(pictures.sub_(1))
            labels.append(torch.from_numpy(self.labels[index[mine]]))
        return torch.cat(crops), torch.cat(labels)

    def batches(self, count: int, batch: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        """`count` index arrays (batch,), in passes over the whole set in random order."""
        waiting = np.zeros(0, dtype=np.int64)
        for _ in range(count):
            while len(waiting) < batch:
                waiting = np.concatenate([waiting, random.permutation(len(self))])
            yield waiting[:batch]
            waiting = waiting[batch:]


def _alignment(points: Tensor | None, count: int) -> Tensor:
    """(B, 2, 3) picture -> recognizer crop; crops that come without points are aligned already."""
    if points is None:
        return torch.eye(2, 3).expand(count, 2, 3)
    return recognizer_window(points)


def _compose(after: Tensor, before: Tensor) -> Tensor:
    """The affine map that applies `before`, then `after`."""
    linear = after[:, :, :2] @ before[:, :, :2]
    shift = after[:, :, :2] @ before[:, :, 2:] + after[:, :, 2:]
    return torch.cat([linear, shift], 2)
