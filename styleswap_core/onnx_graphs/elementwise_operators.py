"""ONNX operators that compute each element of their result by itself: arithmetic, comparisons, activations."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

# Data types of onnx.TensorProto that are not floating-point. All floating-point types are computed in float32.
_INTEGER_TYPES = {2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool}


def on_one_device(*values: Tensor) -> tuple[Tensor, ...]:
    """The values on one device: integers and what is computed from shapes are on the CPU, weights may be elsewhere."""
    devices = {value.device for value in values}
    if len(devices) == 1:
        return values
    device = next(device for device in devices if device.type != "cpu")
    return tuple(value.to(device) for value in values)


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of two tensors as an operator."""

    def apply(a: Tensor, b: Tensor, /) -> Tensor:
        return function(*on_one_device(a, b))

    return apply


def folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of two tensors as an operator with one or more inputs, such as Max."""

    def apply(first: Tensor, /, *others: Tensor) -> Tensor:
        result = first
        for other in others:
            result = function(*on_one_device(result, other))
        return result

    return apply


def unary(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of one tensor as an operator without attributes."""

    def apply(x: Tensor, /) -> Tensor:
        return function(x)

    return apply


def divide(a: Tensor, b: Tensor) -> Tensor:
    """Div; the quotient of integers is truncated."""
    if a.is_floating_point() or b.is_floating_point():
        return a / b
    return torch.div(a, b, rounding_mode="trunc")


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """Pow; squares as products, whose gradient is the cheaper one."""
    if exponent.numel() == 1 and exponent.ndim <= x.ndim and float(exponent) == 2.0:
        return x * x
    return torch.pow(x, exponent).to(x.dtype)


def cast(x: Tensor, /, *, to: int) -> Tensor:
    """Cast; all floating-point types become float32, so that graphs of half precision run in single precision."""
    if to in _INTEGER_TYPES:
        return x.to(_INTEGER_TYPES[to])
    return x if x.is_floating_point() else x.float()


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


def where(condition: Tensor, a: Tensor, b: Tensor, /) -> Tensor:
    """Where."""
    condition, a, b = on_one_device(condition, a, b)
    return torch.where(condition, a, b)


def leaky_relu(x: Tensor, /, *, alpha: float = 0.01) -> Tensor:
    """LeakyRelu."""
    return F.leaky_relu(x, alpha)


def elu(x: Tensor, /, *, alpha: float = 1.0) -> Tensor:
    """Elu."""
    return F.elu(x, alpha)


def gelu(x: Tensor, /, *, approximate: str = "none") -> Tensor:
    """Gelu."""
    return F.gelu(x, approximate=approximate)


def hard_sigmoid(x: Tensor, /, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """HardSigmoid."""
    return (x * alpha + beta).clamp(0.0, 1.0)


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


ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "Abs": unary(torch.abs),
    "Add": binary(torch.add),
    "And": binary(torch.logical_and),
    "Cast": cast,
    "Ceil": unary(torch.ceil),
    "Clip": clip,
    "Cos": unary(torch.cos),
    "Div": binary(divide),
    "Elu": elu,
    "Equal": binary(torch.eq),
    "Erf": unary(torch.erf),
    "Exp": unary(torch.exp),
    "Floor": unary(torch.floor),
    "Gelu": gelu,
    "Greater": binary(torch.gt),
    "GreaterOrEqual": binary(torch.ge),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": unary(F.hardswish),
    "LeakyRelu": leaky_relu,
    "Less": binary(torch.lt),
    "LessOrEqual": binary(torch.le),
    "Log": unary(torch.log),
    "Max": folded(torch.maximum),
    "Min": folded(torch.minimum),
    "Mul": binary(torch.mul),
    "Neg": unary(torch.neg),
    "Not": unary(torch.logical_not),
    "Or": binary(torch.logical_or),
    "PRelu": prelu,
    "Pow": binary(power),
    "Reciprocal": unary(torch.reciprocal),
    "Relu": unary(torch.relu),
    "Round": unary(torch.round),
    "Sigmoid": unary(torch.sigmoid),
    "Sin": unary(torch.sin),
    "Softplus": unary(F.softplus),
    "Sqrt": unary(torch.sqrt),
    "Sub": binary(torch.sub),
    "Sum": folded(torch.add),
    "Tanh": unary(torch.tanh),
    "Where": where,
}
