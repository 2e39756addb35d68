"""Put a changed picture over the target under a mask, without a seam.

| method | what it does | source |
| --- | --- | --- |
| alpha | weighted mean of the two pictures, pixel by pixel | Porter, Duff 1984 |
| multi-band | coarse structures blend over a wide seam, fine ones over a narrow one | Burt, Adelson 1983 |
| seamless | keeps the changed picture's gradients and takes its tone from the rim of the mask | Perez et al. 2003 |

Pictures are (B, 3, H, W) in -1..1, masks (B, 1, H, W) in 0..1; lengths are in pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d

from ..errors import StyleSwapError
from ..io.images import bchw_to_bhwc, bhwc_to_bchw, repair
from .blending import feather_mask, grow_mask, mask_parts, resize_mask
from .color_matching import match_colors

METHODS = ("alpha", "multi-band", "seamless")
# Six octaves: the coarsest band of a multi-band blend meets over some 64 px.
_BANDS = 6
_REACH = 2 ** (_BANDS + 1)
# Coarse levels give a start so near to the answer that a few steps on each finer one suffice.
_RELAXATIONS = 24
# Where a soft mask counts as ended.
_RIM = 0.02
# A difference that the eye can see, in -1..1.
_VISIBLE = 0.04


@dataclass(frozen=True)
class BlendOptions:
    """How two pictures are put together.

    Attributes:
        grow: pixels by which the mask grows, shrinks if negative.
        feather: pixels over which its outline softens.
        color_match: one of `color_matching.METHODS`.
        color_strength: 0..1.
        method: one of METHODS.
    """

    grow: int = 0
    feather: float = 0.0
    color_match: str = "none"
    color_strength: float = 1.0
    method: str = "alpha"


def blend_with_mask(
    target: torch.Tensor,
    changed: torch.Tensor,
    mask: torch.Tensor,
    options: BlendOptions = BlendOptions(),
    keep: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put `changed` over `target` where the mask says so; separate faces in the mask are treated one by one.

    Args:
        target, changed: (B, 3, H, W) in -1..1.
        mask: (B, 1, H, W) in 0..1; 1 shows `changed`.
        keep: (B, 1, H, W) in 0..1; where it is 1 the target stays, whatever the mask says.

    Returns:
        the picture (B, 3, H, W), and the mask as it was used after growing, feathering and keeping.

    Raises:
        StyleSwapError: shapes that differ, or an unknown method.
    """
    if options.method not in METHODS:
        raise StyleSwapError(f"expected a blending method out of {', '.join(METHODS)}, got {options.method!r}")
    if target.shape != changed.shape or mask.shape != target[:, :1].shape:
        raise StyleSwapError(
            f"expected pictures and a mask of one size, got {tuple(target.shape)}, {tuple(changed.shape)} and"
            f" {tuple(mask.shape)}"
        )
    picture, used = target.clone(), torch.zeros_like(mask)
    for row in range(len(target)):
        at = slice(row, row + 1)
        for part in mask_parts(mask[at]):
            box = _box(part, options)
            others = (None if keep is None else keep[at][box], options)
            picture[at][box], weight = _blend(picture[at][box], target[at][box], changed[at][box], part[box], *others)
            used[at][box] = torch.maximum(used[at][box], weight)
    return picture, used


def _blend(
    picture: torch.Tensor,
    target: torch.Tensor,
    changed: torch.Tensor,
    mask: torch.Tensor,
    keep: torch.Tensor | None,
    options: BlendOptions,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One face over the picture so far; colors are compared with the target as it was."""
    mask = feather_mask(grow_mask(mask, options.grow), options.feather)
    if keep is not None:
        mask = mask * (1.0 - keep)
    matched = match_colors(changed, target, mask, options.color_match, options.color_strength)
    # A swapped picture is the target itself around the face, and there colors are right as they are.
    differs = ((changed - target).abs().amax(1, keepdim=True) / _VISIBLE).clamp(max=1.0)
    changed = torch.lerp(changed, matched, torch.maximum(mask, differs))
    blend = {"alpha": torch.lerp, "multi-band": blend_bands, "seamless": blend_seamless}[options.method]
    blended = blend(picture, changed, mask).clamp(-1.0, 1.0)
    if keep is not None:
        # Bands and membranes reach beyond the mask; what is kept is kept.
        blended = torch.lerp(blended, picture, keep)
    return blended, mask


def _box(mask: torch.Tensor, options: BlendOptions) -> tuple[slice, slice, slice, slice]:
    """The part of the pictures that blending under this mask can change."""
    rows, columns = (mask.amax((0, 1, axis)).nonzero().flatten().tolist() for axis in (3, 2))
    # A Gaussian ends after three standard deviations, which are half of `feather` each.
    margin = max(options.grow, 0) + math.ceil(1.5 * options.feather) + _REACH
    top, bottom = max(rows[0] - margin, 0), rows[-1] + 1 + margin
    left, right = max(columns[0] - margin, 0), columns[-1] + 1 + margin
    return slice(None), slice(None), slice(top, bottom), slice(left, right)


def blend_frames(
    target: torch.Tensor,
    changed: torch.Tensor,
    mask: torch.Tensor,
    options: BlendOptions = BlendOptions(),
    keep: torch.Tensor | None = None,
    on_frame: Callable[[int], None] = lambda frame: None,
    device: torch.device | str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend a batch frame by frame, with memory for one frame beyond the result.

    Args:
        target, changed: (B, H, W, 3 or 4) float 0..1; `changed` may be a single frame for all. The target's fourth
            channel stays as it is, the other's counts for nothing.
        mask: (B, h, w) float 0..1 of any size, or one for all; resized to the frames.
        keep: like `mask`.
        on_frame: called before each frame; what it raises ends the run.
        device: where the result lies; by default where the target lies.

    Returns:
        frames (B, H, W, C) and the masks as used (B, H, W), float32.

    Raises:
        StyleSwapError: no frames, frames of different sizes, or counts that do not go together.
    """
    _check_frames(target, changed, mask, keep)
    images = torch.empty(target.shape, dtype=torch.float32, device=device or target.device)
    masks = torch.empty(target.shape[:3], dtype=torch.float32, device=images.device)
    size = tuple(target.shape[1:3])
    for frame in range(len(target)):
        on_frame(frame)
        own, other = (repair(x[min(frame, len(x) - 1)][None])[0] for x in (target, changed))
        weight, kept = (_mask_of(x, frame, size) for x in (mask, keep))
        before = bhwc_to_bchw(own[..., :3])
        after, used = blend_with_mask(before, bhwc_to_bchw(other[..., :3]), weight, options, kept)
        # Untouched pixels keep their own values: conversion there and back would cost the last bit.
        same = (after == before).all(1)[..., None]
        images[frame, ..., :3] = torch.where(same, own[..., :3], bchw_to_bhwc(after))[0].to(images.device)
        images[frame, ..., 3:] = own[0, ..., 3:].to(images.device)
        masks[frame] = used[0, 0].to(masks.device)
    return images, masks


def _mask_of(masks: torch.Tensor | None, frame: int, size: tuple[int, int]) -> torch.Tensor | None:
    """(1, 1, *size) of a frame."""
    if masks is None:
        return None
    return resize_mask(repair(masks[min(frame, len(masks) - 1)][None, None])[0], size)


def _check_frames(target: torch.Tensor, changed: torch.Tensor, mask: torch.Tensor, keep: torch.Tensor | None) -> None:
    for name, frames in (("target", target), ("swapped pictures", changed)):
        if frames.ndim != 4 or 0 in frames.shape or frames.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected the {name} as (B, H, W, 3 or 4) with at least one frame, got {tuple(frames.shape)}"
            )
    if changed.shape[1:3] != target.shape[1:3]:
        sizes = [f"{frames.shape[2]} x {frames.shape[1]}" for frames in (target, changed)]
        raise StyleSwapError(
            f"expected pictures of one size, the target has {sizes[0]}, the swapped pictures {sizes[1]}; scale one of them"
        )
    for name, given in (("swapped pictures", changed), ("masks", mask), ("keep masks", keep)):
        if given is None:
            continue
        if name != "swapped pictures" and (given.ndim != 3 or 0 in given.shape):
            raise StyleSwapError(f"expected {name} (B, H, W), got {tuple(given.shape)}")
        if len(given) not in (1, len(target)):
            raise StyleSwapError(
                f"expected one of the {name} for all {len(target)} target frames or one for each, got {len(given)};"
                " make the batches equally long"
            )


def blend_bands(target: torch.Tensor, changed: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Multi-band blending: each octave of detail is blended under a mask of its own softness."""
    small_target, small_changed, small_mask = target, changed, mask
    bands, sizes = [], []
    for _ in range(_BANDS):
        if min(small_target.shape[2:]) < 8:
            break
        size = small_target.shape[2:]
        next_target, next_changed, next_mask = (_half(x) for x in (small_target, small_changed, small_mask))
        detail = torch.lerp(
            small_target - _resized(next_target, size), small_changed - _resized(next_changed, size), small_mask
        )
        bands.append(detail)
        sizes.append(size)
        small_target, small_changed, small_mask = next_target, next_changed, next_mask
    blended = torch.lerp(small_target, small_changed, small_mask)
    for detail, size in zip(reversed(bands), reversed(sizes), strict=True):
        blended = _resized(blended, size) + detail
    return blended


def blend_seamless(target: torch.Tensor, changed: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Poisson blending: the difference at the mask's rim is spread smoothly over the inside and taken away there."""
    outside = mask < _RIM
    membrane = harmonic_fill(target - changed, outside)
    return torch.lerp(target, changed + membrane, mask)


def harmonic_fill(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Continue known values smoothly over unknown pixels: there each becomes the mean of its four neighbors.

    Solved from coarse to fine, with a few relaxation steps on each level; at the picture's border the slope is zero.

    Args:
        values: (B, C, H, W).
        known: (B, 1, H, W) bool; must be true somewhere in each row, or the row becomes 0.

    Returns:
        (B, C, H, W), equal to `values` where known.
    """
    start = torch.zeros_like(values)
    if min(values.shape[2:]) > 4 and not bool(known.all()):
        share = F.avg_pool2d(known.to(values), 2, ceil_mode=True, count_include_pad=False)
        total = F.avg_pool2d(values * known, 2, ceil_mode=True, count_include_pad=False)
        coarse = harmonic_fill(total / share.clamp(min=1e-6), share > 0)
        start = _resized(coarse, values.shape[2:])
    filled = torch.where(known, values, start)
    for _ in range(_RELAXATIONS):
        padded = F.pad(filled, (1, 1, 1, 1), mode="replicate")
        around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        filled = torch.where(known, values, around * 0.25)
    return filled


def _half(x: torch.Tensor) -> torch.Tensor:
    """Blurred and reduced; a pixel pair's center lies between the two, where `_resized` looks for it."""
    return F.avg_pool2d(gaussian_blur2d(x, (5, 5), (1.0, 1.0)), 2, ceil_mode=True, count_include_pad=False)


def _resized(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
