"""More resolution than a network has, by phases ("pixel boost").

A crop of k times the network's size is split into k * k crops of the network's size, each made of every k-th pixel from
another starting pixel. They are swapped one by one and interleaved again.

A network draws most of a face at the same pixels in all of them, although each shows the face shifted by a fraction of
a pixel. Interleaved, that gives steps and lines at a distance of k pixels, which `join_swapped` removes.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError
from ..identities.identity import Identity
from .network import SwappedCrops, SwappingNetwork
from .swap_ranges import AUTOMATIC, MAX_FACTOR

# The automatic crop has at least this fraction of the picture's resolution. Measured (benchmarks/resolution.py), the
# face is then as sharp as at full resolution to a few percent, at half the cost.
_SHARE = 0.75
# Standard deviation, in pixels of the network, over which neighboring pixels of one phase count as one line.
_LINE = 1.0


def check_resolution(resolution: int) -> None:
    """Check a resolution option.

    Raises:
        StyleSwapError: Neither AUTOMATIC nor a factor from 1 to MAX_FACTOR.
    """
    if resolution != AUTOMATIC and not 1 <= resolution <= MAX_FACTOR:
        raise StyleSwapError(f"expected a resolution from 1 to {MAX_FACTOR}, or 0 for automatic, got {resolution}")


def resolution_factor(resolution: int, picture_pixels_per_crop_pixel: float, phased: bool) -> int:
    """Factor by which the aligned crop of a face is larger than the network's size.

    Args:
        resolution: AUTOMATIC or a factor.
        picture_pixels_per_crop_pixel: Scale of the face at the network's own size; above 1 if the picture shows the
            face in more detail.
        phased: Whether AUTOMATIC may exceed 1 for this network.

    Returns:
        The factor itself, or the smallest one at which the crop is nearly as fine as the picture.
    """
    if resolution != AUTOMATIC:
        return resolution
    if not phased:
        return 1
    return min(MAX_FACTOR, max(1, math.ceil(_SHARE * picture_pixels_per_crop_pixel)))


def split_phases(crops: Tensor, factor: int) -> Tensor:
    """Crops (B, C, k S, k S) -> phases (B * k * k, C, S, S), those of one crop in succession."""
    return F.pixel_unshuffle(crops, factor).unflatten(1, (crops.shape[1], factor**2)).transpose(1, 2).flatten(0, 1)


def join_phases(phases: Tensor, factor: int) -> Tensor:
    """Inverse of `split_phases`."""
    return F.pixel_shuffle(phases.unflatten(0, (-1, factor**2)).transpose(1, 2).flatten(1, 2), factor)


def join_swapped(swapped: Tensor, crops: Tensor, factor: int) -> Tensor:
    """Join swapped phases without the steps and lines that repeat every `factor` pixels.

    What the network changed is compared with the same change at its own resolution, enlarged smoothly. The difference
    is fine detail, which varies from pixel to pixel of a phase, and steps and lines, which do not: a blur within each
    phase isolates them. A network that changes nothing returns the crops exactly.

    Args:
        swapped: (B * k * k, 3, S, S), phases after the network.
        crops: (B, 3, k S, k S), what they were split from.
        factor: k.

    Returns:
        (B, 3, k S, k S).
    """
    # Imported here: a swap at the network's own resolution does not wait for kornia.
    from kornia.filters import gaussian_blur2d

    joined = join_phases(swapped, factor)
    change = joined - crops.to(joined)
    smooth = F.interpolate(F.avg_pool2d(change, factor), scale_factor=float(factor), mode="bicubic")
    reach = math.ceil(3.0 * _LINE)
    lines = gaussian_blur2d(split_phases(change - smooth, factor), 2 * reach + 1, (_LINE, _LINE))
    return joined - join_phases(lines, factor)


def swap_at(
    network: SwappingNetwork,
    crops: Tensor,
    identities: Sequence[Identity],
    own_embeddings: Tensor | None,
    strength: float,
    factor: int,
    batch_size: int,
) -> SwappedCrops:
    """Swap crops (B, 3, k S, k S) for a factor k, at most `batch_size` of the network's crops at a time.

    Other arguments and the result as for `SwappingNetwork.swap_crops`, with k S in place of S. Masks of the phases
    differ by noise only, so the mask is their mean, enlarged.
    """
    if factor == 1:
        return network.swap_crops(crops, identities, own_embeddings, strength)
    phases = split_phases(crops, factor)
    repeated = [identity for identity in identities for _ in range(factor**2)]
    own = None if own_embeddings is None else own_embeddings.repeat_interleave(factor**2, 0)
    parts = []
    for start in range(0, len(phases), batch_size):
        rows = slice(start, start + batch_size)
        parts.append(network.swap_crops(phases[rows], repeated[rows], None if own is None else own[rows], strength))
    rgb, masks = torch.cat([part.rgb for part in parts]), torch.cat([part.mask for part in parts])
    mean = masks.unflatten(0, (-1, factor**2)).mean(1)
    mask = F.interpolate(mean, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return SwappedCrops(join_swapped(rgb, crops, factor), mask)
