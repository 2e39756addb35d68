"""Sampling of planes that are coarser than the picture, such as the chroma planes of a video frame."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """One axis of a plane: where its samples lie in the picture.

    The center of the picture's pixel x lies at scale * x + offset in the plane, where sample n has its center at n.

    Attributes:
        scale: Samples per pixel of the picture, at most 1.
        offset: Position of the picture's first pixel in the plane.
        samples: Number of samples in the plane.
        pixels: Number of pixels of the picture.
    """

    scale: float
    offset: float
    samples: int
    pixels: int

    @property
    def is_identity(self) -> bool:
        """Whether samples are pixels."""
        return self.scale == 1.0 and self.offset == 0.0

    def flipped(self) -> "Axis":
        """The same axis, counted from the other end of picture and plane."""
        last = self.scale * (self.pixels - 1) + self.offset
        return Axis(self.scale, self.samples - 1 - last, self.samples, self.pixels)

    def samples_read(self, start: int, end: int) -> tuple[int, int]:
        """First and last sample (exclusive) from which the pixels `start` to `end` (exclusive) are interpolated."""
        if self.is_identity:
            return start, end
        first, last = (math.floor(self.scale * pixel + self.offset) for pixel in (start, end - 1))
        return self._within(first), self._within(last + 1) + 1

    def samples_written(self, start: int, end: int) -> tuple[int, int]:
        """First and last sample (exclusive) that the pixels `start` to `end` (exclusive) contribute to."""
        # A pixel contributes to the samples less than one sample away.
        first, last = self.scale * start + self.offset - 1.0, self.scale * (end - 1) + self.offset + 1.0
        return self._within(math.floor(first) + 1), self._within(math.ceil(last) - 1) + 1

    def _within(self, sample: int) -> int:
        return min(max(sample, 0), self.samples - 1)


def enlarge(plane: Tensor, dimension: int, axis: Axis, start: int, end: int) -> Tensor:
    """Interpolate linearly between samples; the outermost ones extend beyond the plane.

    Args:
        plane: The samples `axis.samples_read(start, end)`, float.
        dimension: Dimension of `plane` that the axis is.
        axis: The axis.
        start: First pixel of the picture.
        end: Last pixel, exclusive.

    Returns:
        `plane` with end - start pixels in that dimension.
    """
    if axis.is_identity:
        return plane
    first, _ = axis.samples_read(start, end)
    low, high, share = (values.to(plane.device) for values in _neighbors(axis, start, end))
    shape = [1] * plane.ndim
    shape[dimension] = -1
    parts = plane.index_select(dimension, low - first), plane.index_select(dimension, high - first)
    return torch.lerp(*parts, share.view(shape).to(plane))


def reduce(picture: Tensor, dimension: int, axis: Axis, start: int, end: int) -> Tensor:
    """Weighted means of pixels around each sample, the transpose of `enlarge` with weights that sum to 1.

    Pixels outside `start` to `end` count as 0.

    Args:
        picture: Pixels `start` to `end` in dimension `dimension`, float.
        dimension: Dimension of `picture` that the axis is.
        axis: The axis.
        start: First pixel of the picture.
        end: Last pixel, exclusive.

    Returns:
        `picture` with the samples `axis.samples_written(start, end)` in that dimension.
    """
    if axis.is_identity:
        return picture
    weights = _weights(axis, start, end).to(picture)
    taps = weights.shape[1]
    first, last = axis.samples_written(start, end)
    origins = _origins(axis, first, last) - start
    before, after = max(0, -int(origins[0])), max(0, int(origins[-1]) + taps - (end - start))
    padding = [0, 0] * (picture.ndim - 1 - dimension) + [before, after]
    padded = F.pad(picture, padding)
    shape = [1] * picture.ndim
    shape[dimension] = -1
    total = torch.zeros_like(picture.narrow(dimension, 0, 1))
    for tap in range(taps):
        rows = padded.index_select(dimension, (origins + before + tap).to(picture.device))
        total = total + rows * weights[:, tap].view(shape)
    return total


@lru_cache(maxsize=256)
def _neighbors(axis: Axis, start: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the samples below and above each pixel, and the share of the upper one."""
    position = axis.scale * torch.arange(start, end, dtype=torch.float64) + axis.offset
    below = position.floor()
    low, high = (index.long().clamp(0, axis.samples - 1) for index in (below, below + 1))
    return low, high, (position - below).float()


def _origins(axis: Axis, first: int, last: int) -> Tensor:
    """First pixel that contributes to each of the samples `first` to `last` (exclusive)."""
    centers = (torch.arange(first, last, dtype=torch.float64) - axis.offset) / axis.scale
    return (centers - 1.0 / axis.scale).floor().long() + 1


@lru_cache(maxsize=256)
def _weights(axis: Axis, start: int, end: int) -> Tensor:
    """(samples, taps) float32: weights of the pixels from the origin of each sample on."""
    first, last = axis.samples_written(start, end)
    reach = 1.0 / axis.scale
    taps = math.ceil(2.0 * reach)
    pixels = _origins(axis, first, last)[:, None] + torch.arange(taps)
    samples = torch.arange(first, last, dtype=torch.float64)[:, None]
    distance = (axis.scale * pixels + axis.offset - samples).abs()
    inside = (pixels >= 0) & (pixels < axis.pixels)
    weights = (1.0 - distance).clamp(min=0.0) * inside
    return (weights / weights.sum(1, keepdim=True).clamp(min=1e-9)).float()
