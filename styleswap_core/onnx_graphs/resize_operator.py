"""The ONNX operators Resize and Upsample."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError


def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    /,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    antialias: int = 0,
    keep_aspect_ratio_policy: str = "stretch",
    axes: list[int] | None = None,
) -> Tensor:
    """Resize, since opset 11; in opset 10 the second input holds the scales, and coordinates are asymmetric.

    Raises:
        StyleSwapError: Antialiasing, cropping at the same time, or sizes that keep the aspect ratio.
    """
    if scales is None and sizes is None:
        return upsample(x, roi, mode=mode)
    cropping = coordinate_transformation_mode == "tf_crop_and_resize"
    if antialias or exclude_outside or cropping or keep_aspect_ratio_policy != "stretch":
        raise StyleSwapError(
            "expected an ONNX Resize without antialiasing, cropping and aspect ratio, got one with them; export the "
            "network with plain linear, cubic or nearest interpolation"
        )
    chosen = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in axes]
    factors, lengths = [1.0] * x.ndim, list(x.shape)
    given: list[float] = [] if scales is None or scales.numel() == 0 else scales.tolist()
    for place, axis in enumerate(chosen):
        if given:
            factors[axis], lengths[axis] = given[place], int(x.shape[axis] * given[place])
        elif sizes is not None:
            lengths[axis] = int(sizes[place])
            factors[axis] = lengths[axis] / x.shape[axis]
    return _resample(x, factors, lengths, mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a)


def upsample(
    x: Tensor, scales_input: Tensor | None = None, /, *, mode: str = "nearest", scales: list[float] | None = None
) -> Tensor:
    """Upsample, the former Resize, whose coordinates are asymmetric."""
    given = scales if scales_input is None else scales_input.tolist()
    if not given:
        raise StyleSwapError("expected an ONNX Resize with scales or sizes, got one without; export the network again")
    lengths = [int(side * factor) for side, factor in zip(x.shape, given, strict=True)]
    return _resample(x, given, lengths, mode, "asymmetric", "floor", -0.75)


def _resample(
    x: Tensor, factors: list[float], lengths: list[int], mode: str, coordinates: str, rounding: str, cubic: float
) -> Tensor:
    """Resample all axes whose length or factor changes."""
    changed = [axis for axis in range(x.ndim) if factors[axis] != 1.0 or lengths[axis] != x.shape[axis]]
    if mode == "linear" and x.ndim == 4 and changed and min(changed) >= 2 and min(lengths[2:]) > 1:
        if coordinates == "align_corners":
            return F.interpolate(x, lengths[2:], mode="bilinear", align_corners=True)
        if coordinates in ("half_pixel", "pytorch_half_pixel"):
            if any(
                int(side * factor) != length for side, factor, length in zip(x.shape, factors, lengths, strict=True)
            ):
                # The factors are quotients of the lengths and were rounded.
                return F.interpolate(x, lengths[2:], mode="bilinear", align_corners=False)
            # With a factor, torch uses it for the coordinates as ONNX does, even if the length is rounded.
            return F.interpolate(x, scale_factor=factors[2:], mode="bilinear", align_corners=False)
    for axis in changed:
        places = _coordinates(x.shape[axis], lengths[axis], factors[axis], coordinates)
        x = _interpolate(x, axis, places, mode, rounding, cubic)
    return x


def _coordinates(side: int, length: int, factor: float, mode: str) -> Tensor:
    """Places (length,) on an axis of `side` elements from which the result takes its values."""
    places = torch.arange(length, dtype=torch.float32)
    if mode == "asymmetric":
        return places / factor
    if mode == "align_corners":
        return places * ((side - 1) / (length - 1) if length > 1 else 0.0)
    if mode == "pytorch_half_pixel" and length == 1:
        return torch.zeros(1)
    if mode not in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        raise StyleSwapError(f"expected an ONNX Resize with coordinates this loader knows, got {mode!r}")
    centers = (places + 0.5) / factor - 0.5
    if mode == "half_pixel_symmetric":
        centers = centers + side / 2 * (1 - length / (factor * side))
    return centers


def _interpolate(x: Tensor, axis: int, places: Tensor, mode: str, rounding: str, cubic: float) -> Tensor:
    """Values of `x` at `places` along an axis; beyond the ends, the outermost element."""
    last = x.shape[axis] - 1
    if mode == "nearest":
        rounded = {
            "floor": places.floor(),
            "ceil": places.ceil(),
            "round_prefer_floor": (places - 0.5).ceil(),
            "round_prefer_ceil": (places + 0.5).floor(),
        }[rounding]
        return x.index_select(axis, rounded.long().clamp(0, last).to(x.device))
    if mode == "linear":
        places = places.clamp(0, last)
    below = places.floor()
    share = places - below
    weights = [1 - share, share] if mode == "linear" else _cubic_weights(share, cubic)
    start = below.long() - (0 if mode == "linear" else 1)
    shape = [-1 if other == axis else 1 for other in range(x.ndim)]
    total = torch.zeros((), device=x.device, dtype=x.dtype)
    for offset, weight in enumerate(weights):
        tap = x.index_select(axis, (start + offset).clamp(0, last).to(x.device))
        total = total + tap * weight.to(x).reshape(shape)
    return total


def _cubic_weights(share: Tensor, a: float) -> list[Tensor]:
    """Weights of the four neighbors at the distances 1 + share, share, 1 - share, 2 - share (Keys 1981)."""

    def near(t: Tensor) -> Tensor:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: Tensor) -> Tensor:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return [far(1 + share), near(share), near(1 - share), far(2 - share)]
