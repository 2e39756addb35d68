"""Masks for compositing a swapped face: resize, grow, feather, fade at the border.

Masks are (B, 1, H, W) float in 0..1; lengths are in the mask's own pixels.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d

from ..errors import StyleSwapError
from ..faces.alignment import edge_window

_PART_GRID = 128  # cells along the longer side in which regions of a mask are told apart


def resize_mask(mask: torch.Tensor, size: int | Sequence[int]) -> torch.Tensor:
    """(B, 1, H, W) -> (B, 1, h, w), bilinear, averaging where it shrinks.

    Args:
        size: side, or (height, width).
    """
    _check_mask(mask)
    size = (size, size) if isinstance(size, int) else tuple(size)
    if tuple(mask.shape[2:]) == size:
        return mask
    return F.interpolate(mask, size=size, mode="bilinear", align_corners=False, antialias=True).clamp(0.0, 1.0)


def grow_mask(mask: torch.Tensor, pixels: int) -> torch.Tensor:
    """Move the mask's outline outwards by `pixels` (inwards if negative), in a square neighborhood.

    The mask keeps its soft edge: this is grayscale dilation or erosion.
    """
    _check_mask(mask)
    if pixels == 0:
        return mask
    reach = abs(pixels)
    if pixels < 0:
        return 1.0 - grow_mask(1.0 - mask, reach)
    # The maximum over a square is the maximum over rows, then over columns. Max-pooling pads with -inf, so what lies
    # beyond the picture neither grows into it nor eats from it.
    mask = F.max_pool2d(mask, (1, 2 * reach + 1), 1, (0, reach))
    return F.max_pool2d(mask, (2 * reach + 1, 1), 1, (reach, 0))


def feather_mask(mask: torch.Tensor, radius: float) -> torch.Tensor:
    """Blur the mask with a Gaussian whose standard deviation is half of `radius`; 0 leaves it as it is."""
    _check_mask(mask)
    if radius < 0:
        raise StyleSwapError(f"expected a feather radius of 0 px or more, got {radius}")
    if radius == 0:
        return mask
    sigma = radius / 2.0
    # Reflecting padding needs more picture than half a kernel.
    reach = min(math.ceil(3.0 * sigma), mask.shape[2] - 1, mask.shape[3] - 1)
    return gaussian_blur2d(mask, (2 * reach + 1, 2 * reach + 1), (sigma, sigma)).clamp(0.0, 1.0)


def fade_at_border(mask: torch.Tensor, border: float = 0.06) -> torch.Tensor:
    """Let a square mask fall to 0 at its own border, over `border` of its side, as paste-back does."""
    _check_mask(mask)
    if mask.shape[2] != mask.shape[3]:
        raise StyleSwapError(f"expected a square mask, got {tuple(mask.shape)}")
    return mask * edge_window(mask.shape[-1], border).to(mask)


def layer_for_mask(
    rgb: torch.Tensor, aligned_crop: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor
) -> torch.Tensor:
    """The picture that, blended with the mask `wanted`, shows no more of `rgb` than the generator's `mask` allows.

    Outside its own mask the generator's RGB is untrained. Blended over the target with `wanted`, the layer gives
    mask * rgb + (wanted - mask) * aligned_crop + (1 - wanted) * target where `wanted` exceeds `mask`, and
    wanted * rgb + (1 - wanted) * target elsewhere; with `wanted` equal to `mask` it is `rgb` itself.

    Args:
        rgb, aligned_crop: (B, 3, S, S) in -1..1.
        mask, wanted: (B, 1, S, S) in 0..1.

    Returns:
        (B, 3, S, S) in -1..1.
    """
    if wanted is mask:
        return rgb
    share = torch.where(wanted > mask, mask / wanted.clamp(min=1e-6), torch.ones_like(mask))
    return torch.lerp(aligned_crop, rgb, share)


def mask_parts(mask: torch.Tensor) -> list[torch.Tensor]:
    """Split a mask (1, 1, H, W) into the regions that do not touch: several faces, say. Empty for an empty mask.

    Regions less than about 1/128 of the picture apart count as one.
    """
    _check_mask(mask)
    height, width = mask.shape[2:]
    cell = max(1, math.ceil(max(height, width) / _PART_GRID))
    there = F.max_pool2d(mask, cell, ceil_mode=True) > 0
    # Every cell starts with a number of its own; the highest of a region spreads until nothing changes.
    labels = torch.arange(1.0, there.numel() + 1).view_as(there).to(mask.device) * there
    while True:
        spread = F.max_pool2d(labels, 3, 1, 1) * there
        if torch.equal(spread, labels):
            break
        labels = spread
    full = labels.repeat_interleave(cell, 2).repeat_interleave(cell, 3)[..., :height, :width]
    return [mask * (full == label) for label in labels.unique().tolist() if label > 0]


def _check_mask(mask: torch.Tensor) -> None:
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise StyleSwapError(f"expected a mask (B, 1, H, W), got {tuple(mask.shape)}")
