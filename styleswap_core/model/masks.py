"""The swapping-driven mask branch and the masking of attributes (StyleSwap section 3.1).

- Accumulation: `M~(l) = M'(l) + upsample(M~(l-1))`, `M(l) = sigmoid(M~(l))`; see `accumulate_mask`.
- Masking: `M(l)` modifies the attribute map `F_att(l+1)` of the next resolution; see `mask_attributes`.

All forms of the generator (differentiable, frozen, baked) use these functions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .layers import upsample_bilinear, upsample_fir

MEAN_PRODUCTS = 16
"""Maximum number of matrix products per sample for the masked mean; several, so that they run in parallel."""


def accumulate_mask(block_mask: Tensor, lower_logits: Tensor | None, accumulation: str) -> Tensor:
    """Mask logits `M~(l)` (B, 1, R, R) from `M'(l)` (B, 1, R, R) and `M~(l-1)` (B, 1, R/2, R/2), None at 4x4.

    With accumulation "logits" (paper), the logits are upsampled bilinearly; with "sigmoid" (released code), their
    sigmoid is upsampled with the filter of ToRGB.
    """
    if lower_logits is None:
        return block_mask
    if accumulation == "logits":
        return block_mask + upsample_bilinear(lower_logits)
    return block_mask + upsample_fir(torch.sigmoid(lower_logits))


def mask_for_next_attributes(logits: Tensor, accumulation: str) -> Tensor:
    """`M(l)` in 0..1 as applied at the next resolution, from its logits (B, 1, R, R).

    "logits" (paper): upsampled to (B, 1, 2R, 2R). "sigmoid" (released code): (B, 1, R, R), each value covering 2x2
    pixels.
    """
    return torch.sigmoid(upsample_bilinear(logits) if accumulation == "logits" else logits)


def mask_attributes(maps: Tensor, mask: Tensor, masking: str) -> Tensor:
    """`F_att` with the face region suppressed.

    Args:
        maps: (B, C, R, R).
        mask: (B, 1, R/k, R/k) in 0..1, each value covering k x k pixels.
        masking: "block": `(1 - M) * F`. "mean": `(1 - M) * F + M * mean`, with the mask-weighted mean of F per channel.
    """
    return _mask(maps, mask, masking, torch.mul, torch.lerp)


def mask_attributes_(maps: Tensor, mask: Tensor, masking: str) -> Tensor:
    """`mask_attributes` in place: returns `maps`, overwritten, if it is in channels_last (otherwise a copy)."""
    return _mask(maps, mask, masking, Tensor.mul_, Tensor.lerp_)


def _mask(
    maps: Tensor,
    mask: Tensor,
    masking: str,
    multiply: Callable[[Tensor, Tensor], Tensor],
    interpolate: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    batch, channels, height, width = maps.shape
    repeat = height // mask.shape[2]
    # The pixels that share a mask value become adjacent; a view if maps are in channels_last.
    shape = (batch, height // repeat, repeat, width // repeat, repeat * channels)
    pixels = maps.permute(0, 2, 3, 1).reshape(shape)
    weight = mask[:, 0, :, None, :, None]  # (B, R/k, 1, R/k, 1)
    if masking == "block":
        pixels = multiply(pixels, _expand_innermost((1 - weight).to(maps.dtype), shape))
    else:
        weight = weight.to(maps.dtype)
        mean = _weighted_mean(pixels, weight, channels).to(maps.dtype)
        mean = mean.expand(batch, 1, 1, width, channels).reshape(batch, 1, 1, *shape[3:])
        pixels = interpolate(pixels, mean, _expand_innermost(weight, shape))
    return pixels.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _expand_innermost(weight: Tensor, shape: tuple[int, ...]) -> Tensor:
    # Materialized: an operation that broadcasts along the innermost axis takes four times as long on a CPU.
    return weight.expand(*weight.shape[:-1], shape[-1]).contiguous()


def _weighted_mean(pixels: Tensor, weight: Tensor, channels: int) -> Tensor:
    """Mean of pixels (B, h, k, w, k * C) weighted by (B, h, 1, w, 1) -> (B, 1, 1, 1, C) float32."""
    batch, height, repeat, _, innermost = pixels.shape
    weights = weight.permute(0, 1, 2, 4, 3).expand(-1, -1, repeat, -1, -1)  # (B, h, k, 1, w)
    # A matrix product accumulates in float32 even if its factors are bfloat16. With k = 2 each product covers two
    # columns of pixels, whose sums are added below.
    products = batch * min(height, MEAN_PRODUCTS)
    sums = torch.bmm(weights.reshape(products, 1, -1), pixels.reshape(products, -1, innermost))
    total = sums.reshape(batch, -1, channels).sum(dim=1, dtype=torch.float32)
    count = weight.sum(dim=(1, 2, 3), dtype=torch.float32) * repeat**2
    return (total / count.clamp_min(1e-6))[:, None, None, None]
