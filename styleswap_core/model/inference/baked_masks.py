"""Operations on the mask channel of a baked generator's RGB picture (see `model.masks` for the equations).

RGB and mask logits are the four interleaved channels of one tensor. Each function is one node of an exported graph.
"""

from __future__ import annotations

from torch import Tensor

from ..layers import upsample_bilinear


def apply_mask_sigmoid_(pixels: Tensor) -> Tensor:
    """Replace the mask channel of pixels (B, 4, R, R) by its sigmoid, in place; returns them."""
    pixels[:, 3:] = pixels[:, 3:].contiguous().sigmoid_()
    return pixels


def replace_mask_(pixels: Tensor, logits: Tensor) -> Tensor:
    """Replace the mask channel of pixels (B, 4, R, R) by `logits` (B, 1, R, R), in place; returns them."""
    pixels[:, 3:] = logits
    return pixels


def upsample_mask_logits(pixels: Tensor) -> Tensor:
    """Mask channel of pixels (B, 4, R, R), upsampled bilinearly to (B, 1, 2R, 2R)."""
    return upsample_bilinear(pixels[:, 3:].contiguous())
