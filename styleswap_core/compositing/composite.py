"""Seamless blending of a changed picture over the target under a mask.

| method | effect | source |
| --- | --- | --- |
| alpha | weighted mean of the two pictures in each pixel | Porter, Duff 1984 |
| multi-band | coarse structures blend over a wide transition, fine ones over a narrow one | Burt, Adelson 1983 |
| seamless | gradients of the changed picture, tone of the target at the mask's outline | Perez et al. 2003 |

Pictures are (B, 3, H, W), -1..1; masks are (B, 1, H, W), 0..1; lengths are in pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..errors import StyleSwapError
from ..io.images import bchw_to_bhwc, bhwc_to_bchw, repair
from .color_matching import match_colors
from .mask_shaping import feather_mask, grow_mask, mask_parts, resize_mask

METHODS = ("alpha", "multi-band", "seamless")
# Octaves of detail that multi-band blending separates; the coarsest blends over about 64 px.
_BANDS = 6
# Pixels beyond the mask that multi-band blending can change.
_REACH = 2 ** (_BANDS + 1)
# Relaxation steps per level; the coarser level's solution is a start close enough for so few.
_RELAXATIONS = 24
# Mask value below which a pixel counts as outside.
_OUTSIDE = 0.02
# Smallest visible difference of pictures in -1..1.
_VISIBLE = 0.04


@dataclass(frozen=True)
class BlendOptions:
    """Options of a blend.

    Attributes:
        grow: Pixels by which the mask is dilated, or eroded if negative.
        feather: Pixels over which its outline is softened.
        color_match: One of `color_matching.METHODS`.
        color_strength: 0..1, see `match_colors`.
        method: One of METHODS.
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
    """Blend `changed` over `target` under a mask, with colors matched separately in each connected region of the mask.

    Args:
        target: (B, 3, H, W), -1..1.
        changed: (B, 3, H, W), -1..1.
        mask: (B, 1, H, W), 0..1; 1 shows `changed`.
        options: How to blend.
        keep: (B, 1, H, W), 0..1; where it is 1, the target stays regardless of the mask.

    Returns:
        The picture (B, 3, H, W), and the mask (B, 1, H, W) after growing, feathering and `keep`.

    Raises:
        StyleSwapError: Shapes that differ, or an unknown method.
    """
    check_method(options)
    if target.shape != changed.shape or mask.shape != target[:, :1].shape:
        raise StyleSwapError(
            f"expected pictures and a mask of one size, got {tuple(target.shape)}, {tuple(changed.shape)} and"
            f" {tuple(mask.shape)}"
        )
    picture, used = target.clone(), torch.zeros_like(mask)
    for number in range(len(target)):
        row = slice(number, number + 1)
        for part in mask_parts(mask[row]):
            box = _box(part, options)
            picture[row][box], weight = _blend(
                picture[row][box],
                target[row][box],
                changed[row][box],
                part[box],
                None if keep is None else keep[row][box],
                options,
            )
            used[row][box] = torch.maximum(used[row][box], weight)
    return picture, used


def check_method(options: BlendOptions) -> None:
    """Check the method of a blend.

    Raises:
        StyleSwapError: An unknown one.
    """
    if options.method not in METHODS:
        raise StyleSwapError(f"expected a blending method out of {', '.join(METHODS)}, got {options.method!r}")


def _blend(
    picture: torch.Tensor,
    target: torch.Tensor,
    changed: torch.Tensor,
    mask: torch.Tensor,
    keep: torch.Tensor | None,
    options: BlendOptions,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`blend_layer` under a mask that is first grown and feathered."""
    mask = feather_mask(grow_mask(mask, options.grow), options.feather)
    return blend_layer(picture, target, changed, mask, keep, options)


def blend_layer(
    picture: torch.Tensor,
    target: torch.Tensor,
    changed: torch.Tensor,
    mask: torch.Tensor,
    keep: torch.Tensor | None,
    options: BlendOptions,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend one face over the picture so far; its colors are matched to the unchanged target.

    Args:
        picture: (B, 3, H, W), -1..1: the target with the faces before this one.
        target: (B, 3, H, W), -1..1.
        changed: (B, 3, H, W), -1..1: the face.
        mask: (B, 1, H, W), 0..1: where it shows; neither grown nor feathered any more.
        keep: As for `blend_with_mask`.
        options: Colors and method.

    Returns:
        As `blend_with_mask`.
    """
    if keep is not None:
        mask = mask * (1.0 - keep)
    matched = match_colors(changed, target, mask, options.color_match, options.color_strength)
    # Around the face a swapped picture equals the target, whose colors need no matching.
    differs = ((changed - target).abs().amax(1, keepdim=True) / _VISIBLE).clamp(max=1.0)
    changed = torch.lerp(changed, matched, torch.maximum(mask, differs))
    if options.method == "multi-band":
        blended = blend_bands(picture, changed, mask)
    elif options.method == "seamless":
        blended = blend_seamless(picture, changed, mask)
    else:
        blended = torch.lerp(picture, changed, mask)
    blended = blended.clamp(-1.0, 1.0)
    # Multi-band blending changes pixels beyond the mask.
    return blended if keep is None else torch.lerp(blended, picture, keep), mask


def blend_margin(options: BlendOptions) -> int:
    """Pixels beyond a mask that a blend can change."""
    # Three standard deviations of half of `feather` each.
    return max(options.grow, 0) + math.ceil(1.5 * options.feather) + _REACH


def changed_box(mask: torch.Tensor, options: BlendOptions) -> tuple[slice, slice, slice, slice] | None:
    """Region that a blend under a mask (1, 1, H, W) can change; None for an empty mask."""
    return _box(mask, options) if bool(mask.any()) else None


def _box(mask: torch.Tensor, options: BlendOptions) -> tuple[slice, slice, slice, slice]:
    """Region of the pictures that a blend under this mask can change."""
    rows, columns = (mask.amax((0, 1, axis)).nonzero().flatten().tolist() for axis in (3, 2))
    margin = blend_margin(options)
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
    """Blend a batch in ComfyUI's layout frame by frame, with memory for one frame beyond the result.

    Args:
        target: (B, H, W, 3 or 4) float, 0..1; a fourth channel is copied to the result.
        changed: (B or 1, H, W, 3 or 4) float, 0..1; a fourth channel is ignored.
        mask: (B or 1, h, w) float, 0..1, resized to the frames.
        options: How to blend.
        keep: (B or 1, h, w) float, 0..1, see `blend_with_mask`.
        on_frame: Called with each frame's number before it is blended; an exception ends the run.
        device: Device of the result; by default the target's.

    Returns:
        Frames (B, H, W, C) and the masks (B, H, W) as `blend_with_mask` returns them, float32.

    Raises:
        StyleSwapError: No frames, frames of different sizes, or batches whose lengths do not fit.
    """
    _check_frames(target, changed, mask, keep)
    images = torch.empty(target.shape, dtype=torch.float32, device=device or target.device)
    masks = torch.empty(target.shape[:3], dtype=torch.float32, device=images.device)
    size = target.shape[1:3]
    for frame in range(len(target)):
        on_frame(frame)
        own, other = (repair(_row(frames, frame))[0] for frames in (target, changed))
        weight = _mask_of(mask, frame, size)
        kept = None if keep is None else _mask_of(keep, frame, size)
        before = bhwc_to_bchw(own[..., :3])
        after, used = blend_with_mask(before, bhwc_to_bchw(other[..., :3]), weight, options, kept)
        # Converting unchanged pixels back and forth would change their last bit.
        same = (after == before).all(1)[..., None]
        images[frame, ..., :3] = torch.where(same, own[..., :3], bchw_to_bhwc(after))[0].to(images.device)
        images[frame, ..., 3:] = own[0, ..., 3:].to(images.device)
        masks[frame] = used[0, 0].to(masks.device)
    return images, masks


def _row(batch: torch.Tensor, frame: int) -> torch.Tensor:
    """Row of a frame, (1, ...); a batch of one serves all frames."""
    row = min(frame, len(batch) - 1)
    return batch[row : row + 1]


def _mask_of(masks: torch.Tensor, frame: int, size: Sequence[int]) -> torch.Tensor:
    """A frame's mask, (1, 1, *size)."""
    return resize_mask(repair(_row(masks, frame)[None])[0], size)


def _check_frames(target: torch.Tensor, changed: torch.Tensor, mask: torch.Tensor, keep: torch.Tensor | None) -> None:
    for name, frames in (("target", target), ("swapped pictures", changed)):
        if frames.ndim != 4 or 0 in frames.shape or frames.shape[3] not in (3, 4):
            raise StyleSwapError(
                f"expected the {name} as (B, H, W, 3 or 4) with at least one frame, got {tuple(frames.shape)}"
            )
    if changed.shape[1:3] != target.shape[1:3]:
        sizes = [f"{frames.shape[2]} x {frames.shape[1]}" for frames in (target, changed)]
        raise StyleSwapError(
            f"expected pictures of one size, got a target of {sizes[0]} and swapped pictures of {sizes[1]};"
            " scale one of them"
        )
    for name, given in (("swapped pictures", changed), ("masks", mask), ("keep masks", keep)):
        if given is None:
            continue
        if name != "swapped pictures" and (given.ndim != 3 or 0 in given.shape):
            raise StyleSwapError(f"expected {name} (B, H, W), got {tuple(given.shape)}")
        if len(given) not in (1, len(target)):
            raise StyleSwapError(
                f"expected as many {name} as target frames ({len(target)}), or one for all, got {len(given)}; make the"
                " batches equally long"
            )


def blend_bands(target: torch.Tensor, changed: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Multi-band blending: each octave of detail is blended under the mask blurred to that octave."""
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
    """Poisson blending: add the difference at the mask's outline, interpolated smoothly over the inside."""
    outside = mask < _OUTSIDE
    membrane = harmonic_fill(target - changed, outside)
    return torch.lerp(target, changed + membrane, mask)


def harmonic_fill(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Fill unknown pixels by Laplace's equation: each becomes the mean of its four neighbors.

    Solved from coarse to fine with a few relaxation steps per level, with zero slope at the picture's border.

    Args:
        values: (B, C, H, W).
        known: (B, 1, H, W) bool; a picture without known pixels becomes 0.

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
    """Blurred and halved; an output pixel lies between its two input pixels, as `_resized` assumes."""
    from kornia.filters import gaussian_blur2d

    return F.avg_pool2d(gaussian_blur2d(x, (5, 5), (1.0, 1.0)), 2, ceil_mode=True, count_include_pad=False)


def _resized(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
