"""ONNX operators with a window over one or two spatial axes: convolutions and pooling."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import StyleSwapError


def average_pool(
    x: Tensor,
    /,
    *,
    kernel_shape: list[int],
    strides: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: list[int] | None = None,
) -> Tensor:
    """AveragePool over two spatial axes.

    Raises:
        StyleSwapError: Dilations.
    """
    if dilations and max(dilations) > 1:
        raise StyleSwapError(f"expected an ONNX AveragePool without dilations, got {dilations}; use another network")
    steps = _each_axis(strides, kernel_shape)
    before, after = _padding(x, kernel_shape, steps, _each_axis(None, kernel_shape), pads, auto_pad)
    mean = F.avg_pool2d(_pad(x, before, after), kernel_shape, steps, 0, bool(ceil_mode))
    if count_include_pad or not any(before + after):
        return mean
    # Padding does not count: divide by the share of real pixels under each window.
    share = F.avg_pool2d(_pad(torch.ones_like(x[:1, :1]), before, after), kernel_shape, steps, 0, bool(ceil_mode))
    return mean / share


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    /,
    *,
    strides: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
) -> Tensor:
    """Conv over one or two spatial axes."""
    kernel = weight.shape[2:]
    steps, spacing = _each_axis(strides, kernel), _each_axis(dilations, kernel)
    before, after = _padding(x, kernel, steps, spacing, pads, auto_pad)
    if before != after:
        x, before = _pad(x, before, after), [0] * len(before)
    convolution = F.conv1d if len(kernel) == 1 else F.conv2d
    return convolution(x, weight, bias, steps, before, spacing, group)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    /,
    *,
    strides: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    output_padding: list[int] | None = None,
    output_shape: list[int] | None = None,
) -> Tensor:
    """ConvTranspose over one or two spatial axes."""
    kernel = weight.shape[2:]
    steps, spacing = _each_axis(strides, kernel), _each_axis(dilations, kernel)
    extra = list(output_padding or [0] * len(kernel))
    amounts = list(pads or [0] * (2 * len(kernel)))
    before, after = amounts[: len(kernel)], amounts[len(kernel) :]
    if output_shape or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        sides = x.shape[2:]
        wanted = output_shape[-len(kernel) :] if output_shape else [n * s for n, s in zip(sides, steps, strict=True)]
        full = [
            step * (side - 1) + more + (k - 1) * dilation + 1
            for side, step, more, k, dilation in zip(sides, steps, extra, kernel, spacing, strict=True)
        ]
        total = [max(0, size - side) for size, side in zip(full, wanted, strict=True)]
        small, large = [value // 2 for value in total], [value - value // 2 for value in total]
        before, after = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    convolution = F.conv_transpose1d if len(kernel) == 1 else F.conv_transpose2d
    if before == after:
        return convolution(x, weight, bias, steps, before, extra, group, spacing)
    out = convolution(x, weight, bias, steps, 0, extra, group, spacing)
    for axis, (first, last) in enumerate(zip(before, after, strict=True), start=2):
        out = out.narrow(axis, first, out.shape[axis] - first - last)
    return out


def max_pool(
    x: Tensor,
    /,
    *,
    kernel_shape: list[int],
    strides: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    ceil_mode: int = 0,
) -> Tensor:
    """MaxPool over two spatial axes; only its first output."""
    steps, spacing = _each_axis(strides, kernel_shape), _each_axis(dilations, kernel_shape)
    x = _pad(x, *_padding(x, kernel_shape, steps, spacing, pads, auto_pad), value=-math.inf)
    return F.max_pool2d(x, kernel_shape, steps, 0, spacing, bool(ceil_mode))


def _each_axis(values: Sequence[int] | None, kernel: Sequence[int]) -> list[int]:
    """Strides or dilations per spatial axis, 1 by default."""
    return list(values) if values else [1] * len(kernel)


def _padding(
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: list[int] | None,
    auto_pad: str,
) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial axis."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max(0, (-(-side // stride) - 1) * stride + (k - 1) * dilation + 1 - side)
            for side, stride, k, dilation in zip(x.shape[2:], strides, kernel, dilations, strict=True)
        ]
        small, large = [value // 2 for value in total], [value - value // 2 for value in total]
        return (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    amounts = list(pads or [0] * (2 * len(kernel)))
    return amounts[: len(kernel)], amounts[len(kernel) :]


def _pad(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    # F.pad counts from the last axis.
    amounts = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]
    return F.pad(x, amounts, value=value) if any(amounts) else x


CONVOLUTIONS: dict[str, Callable[..., Tensor]] = {
    "AveragePool": average_pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
}
