"""ONNX operators that combine elements: products of matrices, reductions, normalizations."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .elementwise_operators import on_one_device


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


def matmul(a: Tensor, b: Tensor, /) -> Tensor:
    """MatMul."""
    return torch.matmul(*on_one_device(a, b))


def einsum(*parts: Tensor, equation: str) -> Tensor:
    """Einsum."""
    return torch.einsum(equation, *parts)


def batch_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, /, *, epsilon: float = 1e-5
) -> Tensor:
    """BatchNormalization in inference mode."""
    return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)


def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, /, *, epsilon: float = 1e-5) -> Tensor:
    """InstanceNormalization."""
    return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, /, *, axis: int = -1, epsilon: float = 1e-5
) -> Tensor:
    """LayerNormalization; only its first output."""
    return F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)


def lp_normalization(x: Tensor, /, *, axis: int = -1, p: int = 2) -> Tensor:
    """LpNormalization."""
    return F.normalize(x, p, axis)


def softmax(x: Tensor, /, *, axis: int = -1) -> Tensor:
    """Softmax since opset 13."""
    return torch.softmax(x, axis)


def flat_softmax(x: Tensor, /, *, axis: int = 1) -> Tensor:
    """Softmax before opset 13: over all axes from `axis` on."""
    return torch.softmax(x.flatten(axis), -1).reshape(x.shape)


def global_average_pool(x: Tensor, /) -> Tensor:
    """GlobalAveragePool over all spatial axes."""
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def global_max_pool(x: Tensor, /) -> Tensor:
    """GlobalMaxPool over all spatial axes."""
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


def reduction(function: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Callable[..., Tensor]:
    """A reduction as an operator; by default it covers all axes."""

    def apply(
        x: Tensor,
        axes_input: Tensor | None = None,
        /,
        *,
        axes: list[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        chosen = axes_of(axes_input, axes)
        if not chosen and noop_with_empty_axes:
            return x
        return function(x, chosen or tuple(range(x.ndim)), bool(keepdims))

    return apply


def axes_of(given: Tensor | None, attribute: Sequence[int] | None) -> tuple[int, ...] | None:
    """Axes, an attribute in older opsets and an input in newer ones."""
    if given is not None:
        return tuple(given.tolist())
    return None if attribute is None else tuple(attribute)


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _l2_norm(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.linalg.vector_norm(x, 2, axes, keep)


REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "BatchNormalization": batch_normalization,
    "Einsum": einsum,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LpNormalization": lp_normalization,
    "MatMul": matmul,
    "ReduceL2": reduction(_l2_norm),
    "ReduceMax": reduction(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": reduction(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": reduction(_product),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Softmax": softmax,
}
