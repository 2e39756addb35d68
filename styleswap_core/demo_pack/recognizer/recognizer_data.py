"""Aligned crops of known identities, read from folders of columns.

Folders with the crops of the generator's training are aligned by the five points; folders rendered through
`recognizer_window` at 112 px are used as they are. Pictures stay on disk, memory-mapped. Alignment and geometric jitter
are a single resampling, so that no crop is blurred twice.
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
    """N pictures with their identities.

    Attributes:
        images: (N, 3, S, S), RGB, uint8; an array or a memory map.
        identity_seeds: (N,), int64.
        points: Five points (N, 5, 2) in pixels, the center of the first pixel at 0.5; None for recognizer crops, which
            have S = 112.

    Raises:
        StyleSwapError: Arrays of another shape or type.
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
                f"expected crops of {CROP_SIZE} px or points to align them by, got {self.images.shape[2:]}"
            )


def recognizer_window(points: Tensor) -> Tensor:
    """Windows (N, 2, 3) of recognizer crops for five points (N, 5, 2), in insightface's `norm_crop` convention.

    As `align` of `build_columns` it gives columns of 112 px that need no further alignment.
    """
    # insightface's template has the center of the first pixel at 0, points here have it at 0.5.
    return estimate_similarity(points, template_points("arcface_112", CROP_SIZE) + 0.5)


def column_source(folder: str | Path) -> CropSource:
    """All pictures of a folder of columns; those of 112 px are taken for recognizer crops.

    Raises:
        StyleSwapError: The folder does not hold finished columns.
    """
    columns = ColumnSet(folder)
    images = columns.images.reshape(-1, *columns.images.shape[2:])
    aligned = images.shape[-1] == CROP_SIZE
    points = None if aligned else np.asarray(columns.points, dtype=np.float32).reshape(-1, 5, 2)
    return CropSource(images, columns.identity_seeds.reshape(-1), points)


class RecognizerData:
    """Several sources as one set of labeled crops.

    Args:
        sources: The pictures.
        identity_range: Keep only identities with first <= seed < last; None keeps all.

    Attributes:
        identity_seeds: Sorted seeds of all identities, int64; a picture's label is an index into this array.
        labels: (N,), int64.

    Raises:
        StyleSwapError: Fewer than two identities remain.
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
                f"expected pictures of at least two identities, got {len(self.identity_seeds)} with seeds in "
                f"{first}..{last}; give more data or another identity range"
            )
        self._origin = np.concatenate(origin)[kept]
        self._rows = np.concatenate(rows)[kept]

    def __len__(self) -> int:
        return len(self.labels)

    def crops(self, index: np.ndarray, jitter: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Crops of the pictures with these indices; grouped by source, not in the order of the indices.

        Args:
            index: Indices of pictures (B,), int64.
            jitter: Affine maps (B, 2, 3) from crop to crop, applied after the alignment; None applies none.

        Returns:
            Crops (B, 3, 112, 112), RGB in -1..1, float32; and their labels (B,), int64.
        """
        crops, labels = [], []
        for number, source in enumerate(self.sources):
            mine = np.flatnonzero(self._origin[index] == number)
            if not len(mine):
                continue
            rows = self._rows[index[mine]]
            pictures = torch.from_numpy(np.asarray(source.images[rows])).float().div_(127.5)  # 0..2, so that black is 0
            points = None if source.points is None else torch.from_numpy(source.points[rows])
            matrix = _alignment(points, len(rows))
            if jitter is not None:
                matrix = _compose(jitter[torch.from_numpy(mine)], matrix)
            if points is not None or jitter is not None:
                # Black outside of the picture, as in insightface's crops.
                pictures = warp(pictures, matrix, CROP_SIZE, antialias=False, padding="zeros")
            crops.append(pictures.sub_(1))
            labels.append(torch.from_numpy(self.labels[index[mine]]))
        return torch.cat(crops), torch.cat(labels)

    def batches(self, count: int, batch: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        """`count` index arrays (batch,), from one random permutation of the whole set after the other."""
        remaining = np.zeros(0, dtype=np.int64)
        for _ in range(count):
            while len(remaining) < batch:
                remaining = np.concatenate([remaining, random.permutation(len(self))])
            yield remaining[:batch]
            remaining = remaining[batch:]


def _alignment(points: Tensor | None, count: int) -> Tensor:
    """Affine maps (B, 2, 3) from pictures to recognizer crops; pictures without points are crops already."""
    if points is None:
        return torch.eye(2, 3).expand(count, 2, 3)
    return recognizer_window(points)


def _compose(after: Tensor, before: Tensor) -> Tensor:
    """Affine maps that apply `before`, then `after`."""
    linear = after[:, :, :2] @ before[:, :, :2]
    shift = after[:, :, :2] @ before[:, :, 2:] + after[:, :, 2:]
    return torch.cat([linear, shift], 2)
