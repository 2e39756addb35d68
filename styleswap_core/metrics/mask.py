"""Face regions: the swap mask against the true ones, and a region for faces of which five points are all that is known."""

import torch
from torch import Tensor

from ..faces.alignment import estimate_similarity, template_points, transform_points

# An ellipse in the ffhq crop, as fractions of its side: the face with ears, chin and forehead.
_CENTRE = (0.5, 0.55)
_HALF_AXES = (0.36, 0.42)


def union_mask(first: Tensor, second: Tensor) -> Tensor:
    """Union of two soft masks (B,1,H,W) in 0..1: the larger value in every pixel.

    A swap must repaint every pixel that was the target's face and every pixel that becomes the source's.
    """
    return torch.maximum(first, second)


def mask_iou(mask: Tensor, reference: Tensor) -> Tensor:
    """Intersection over union of two masks (B,1,H,W), each cut at 0.5: (B,); 1 where both are empty."""
    first, second = mask > 0.5, reference > 0.5
    intersection = (first & second).sum(dim=(1, 2, 3)).float()
    union = (first | second).sum(dim=(1, 2, 3)).float()
    return torch.where(union > 0, intersection / union.clamp(min=1), torch.ones_like(union))


def face_region(points: Tensor, height: int, width: int) -> Tensor:
    """1 where a face may be and 0 elsewhere, (B,1,height,width), by its five points (B,5,2) px.

    An ellipse about the aligned face, wide enough for the whole face with ears: what is outside of it no face swap has a
    reason to change.
    """
    x, y = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    pixels = torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(len(points), -1, 2)
    # Similarity to a crop of side 1, so that its coordinates are fractions.
    places = transform_points(estimate_similarity(points, template_points("ffhq", 1)), pixels)
    offset = (places - torch.tensor(_CENTRE)) / torch.tensor(_HALF_AXES)
    return (offset.square().sum(dim=-1) <= 1).float().reshape(len(points), 1, height, width)
