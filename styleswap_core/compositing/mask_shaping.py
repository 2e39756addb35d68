"""Masks of swapped faces: resizing, growing, feathering, splitting into regions.

Masks are (B, 1, H, W) float in 0..1; lengths are in the mask's own pixels.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..errors import StyleSwapError

# Cells along a mask's longer side by which its regions are told apart.
_REGION_GRID = 128
# Wide edges are made in a smaller mask, where their standard deviation is at most this many pixels.
_MAX_SIGMA = 8.0
# Radius of the corners of `inset_mask`, and its least edge, as fractions of the side.
_CORNER, _LEAST_EDGE = 0.4, 0.06


def resize_mask(mask: torch.Tensor, size: int | Sequence[int]) -> torch.Tensor:
    """(B, 1, H, W) -> (B, 1, h, w), bilinear with antialiasing.

    Args:
        mask: (B, 1, H, W), 0..1.
        size: Side of a square, or (height, width).
    """
    _check_mask(mask)
    size = (size, size) if isinstance(size, int) else tuple(size)
    if tuple(mask.shape[2:]) == size:
        return mask
    return F.interpolate(mask, size=size, mode="bilinear", align_corners=False, antialias=True).clamp(0.0, 1.0)


def grow_mask(mask: torch.Tensor, pixels: int) -> torch.Tensor:
    """Grayscale dilation by a square of `pixels` in each direction, erosion if negative; soft edges stay soft."""
    _check_mask(mask)
    if pixels == 0:
        return mask
    reach = abs(pixels)
    if pixels < 0:
        return 1.0 - grow_mask(1.0 - mask, reach)
    # The maximum over a square is the maximum over rows, then over columns. Max-pooling pads with -inf, so that what
    # lies beyond the picture has no influence.
    mask = F.max_pool2d(mask, (1, 2 * reach + 1), 1, (0, reach))
    return F.max_pool2d(mask, (2 * reach + 1, 1), 1, (reach, 0))


def feather_mask(mask: torch.Tensor, radius: float) -> torch.Tensor:
    """Gaussian blur with a standard deviation of half of `radius`; 0 changes nothing."""
    _check_mask(mask)
    if radius < 0:
        raise StyleSwapError(f"expected a feather radius of 0 px or more, got {radius}")
    if radius == 0:
        return mask
    # Here and below, kornia is imported where it is needed: its import takes a fifth of the time of torch's.
    from kornia.filters import gaussian_blur2d

    sigma = radius / 2.0
    # Reflection padding must be smaller than the picture.
    reach = min(math.ceil(3.0 * sigma), mask.shape[2] - 1, mask.shape[3] - 1)
    return gaussian_blur2d(mask, (2 * reach + 1, 2 * reach + 1), (sigma, sigma)).clamp(0.0, 1.0)


def soften_inward(mask: torch.Tensor, edge: float) -> torch.Tensor:
    """Soft edge that lies within the mask: a blur, of which the lower half is cut off.

    What is thinner than the edge, such as the frame of glasses in front of a face, stays out of the mask.

    Args:
        mask: (B, 1, S, S), 0..1. Beyond its border it counts as 0.
        edge: Width of the edge, as a fraction of the side; 0 changes nothing.

    Returns:
        (B, 1, S, S), 0..1: nowhere above the mask.
    """
    _check_mask(mask)
    if edge < 0:
        raise StyleSwapError(f"expected an edge of 0 or more, as a fraction of the crop's side; got {edge}")
    if edge == 0:
        return mask
    from kornia.filters import gaussian_blur2d

    side = mask.shape[-1]
    small = resize_mask(mask, min(side, round(2 * _MAX_SIGMA / edge)))
    sigma = edge * small.shape[-1] / 2.0
    reach = math.ceil(3.0 * sigma)
    # Padded by hand: kornia's padding must be smaller than the mask.
    padded = F.pad(small, (reach, reach, reach, reach))
    blurred = gaussian_blur2d(padded, (2 * reach + 1, 2 * reach + 1), (sigma, sigma), border_type="constant")
    inner = blurred[..., reach:-reach, reach:-reach]
    return torch.minimum(resize_mask(((inner - 0.5) * 2.0).clamp(0.0, 1.0), side), mask)


def inset_mask(mask: torch.Tensor, padding: float = 0.0, edge: float = 0.0) -> torch.Tensor:
    """A mask limited to a square with round corners, so that the outline of the crop never shows.

    Args:
        mask: (B, 1, S, S), 0..1.
        padding: Distance of the square from the border, as a fraction of the side.
        edge: Width over which it fades, as a fraction of the side; at least 0.06.

    Returns:
        (B, 1, S, S), 0..1: 0 at the outermost pixels.
    """
    _check_mask(mask)
    side = mask.shape[-1]
    # Distance of each pixel from the center along an axis; the outermost ones count as on the border.
    away = (torch.linspace(-0.5, 0.5, side, dtype=torch.float32, device=mask.device)).abs()
    half = max(0.5 - padding, 0.0)
    corner = min(_CORNER, half)
    beyond = (away - (half - corner)).clamp(min=0.0)
    inside = corner - torch.hypot(beyond[:, None], beyond[None, :])  # distance from the outline, up to the radius
    ramp = (inside / max(edge, _LEAST_EDGE)).clamp(0.0, 1.0)
    return mask * (ramp * ramp * (3.0 - 2.0 * ramp)).to(mask)


def layer_for_mask(
    rgb: torch.Tensor, aligned_crop: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor
) -> torch.Tensor:
    """Layer that, blended with the mask `wanted`, shows no more of `rgb` than the generator's `mask` allows.

    Outside its own mask the generator's RGB is untrained. Blended over the target with `wanted`, the layer gives
    mask * rgb + (wanted - mask) * aligned_crop + (1 - wanted) * target where `wanted` exceeds `mask`, and
    wanted * rgb + (1 - wanted) * target elsewhere. If `wanted` is `mask`, it is `rgb`.

    Args:
        rgb: (B, 3, S, S), -1..1, the generator's picture.
        aligned_crop: (B, 3, S, S), -1..1, the target's crop.
        mask: (B, 1, S, S), 0..1, the generator's mask.
        wanted: (B, 1, S, S), 0..1, the mask to blend with.

    Returns:
        (B, 3, S, S), -1..1.
    """
    if wanted is mask:
        return rgb
    share = torch.where(wanted > mask, mask / wanted.clamp(min=1e-6), torch.ones_like(mask))
    return torch.lerp(aligned_crop, rgb, share)


def mask_parts(mask: torch.Tensor) -> list[torch.Tensor]:
    """Connected regions of a mask, such as several faces, each as a separate mask; none for an empty mask.

    Regions less than about 1/128 of the picture's longer side apart count as one.

    Args:
        mask: (1, 1, H, W), 0..1.
    """
    _check_mask(mask)
    height, width = mask.shape[2:]
    cell = max(1, math.ceil(max(height, width) / _REGION_GRID))
    occupied = F.max_pool2d(mask, cell, ceil_mode=True) > 0
    # Each cell starts with a unique label; the highest label of a region spreads until nothing changes.
    labels = torch.arange(1.0, occupied.numel() + 1).view_as(occupied).to(mask.device) * occupied
    while True:
        spread = F.max_pool2d(labels, 3, 1, 1) * occupied
        if torch.equal(spread, labels):
            break
        labels = spread
    full = labels.repeat_interleave(cell, 2).repeat_interleave(cell, 3)[..., :height, :width]
    return [mask * (full == label) for label in labels.unique().tolist() if label > 0]


def _check_mask(mask: torch.Tensor) -> None:
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise StyleSwapError(f"expected a mask (B, 1, H, W), got {tuple(mask.shape)}")
