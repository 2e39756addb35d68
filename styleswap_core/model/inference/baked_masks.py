"""Masks of a baked generator: as in generator.py, but in place and in fewer passes over the attributes.

Maps of several megabytes are read and written from far away; so nothing here makes a second one of that size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..layers import upsample_bilinear

PRODUCTS = 16
"""Matrix products that make the mean of one picture's attributes."""


def soften_mask_(picture: Tensor) -> Tensor:
    """Picture (B, 4, R, R), RGB and mask logit -> itself, the logit through a sigmoid."""
    picture[:, 3:] = picture[:, 3:].contiguous().sigmoid_()
    return picture


def replace_mask_(picture: Tensor, logit: Tensor) -> Tensor:
    """Picture (B, 4, R, R) -> itself with `logit` (B, 1, R, R) as its last channel."""
    picture[:, 3:] = logit
    return picture


def raised_logit(picture: Tensor) -> Tensor:
    """The last channel of picture (B, 4, R, R) at twice the size, (B, 1, 2R, 2R), bilinear as the paper adds up masks."""
    return upsample_bilinear(picture[:, 3:].contiguous())


def hold_back_(maps: Tensor, mask: Tensor, masking: str, repeat: int) -> Tensor:
    """`generator.mask_attributes`, overwriting maps (B, C, R, R) where they lie in channels_last.

    mask: (B, 1, R / repeat, R / repeat) in 0..1, one value for repeat x repeat pixels.
    """
    batch, channels, height, width = maps.shape
    # Pixels that share a value lie side by side, so that no axis but an outer one has to be broadcast.
    shape = (batch, height // repeat, repeat, width // repeat, repeat * channels)
    rows = maps.permute(0, 2, 3, 1).reshape(shape)
    weight = mask.to(maps.dtype)[:, 0, :, None, :, None]  # (B, R / repeat, 1, R / repeat, 1)
    if masking == "block":
        rows.mul_(_written_out(1 - weight, shape))
    else:
        mean = _mean_under(rows, weight, channels).to(maps.dtype)
        rows.lerp_(
            mean.expand(batch, 1, 1, width, channels).reshape(batch, 1, 1, *shape[3:]), _written_out(weight, shape)
        )
    return rows.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _written_out(weight: Tensor, shape: tuple[int, ...]) -> Tensor:
    # A product that broadcasts over the innermost axis takes four times as long on a CPU.
    return weight.expand(*weight.shape[:-1], shape[-1]).contiguous()


def _mean_under(rows: Tensor, weight: Tensor, channels: int) -> Tensor:
    """Mean of `rows`, see `hold_back_`, weighted by (B, h, 1, w, 1) -> (B, 1, 1, 1, C) float32."""
    batch, height, repeat, width, wide = rows.shape
    weights = weight.permute(0, 1, 2, 4, 3).expand(-1, -1, repeat, -1, -1)  # (B, h, repeat, 1, w)
    # A matrix product adds up in float32 also where its factors are bfloat16, and several of them run side by side.
    products = batch * min(height, PRODUCTS)
    totals = torch.bmm(weights.reshape(products, 1, -1), rows.reshape(products, -1, wide))
    total = totals.reshape(batch, -1, channels).sum(dim=1, dtype=torch.float32)
    count = weight.sum(dim=(1, 2, 3), dtype=torch.float32) * repeat**2
    return (total / count.clamp_min(1e-6))[:, None, None, None]
