"""Face regions: the swap mask against the true ones, and a region for faces of which five points are all that is known."""

import torch
from torch import Tensor

from ..faces.alignment import estimate_similarity, template_points, transform_points

# An ellipse in the ffhq crop, as fractions of its side: the face with ears, chin and forehead.
_CENTER = (0.5, 0.55)
_HALF_AXES = (0.38, 0.42)
# Of a turned head more is seen on the side that the nose points away from: as a multiple of the nose's way from the middle.
_TURN = 1.2
_NOSE, _AROUND = 2, [0, 1, 3, 4]


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
    # Similarity to a crop of side 1, so that its coordinates are fractions.
    matrix = estimate_similarity(points[:, _AROUND], template_points("ffhq", 1)[_AROUND])
    nose = transform_points(matrix, points[:, _NOSE : _NOSE + 1])[:, 0]
    x, y = torch.arange(width) + 0.5, (torch.arange(height) + 0.5)[:, None]
    distance = torch.zeros(len(points), height, width)
    for axis in (0, 1):
        along, down, shift = (matrix[:, axis, k, None, None] for k in range(3))
        center = _CENTER[axis] - (_TURN * (nose[:, 0] - _CENTER[0]) if axis == 0 else torch.zeros(len(points)))
        distance += ((along * x + down * y + shift - center[:, None, None]) / _HALF_AXES[axis]).square()
    return (distance <= 1).float()[:, None]
