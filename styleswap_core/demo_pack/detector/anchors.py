"""Anchors of the detector: which of them are responsible for a face, and how faces are encoded relative to them.

Coordinates are insightface's: pixels with the center of the first pixel at 0. insightface's anchor centers are at
(x * stride, y * stride); `center_offset` states the difference to those of the network.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor

from .box_geometry import box_sizes

STRIDES = (8, 16, 32)
ANCHORS = 2
"""Anchors per location."""

# The same weights serve all strides (see `detector_network`), hence sizes and ranges in proportion to the stride. They
# overlap, so that most faces are found at two or three scales and the best score wins.
ANCHOR_SIZES = {8: (32.0, 80.0), 16: (64.0, 160.0), 32: (128.0, 320.0)}
"""Face sizes of the anchors at each stride: square roots of the areas of face boxes, in pixels."""

# Smallest and largest face that an anchor is responsible for, as factors of its size: 20 to 184 px at stride 8, up to
# 736 px at stride 32.
_RANGES = ((1 / 1.6, 1.6), (1 / 1.6, 2.3))
# An anchor is responsible for a face whose center is closer than this share of the face's size, or than three quarters
# of a stride, so that every face has at least one location per map.
_RADIUS = 0.22
_RADIUS_STRIDES = 0.75


@dataclass(frozen=True)
class AnchorGrid:
    """All N anchors of a picture size, ordered by stride, y, x, anchor.

    Attributes:
        centers: (N, 2) in pixels.
        sizes: (N,) in pixels.
        strides: (N,) in pixels.
        smallest: Size (N,) above which a face belongs to an anchor, in pixels.
        largest: Size (N,) below which a face belongs to an anchor, in pixels.
    """

    centers: Tensor
    sizes: Tensor
    strides: Tensor
    smallest: Tensor
    largest: Tensor

    def to(self, device: torch.device) -> "AnchorGrid":
        """The same grid, on a device."""
        return AnchorGrid(*(getattr(self, entry.name).to(device) for entry in fields(self)))


@dataclass(frozen=True)
class SceneFaces:
    """Faces of B pictures, padded to F per picture.

    Attributes:
        points: Five points (B, F, 5, 2) in pixels.
        boxes: (B, F, 4) left, top, right, bottom in pixels.
        labeled: Whether this is a face that must be found (B, F).
        ignored: Whether this is a face cut off by the border, which may be found or missed (B, F). Entries that are
            neither labeled nor ignored are padding.
    """

    points: Tensor
    boxes: Tensor
    labeled: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> "SceneFaces":
        """The same faces, on a device."""
        return SceneFaces(*(getattr(self, entry.name).to(device) for entry in fields(self)))


def center_offset(stride: int) -> float:
    """Offset in pixels, in x and y, of the network's anchor centers from insightface's.

    The maps of stride s are computed from a picture reduced by k = s / 8; the center of its first pixel is at
    (k - 1) / 2.
    """
    return (stride / STRIDES[0] - 1) / 2


@lru_cache(maxsize=32)
def anchor_grid(height: int, width: int) -> AnchorGrid:
    """Anchors of a picture of height x width pixels, both multiples of 32."""
    centers, sizes, strides = [], [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        locations = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, ANCHORS, 2).reshape(-1, 2).float() * stride
        centers.append(locations + center_offset(stride))
        sizes.append(torch.tensor(ANCHOR_SIZES[stride]).repeat(len(locations) // ANCHORS))
        strides.append(torch.full((len(locations),), float(stride)))
    all_sizes = torch.cat(sizes)
    smallest, largest = (
        torch.tensor(factors).repeat(len(all_sizes) // ANCHORS) * all_sizes for factors in zip(*_RANGES, strict=True)
    )
    return AnchorGrid(torch.cat(centers), all_sizes, torch.cat(strides), smallest, largest)


def assign(grid: AnchorGrid, faces: SceneFaces) -> tuple[Tensor, Tensor]:
    """Assign faces to anchors.

    Returns:
        The face (B, N) that an anchor is responsible for, int64, -1 for none; and the anchors (B, N) without a face
        that must not be penalized for finding one.
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
    """Distances (M, 4) left, top, right, bottom from anchors to the sides of boxes (M, 4), in anchor sizes."""
    return torch.cat([centers - boxes[:, :2], boxes[:, 2:] - centers], 1) / sizes[:, None]


def decode_boxes(centers: Tensor, sizes: Tensor, distances: Tensor) -> Tensor:
    """Boxes (M, 4) of distances that `encode_boxes` computed."""
    distances = distances * sizes[:, None]
    return torch.cat([centers - distances[:, :2], centers + distances[:, 2:]], 1)


def encode_points(centers: Tensor, sizes: Tensor, points: Tensor) -> Tensor:
    """Offsets (M, 10) of points (M, 5, 2) from anchors, in anchor sizes."""
    return ((points - centers[:, None]) / sizes[:, None, None]).flatten(1)
