"""The swap mask against the true face regions."""

import torch
from torch import Tensor


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
