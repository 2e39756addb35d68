"""Convolution for inference with all constant factors folded into weight and bias.

On CPUs with oneDNN a `FoldedConv` can be packed: its weight is reordered for the processor once instead of in every
call, and bias and leaky ReLU are fused into the convolution. Wide 3x3 convolutions use Winograd's algorithm instead.
Elsewhere it is an ordinary PyTorch convolution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import SLOPE
from .winograd_conv import WinogradConv, suits_winograd

_PACKED_OPERATORS = (
    "_convolution_pointwise",
    "_convolution_pointwise_",
    "_convolution_transpose_pointwise",
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
)
_SUPPORT_TESTS = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch, on this processor, can run packed convolutions of `dtype`."""
    operators = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not all(hasattr(operators, name) for name in _PACKED_OPERATORS):
        return False
    if dtype == torch.float32:
        return True
    test = _SUPPORT_TESTS.get(dtype)
    return test is not None and hasattr(operators, test) and bool(getattr(operators, test)())


class FoldedConv(nn.Module):
    """(B, in, H, W) -> (B, out, H', W'): convolution, constant, leaky ReLU of slope 0.2 if `activate`.

    Attributes:
        weight: (out, in / groups, k, k), or (in, out, k, k) if `transposed`.
        constant: (out,), a bias; (1, out, H', W'), a map; or None.
    """

    weight: Tensor
    constant: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        constant: Tensor | None = None,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        transposed: bool = False,
        activate: bool = False,
    ) -> None:
        super().__init__()
        # Detached: demodulated weights may belong to an autograd graph, which would be kept alive.
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("constant", None if constant is None else constant.detach().clone())
        self.stride, self.padding, self.groups = stride, padding, groups
        self.transposed, self.activate = transposed, activate
        self._adds_map = self.map is not None
        self._packed: Tensor | None = None
        self._winograd: WinogradConv | None = None
        # The packed operator's arguments after its input, and the operator with these arguments. Created once, since
        # creating them takes as long as a call on a small map.
        self._arguments: tuple = ()
        self._run_packed: Callable[[Tensor], Tensor] | None = None

    @property
    def bias(self) -> Tensor | None:
        """The constant if it is a bias."""
        return self.constant if self.constant is not None and self.constant.ndim == 1 else None

    @property
    def map(self) -> Tensor | None:
        """The constant if it is a map."""
        return self.constant if self.constant is not None and self.constant.ndim == 4 else None

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Output (B, out, H', W').

        Args:
            x: (B, in, H, W).
            onto: (B, out, H', W'), added before the activation and overwritten with the result. Not supported if
                `transposed` or if the constant is a map.
        """
        if onto is not None:
            return self._add_onto(x, onto)
        if self._run_packed is not None:
            x = self._run_packed(x)
        else:
            convolve = F.conv_transpose2d if self.transposed else F.conv2d
            x = convolve(x, self.weight, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)
            x = F.leaky_relu_(x, SLOPE) if self.activate and not self._adds_map else x
        if self._adds_map:
            assert self.constant is not None
            x = x + self.constant
            x = F.leaky_relu_(x, SLOPE) if self.activate else x
        return x

    def run(self, x: Tensor) -> Tensor:
        """`forward` of x alone; once packed, without the overhead of nn.Module's call, which is that of a small map."""
        if self._run_packed is None or self._adds_map:
            return self(x)
        return self._run_packed(x)

    def _add_onto(self, x: Tensor, onto: Tensor) -> Tensor:
        if self._packed is None:
            x = onto.add_(
                F.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)
            )
        elif self._winograd is not None:
            return self._winograd(x, onto)
        else:
            convolve = torch.ops.mkldnn._convolution_pointwise_.binary
            # The operator cannot fuse the leaky ReLU after the addition.
            x = convolve(onto, x, *self._arguments[:6], "add", 1.0, None, [], None)
        return F.leaky_relu_(x, SLOPE) if self.activate else x

    def pack(self, input_size: tuple[int, ...]) -> None:
        """Reorder the weight for inputs like `input_size` (B, in, H, W); other sizes work too. CPU only.

        The plain weight is freed: the module can no longer move or change its type.
        """
        if self._packed is not None:
            return
        if not self.transposed and suits_winograd(self.weight, input_size, self.stride, self.padding):
            self._winograd = WinogradConv(self.weight, self.bias, self.activate and not self._adds_map)
            self._packed, self._run_packed = self._winograd.weight, self._winograd
            self.weight = self.weight.to("meta")
            return
        operators = torch.ops.mkldnn
        stride, padding, dilation = (self.stride,) * 2, (self.padding,) * 2, (1, 1)
        weight = self.weight.contiguous()
        if self.transposed:
            self._packed = operators._reorder_convolution_transpose_weight(
                weight, padding, (0, 0), stride, dilation, self.groups, list(input_size)
            )
        else:
            self._packed = operators._reorder_convolution_weight(
                weight, padding, stride, dilation, self.groups, list(input_size)
            )
        after = ("leaky_relu", [SLOPE], "") if self.activate and not self._adds_map else ("none", [], "")
        geometry = (padding, (0, 0), stride, dilation) if self.transposed else (padding, stride, dilation)
        self._arguments = (self._packed, self.bias, *geometry, self.groups, *after)
        self._run_packed = self._packed_operator()
        # Shape and type are still needed, but not the values.
        self.weight = self.weight.to("meta")

    def _packed_operator(self) -> Callable[[Tensor], Tensor]:
        """Replacement of `forward` after packing, without the addition of a map."""
        operators, arguments = torch.ops.mkldnn, self._arguments
        operator = operators._convolution_transpose_pointwise if self.transposed else operators._convolution_pointwise
        run = operator.default
        return lambda x: run(x, *arguments)

    def packed_bytes(self) -> int:
        """Memory of the packed weight; 0 if it is not packed."""
        return 0 if self._packed is None else self._packed.numel() * self._packed.element_size()
