"""Anchors: which of them answer for a face, and what they should say.

Coordinates here are insightface's: pixels with the first pixel's center at 0. insightface has anchor centers at
(x*s, y*s); see `center_offset` for ours.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor

from .box_geometry import box_sizes

STRIDES = (8, 16, 32)
ANCHORS = 2
# Face sizes (square root of the box's area, px) of the anchors. One network serves all strides (`network`): at every
# scale it must answer alike, hence sizes and ranges in proportion to the stride. They overlap, so that most faces are
# seen at two or three scales, and the best score wins.
ANCHOR_SIZES = {8: (32.0, 80.0), 16: (64.0, 160.0), 32: (128.0, 320.0)}
# Smallest and largest face an anchor answers for, in its size: 20 to 184 px at stride 8, to 736 px at stride 32.
_RANGES = ((1 / 1.6, 1.6), (1 / 1.6, 2.3))
# An anchor answers for a face whose center is nearer than this share of the face's size, or than three quarters of
# a stride: then at least one location per map does.
_RADIUS = 0.22
_RADIUS_STRIDES = 0.75


@dataclass(frozen=True)
class AnchorGrid:
    """All anchors of one picture size, rows by stride, y, x, anchor.

    centers (N, 2) px, sizes (N,) px, strides (N,) px; smallest, largest (N,) px: the faces an anchor answers for.
    """

    centers: Tensor
    sizes: Tensor
    strides: Tensor
    smallest: Tensor
    largest: Tensor

    def to(self, device: torch.device) -> "AnchorGrid":
        """The same grid on a device."""
        return AnchorGrid(*(getattr(self, entry.name).to(device) for entry in fields(self)))


@dataclass(frozen=True)
class Faces:
    """Faces of a batch of pictures, padded to the same count.

    points: (B, F, 5, 2); boxes: (B, F, 4); labeled: (B, F) bool, to be found; ignored: (B, F) bool, cut off so that
    neither finding nor missing them is wrong. Neither: padding.
    """

    points: Tensor
    boxes: Tensor
    labeled: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> "Faces":
        """The same faces on a device."""
        return Faces(*(getattr(self, entry.name).to(device) for entry in fields(self)))


def center_offset(stride: int) -> float:
    """How far right of and below (x*s, y*s) our anchors lie, px: where the network's own location lies in the picture.

    The maps of stride s come from a picture shrunken by k = s / 8; its first pixel's center is at (k - 1) / 2.
    """
    return (stride / STRIDES[0] - 1) / 2


@lru_cache(maxsize=32)
def anchor_grid(height: int, width: int) -> AnchorGrid:
    """Anchors of a height x width picture, both multiples of 32."""
    centers, sizes, strides = [], [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        here = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, ANCHORS, 2).reshape(-1, 2).float() * stride
        here = here + center_offset(stride)
        centers.append(here)
        sizes.append(torch.tensor(ANCHOR_SIZES[stride]).repeat(len(here) // ANCHORS))
        strides.append(torch.full((len(here),), float(stride)))
    sizes = torch.cat(sizes)
    low, high = (torch.tensor(ends).repeat(len(sizes) // ANCHORS) * sizes for ends in zip(*_RANGES, strict=True))
    return AnchorGrid(torch.cat(centers), sizes, torch.cat(strides), low, high)


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
    fits = (sizes > grid.smallest[None, :, None]) & (sizes < grid.largest[None, :, None])
    near = distance < (_RADIUS_STRIDES * grid.strides[None, :, None] / sizes).clamp(min=_RADIUS)
    candidate = fits & near & faces.labeled[:, None]
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
