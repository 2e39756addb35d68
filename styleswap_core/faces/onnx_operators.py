"""ONNX operators in torch, as far as face recognizers use them.

Source: the ONNX operator specification, https://onnx.ai/onnx/operators. Each function takes the operator's inputs by
position, with None for an optional input that is left out, and its attributes by keyword, under their names in the
specification. Where an attribute became an input in a later opset, both forms are read.
"""

import math
import operator
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

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
) -> Tensor:
    """AveragePool over two spatial axes."""
    steps = _each_axis(strides, kernel_shape)
    before, after = _padding(x, kernel_shape, steps, _each_axis(None, kernel_shape), pads, auto_pad)
    mean = F.avg_pool2d(_pad(x, before, after), kernel_shape, steps, 0, bool(ceil_mode))
    if count_include_pad or not any(before + after):
        return mean
    # Padding does not count: divide by the share of real pixels under each window.
    share = F.avg_pool2d(_pad(torch.ones_like(x[:1, :1]), before, after), kernel_shape, steps, 0, bool(ceil_mode))
    return mean / share


def batch_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, /, *, epsilon: float = 1e-5
) -> Tensor:
    """BatchNormalization in inference mode."""
    return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)


def clip(
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
    /,
    *,
    min: float | None = None,
    max: float | None = None,
) -> Tensor:
    """Clip; the bounds are attributes before opset 11."""
    least = min if low is None else low.item()
    most = max if high is None else high.item()
    return x if least is None and most is None else x.clamp(least, most)


def concat(*parts: Tensor, axis: int) -> Tensor:
    """Concat."""
    return torch.cat(parts, axis)


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


def flatten(x: Tensor, /, *, axis: int = 1) -> Tensor:
    """Flatten to (product of the sides before `axis`, product of the others)."""
    rows = math.prod(x.shape[: axis if axis >= 0 else x.ndim + axis])
    # Not (rows, -1): an empty batch has no -1 to solve for.
    return x.reshape(rows, x.numel() // max(rows, 1))


def gather(data: Tensor, indices: Tensor, /, *, axis: int = 0) -> Tensor:
    """Gather; negative indices count from the end."""
    axis %= data.ndim
    indices = torch.where(indices < 0, indices + data.shape[axis], indices).to(data.device)
    picked = data.index_select(axis, indices.reshape(-1))
    return picked.reshape((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    /,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803 - the attribute's name
    transB: int = 0,  # noqa: N803 - the attribute's name
) -> Tensor:
    """Gemm: alpha A B + beta C."""
    product = (a.T if transA else a) @ (b.T if transB else b) * alpha
    return product if c is None else product + c * beta


def global_average_pool(x: Tensor, /) -> Tensor:
    """GlobalAveragePool over all spatial axes."""
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def leaky_relu(x: Tensor, /, *, alpha: float = 0.01) -> Tensor:
    """LeakyRelu."""
    return F.leaky_relu(x, alpha)


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


def prelu(x: Tensor, slope: Tensor, /) -> Tensor:
    """PRelu; faster than torch's where the slopes are one per channel and frozen."""
    # Under autocast the activations may be narrower than the weights, which prelu does not promote.
    slope = slope.to(x.dtype)
    if slope.numel() != x.shape[1] or slope.numel() != max(slope.shape):
        return torch.where(x >= 0, x, x * slope)
    if slope.requires_grad:
        return F.prelu(x, slope.flatten())
    slopes = slope.reshape(1, -1, *(1,) * (x.ndim - 2)).expand(1, *x.shape[1:])
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        # Written out: along the innermost axis of channels_last, broadcasting takes several times as long on a CPU.
        slopes = slopes.contiguous(memory_format=torch.channels_last)
    return _FrozenPRelu.apply(x, slopes)


def reduce_mean(
    x: Tensor, axes_input: Tensor | None = None, /, *, axes: list[int] | None = None, keepdims: int = 1
) -> Tensor:
    """ReduceMean, by default over all axes."""
    chosen = _axes(axes_input, axes)
    return x.mean(tuple(range(x.ndim)) if chosen is None else chosen, keepdim=bool(keepdims))


def reshape(x: Tensor, shape: Tensor, /, *, allowzero: int = 0) -> Tensor:
    """Reshape; a side of 0 is copied from `x` unless `allowzero`."""
    sides: list[int] = shape.tolist()
    if not allowzero:
        sides = [x.shape[i] if side == 0 else side for i, side in enumerate(sides)]
    return x.reshape(sides)


def shape_of(x: Tensor, /, *, start: int = 0, end: int | None = None) -> Tensor:
    """Shape, int64 on the CPU."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def squeeze(x: Tensor, axes_input: Tensor | None = None, /, *, axes: list[int] | None = None) -> Tensor:
    """Squeeze, by default all axes of length 1."""
    chosen = _axes(axes_input, axes)
    return x.squeeze() if chosen is None else x.squeeze(chosen)


def transpose(x: Tensor, /, *, perm: list[int] | None = None) -> Tensor:
    """Transpose, which by default reverses the axes."""
    return x.permute(*(perm or reversed(range(x.ndim))))


def unsqueeze(x: Tensor, axes_input: Tensor | None = None, /, *, axes: list[int] | None = None) -> Tensor:
    """Unsqueeze; the axes are those of the result."""
    chosen = _axes(axes_input, axes)
    if chosen is None:
        raise StyleSwapError("expected an ONNX Unsqueeze with axes, got one without; export the recognizer again")
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": operator.add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "Div": operator.truediv,
    "Dropout": lambda x, *unused: x,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "Identity": lambda x: x,
    "LeakyRelu": leaky_relu,
    "MatMul": operator.matmul,
    "MaxPool": max_pool,
    "Mul": operator.mul,
    "PRelu": prelu,
    "Pow": operator.pow,
    "ReduceMean": reduce_mean,
    "Relu": lambda x: torch.relu(x),
    "Reshape": reshape,
    "Shape": shape_of,
    "Sigmoid": lambda x: torch.sigmoid(x),
    "Sqrt": lambda x: torch.sqrt(x),
    "Squeeze": squeeze,
    "Sub": operator.sub,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}


class _PReluContext(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]


class _FrozenPRelu(torch.autograd.Function):
    """PReLU of x (B, C, ...) with slopes (1, C, ...) that need no gradient: torch's own computes one per pixel."""

    @staticmethod
    def forward(ctx: _PReluContext, x: Tensor, slopes: Tensor) -> Tensor:
        """PReLU of `x`.

        Args:
            ctx: torch's context.
            x: (B, C, ...).
            slopes: (1, C, ...), in the memory order of `x`.
        """
        ctx.save_for_backward(x, slopes)
        return torch.lerp(F.relu(x), x, slopes)

    @staticmethod
    @once_differentiable
    def backward(ctx: _PReluContext, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient of `x` from that of the result; none of the slopes."""
        x, slopes = ctx.saved_tensors
        return torch.lerp(torch.ops.aten.threshold_backward(gradient, x, 0.0), gradient, slopes), None


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


def _axes(given: Tensor | None, attribute: Sequence[int] | None) -> tuple[int, ...] | None:
    """Axes, an attribute before opset 13 and an input since."""
    if given is not None:
        return tuple(given.tolist())
    return None if attribute is None else tuple(attribute)
