"""Anchors: which of them answer for a face, and what they should say.

Coordinates here are insightface's: pixels with the first pixel's centre at 0, and anchor centres at (x*s, y*s).
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .geometry import box_sizes

STRIDES = (8, 16, 32)
ANCHORS = 2
# Face sizes (square root of the box's area, px) in the middle of each anchor's range. Ranges overlap, so that every
# face is some anchor's business at two sizes, and the largest has no upper end: a face may fill a 640 px frame.
ANCHOR_SIZES = {8: (24.0, 40.0), 16: (64.0, 112.0), 32: (192.0, 384.0)}
_RANGE = 1.6
# An anchor answers for a face whose centre is nearer than this share of the face's size, or than three quarters of
# a stride: then at least one location per map does.
_RADIUS = 0.22
_RADIUS_STRIDES = 0.75


@dataclass(frozen=True)
class AnchorGrid:
    """All anchors of one picture size, rows by stride, y, x, anchor.

    centers (N, 2) px, sizes (N,) px, strides (N,) px.
    """

    centers: Tensor
    sizes: Tensor
    strides: Tensor


@dataclass(frozen=True)
class Faces:
    """Faces of a batch of pictures, padded to the same count.

    points: (B, F, 5, 2); boxes: (B, F, 4); labelled: (B, F) bool, to be found; ignored: (B, F) bool, cut off so that
    neither finding nor missing them is wrong. Neither: padding.
    """

    points: Tensor
    boxes: Tensor
    labelled: Tensor
    ignored: Tensor


@lru_cache(maxsize=32)
def anchor_grid(height: int, width: int) -> AnchorGrid:
    """Anchors of a height x width picture, both multiples of 32."""
    centers, sizes, strides = [], [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        here = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, ANCHORS, 2).reshape(-1, 2).float() * stride
        centers.append(here)
        sizes.append(torch.tensor(ANCHOR_SIZES[stride]).repeat(len(here) // ANCHORS))
        strides.append(torch.full((len(here),), float(stride)))
    return AnchorGrid(torch.cat(centers), torch.cat(sizes), torch.cat(strides))


def assign(grid: AnchorGrid, faces: Faces) -> tuple[Tensor, Tensor]:
    """Match anchors to faces.

    Returns:
        face (B, N) int64, the face an anchor answers for, or -1; and ignore (B, N) bool, anchors without a face that
        must not be punished for finding one.
    """
    sizes = box_sizes(faces.boxes).clamp(min=1e-3)[:, None]  # (B, 1, F)
    middles = (faces.boxes[..., :2] + faces.boxes[..., 2:]) / 2
    offsets = grid.centers[None, :, None] - middles[:, None]  # (B, N, F, 2)
    distance = offsets.norm(dim=-1) / sizes  # (B, N, F)
    ratio = sizes / grid.sizes[None, :, None]
    largest = grid.sizes[None, :, None] == grid.sizes.max()
    smallest = grid.sizes[None, :, None] == grid.sizes.min()
    fits = ((ratio > 1 / _RANGE) | smallest) & ((ratio < _RANGE) | largest)
    near = distance < (_RADIUS_STRIDES * grid.strides[None, :, None] / sizes).clamp(min=_RADIUS)
    candidate = fits & near & faces.labelled[:, None]
    distance = distance.masked_fill(~candidate, float("inf"))
    nearest, face = distance.min(dim=2)
    face = face.masked_fill(nearest.isinf(), -1)
    low, high = faces.boxes[:, None, :, :2], faces.boxes[:, None, :, 2:]
    centers = grid.centers[None, :, None]
    inside = ((centers > low) & (centers < high)).all(-1)  # (B, N, F)
    ignore = (inside & faces.ignored[:, None]).any(2) & (face < 0)
    return face, ignore


def encode_boxes(centers: Tensor, sizes: Tensor, boxes: Tensor) -> Tensor:
    """(M, 4) distances left, top, right, bottom from anchors (M, 2) to boxes (M, 4), in anchor sizes (M,)."""
    return torch.cat([centers - boxes[:, :2], boxes[:, 2:] - centers], 1) / sizes[:, None]


def decode_boxes(centers: Tensor, sizes: Tensor, distances: Tensor) -> Tensor:
    """The inverse of `encode_boxes`."""
    distances = distances * sizes[:, None]
    return torch.cat([centers - distances[:, :2], centers + distances[:, 2:]], 1)


def encode_points(centers: Tensor, sizes: Tensor, points: Tensor) -> Tensor:
    """(M, 10) offsets of points (M, 5, 2) from anchors (M, 2), in anchor sizes (M,)."""
    return ((points - centers[:, None]) / sizes[:, None, None]).flatten(1)
