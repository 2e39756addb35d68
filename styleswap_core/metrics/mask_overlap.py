"""Face regions: overlap of masks, and an estimate of the region of a face from its five points."""

import torch
from torch import Tensor

from ..faces.alignment import estimate_similarity, template_points, transform_points

# Ellipse around face, ears, chin and forehead, in fractions of the side of an ffhq crop.
_CENTER = (0.5, 0.55)
_HALF_AXES = (0.38, 0.42)
# The more a head is turned, the more of it shows on the side opposite to the nose: the ellipse is shifted against the
# horizontal offset of the nose from the center, by this multiple of it.
_SHIFT_PER_NOSE_OFFSET = 1.2
_NOSE, _EYES_AND_MOUTH = 2, [0, 1, 3, 4]


def union_mask(first: Tensor, second: Tensor) -> Tensor:
    """Union of two soft masks (B, 1, H, W) in 0..1: their maximum in every pixel.

    The union of the faces in target and exact swap is what a swap has to repaint.
    """
    return torch.maximum(first, second)


def mask_iou(mask: Tensor, reference: Tensor) -> Tensor:
    """Intersection over union (B,) of two masks (B, 1, H, W), thresholded at 0.5; 1 where both are empty."""
    first, second = mask > 0.5, reference > 0.5
    intersection = (first & second).sum(dim=(1, 2, 3)).float()
    union = (first | second).sum(dim=(1, 2, 3)).float()
    return torch.where(union > 0, intersection / union.clamp(min=1), torch.ones_like(union))


def face_region(points: Tensor, height: int, width: int) -> Tensor:
    """Binary mask (B, 1, height, width) of an ellipse that contains the face, from five points (B, 5, 2) in pixels.

    The ellipse encloses the whole face with ears: a face swap has no reason to change anything outside.
    """
    # Similarity transform to a crop of side 1, so that crop coordinates are fractions.
    matrix = estimate_similarity(points[:, _EYES_AND_MOUTH], template_points("ffhq", 1)[_EYES_AND_MOUTH])
    nose = transform_points(matrix, points[:, _NOSE : _NOSE + 1])[:, 0]
    x, y = torch.arange(width) + 0.5, (torch.arange(height) + 0.5)[:, None]
    nose_offset = nose[:, 0] - _CENTER[0]
    center = (_CENTER[0] - _SHIFT_PER_NOSE_OFFSET * nose_offset, torch.full_like(nose_offset, _CENTER[1]))
    distance = torch.zeros(len(points), height, width)
    for axis in (0, 1):
        along, down, shift = (matrix[:, axis, k, None, None] for k in range(3))
        distance += ((along * x + down * y + shift - center[axis][:, None, None]) / _HALF_AXES[axis]).square()
    return (distance <= 1).float()[:, None]
