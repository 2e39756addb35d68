"""Synthesis network with frozen weights, differentiable in a single `w_plus`: the form that inversion optimizes.

All pictures of a batch share one identity, and only `w_plus` needs a gradient. Compared with `SynthesisNetwork`:

- Style s, demodulation d and the activation gain are folded into each weight, which is smaller than a feature map.
- Their gradients need no weight gradient. With W'_oc = d_o s_c W_oc and y = leaky(W' x + b), leaky ReLU being
  homogeneous, d_o dL/dd_o = sum(dL/dy_o y_o) - b_o dL/db_o and s_c dL/ds_c = sum(dL/dx_c x_c): sums over feature maps
  that the backward pass has at hand anyway.
- Only the input and the output of each convolution are saved for the backward pass.
- Everything that depends on the weights alone is computed once.

At 256 px on a CPU, a pass is about 1.7 times as fast as with plain autograd and gradient checkpointing, and about 1.3
times as fast as with plain autograd, which saves 1.6 times as much memory (`benchmarks/inversion_backward.py`). Outputs
and gradients equal those of `SynthesisNetwork` up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.utils.checkpoint import checkpoint

from ...errors import StyleSwapError
from ..generator import SynthesisBlock, SynthesisNetwork
from ..generator_output import GeneratorOutput
from ..layers import GAIN, SLOPE, EqualLinear, StyledConv, leaky_relu
from ..synthesis_walk import synthesize

MIN_STYLE = 1e-6
"""Styles closer to zero are replaced by this value, since style gradients are divided by the style."""


class FrozenSynthesis:
    """frozen(w_plus (num_ws, w_dim), attributes, aligned_crop) -> GeneratorOutput, as from `SynthesisNetwork`.

    Differentiable in `w_plus`, and in the attributes where they require gradients. The weights are read once, at
    construction: create a new object after they change or move.
    """

    def __init__(
        self,
        synthesis: SynthesisNetwork,
        dtype: torch.dtype = torch.float32,
        checkpointing: bool = False,
        before_each: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the weights.

        Args:
            synthesis: The network, on the device to run on.
            dtype: Type of the feature maps, float32 or bfloat16. Styles and pictures are float32.
            checkpointing: Save only the inputs of each resolution and recompute the rest in the backward pass, which
                takes a third more time and a fraction of the memory.
            before_each: Called before each convolution and before its backward pass; an exception ends the run.
        """
        self.config = synthesis.config
        self.dtype, self.checkpointing = dtype, checkpointing
        self._blocks = [
            _FrozenBlock(synthesis.block(resolution), dtype, before_each) for resolution in self.config.resolutions
        ]

    def __call__(self, w_plus: Tensor, attributes: list[Tensor], aligned_crop: Tensor) -> GeneratorOutput:
        """Swapped crops of one identity.

        Args:
            w_plus: (num_ws, w_dim).
            attributes: (B, C, R, R) for R = 4..S, in that order.
            aligned_crop: (B, 3, S, S) in -1..1.

        Raises:
            StyleSwapError: The shape of w_plus is different.
        """
        expected = (self.config.num_ws, self.config.w_dim)
        if tuple(w_plus.shape) != expected:
            raise StyleSwapError(
                f"w_plus must have shape {expected}, one identity for the whole batch; got {tuple(w_plus.shape)}; "
                "optimize one identity at a time"
            )
        rows = w_plus.unbind()

        def run_block(level: int, x: Tensor | None, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
            block, ws = self._blocks[level], rows[self.config.w_rows(self.config.resolutions[level])]
            maps = maps.to(self.dtype)
            if self.checkpointing and torch.is_grad_enabled():
                return checkpoint(block, x, maps, *ws, use_reentrant=False)
            return block(x, maps, *ws)

        return synthesize(self.config, run_block, attributes, aligned_crop)


class _FrozenBlock:
    """One resolution: (x (B, C_in, R/2, R/2) or None at 4x4, attributes (B, C, R, R), ws) -> features, rgb, `M'`."""

    constant: Tensor  # at 4x4 only

    def __init__(self, block: SynthesisBlock, dtype: torch.dtype, before_each: Callable[[], None]) -> None:
        *lower, last = block.styled_convs
        self.lower = [
            (_FrozenConv(layer, dtype, before_each), _FrozenInjection(layer, dtype) if layer.injects else None)
            for layer in lower
        ]
        # Attributes are always concatenated after the last convolution of a resolution.
        self.last, self.last_injection = _FrozenConv(last, dtype, before_each), _FrozenInjection(last, dtype)
        self.pixels = _FrozenPixels(block)
        if block.resolution == 4:
            self.constant = _frozen_maps(block.constant, dtype)

    def __call__(self, x: Tensor | None, attributes: Tensor, *ws: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        # The constant has batch size 1: until attributes are concatenated, all pictures have the same features.
        features = self.constant if x is None else x
        *lower_ws, last_w, pixels_w = ws
        for (conv, injection), w in zip(self.lower, lower_ws, strict=True):
            features = _StyledConvFunction.apply(features, w, conv)
            if injection is not None:
                features = torch.cat([features, injection(attributes)], dim=1)
        features = _StyledConvFunction.apply(features, last_w, self.last)
        if len(features) < len(attributes):
            features = features.expand(len(attributes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        joined, pixels = _JoinAndProject.apply(features, self.last_injection(attributes), pixels_w, self.pixels)
        return joined, pixels[:, :3] + self.pixels.rgb_bias, pixels[:, 3:] if self.pixels.has_mask else None


class _FrozenStyle:
    """Modulation of one or several layers: w (w_dim,) -> styles (in,), with the equalized scales folded in."""

    def __init__(self, *layers: EqualLinear) -> None:
        self.weight = torch.cat([_frozen(layer.weight) * layer.scale for layer in layers])  # (in, w_dim)
        self.bias = torch.cat([_frozen(layer.bias) * layer.lr_mul for layer in layers])

    def __call__(self, w: Tensor) -> Tensor:
        style = torch.addmv(self.bias, self.weight, w)
        return torch.where(style.abs() < MIN_STYLE, MIN_STYLE, style)

    def backward(self, gradient: Tensor) -> Tensor:
        """Gradient of w (w_dim,) from the gradient of the styles (in,)."""
        return gradient @ self.weight


class _FrozenPixels:
    """ToRGB and ToMask of a block as one matrix product."""

    def __init__(self, block: SynthesisBlock) -> None:
        layers = [layer for layer in (block.to_rgb, block.to_mask) if layer is not None]
        self.has_mask = block.to_mask is not None
        self.rgb_bias = _frozen(block.to_rgb.bias)[None, :, None, None]
        self.weights = [_frozen(layer.weight) * layer.scale for layer in layers]  # (3, 2C), (1, 2C)
        self.style = _FrozenStyle(*(layer.modulation for layer in layers))

    def weight_for(self, w: Tensor) -> Tensor:
        """Modulated weight (4, 2C), or (3, 2C) without a mask, for w (w_dim,)."""
        styles = self.style(w).chunk(len(self.weights))
        return torch.cat([weight * style for weight, style in zip(self.weights, styles, strict=True)])

    def backward(self, gradient: Tensor) -> Tensor:
        """Gradient of w (w_dim,) from the gradient of the modulated weight."""
        parts = gradient.split([len(weight) for weight in self.weights])
        return self.style.backward(
            torch.cat([(part * weight).sum(dim=0) for part, weight in zip(parts, self.weights, strict=True)])
        )


class _FrozenInjection:
    """Attributes (B, C, R, R) as they are concatenated: strength, bias and leaky ReLU."""

    def __init__(self, layer: StyledConv, dtype: torch.dtype) -> None:
        channels = len(layer.bias) // 2
        self.strength = (_frozen(layer.attribute_weight) * GAIN).to(dtype)  # (1,)
        self.bias = _frozen_maps(layer.bias[None, channels:, None, None] * GAIN, dtype)  # (1, C, 1, 1)

    def __call__(self, attributes: Tensor) -> Tensor:
        return leaky_relu(torch.addcmul(self.bias, attributes, self.strength))


class _FrozenConv:
    """Convolution of a StyledConv, without its injection; `_StyledConvFunction` runs it."""

    def __init__(self, layer: StyledConv, dtype: torch.dtype, before_each: Callable[[], None]) -> None:
        conv = layer.conv
        channels = len(conv.weight)
        self.dtype, self.upsample, self.scale, self.before_each = dtype, conv.upsample, conv.scale, before_each
        self.weight, self.style = _frozen(conv.weight), _FrozenStyle(conv.modulation)
        self.power = (self.weight * conv.scale).square().sum(dim=(2, 3))  # (out, in)
        self.bias = (_frozen(layer.bias[:channels]) * GAIN).to(dtype)
        self.kernel = (_frozen(conv.kernel) * 4).to(dtype).expand(channels, 1, 4, 4)

    def demodulation(self, style: Tensor) -> Tensor:
        """Style (in,) -> (out,), without the activation gain."""
        return torch.rsqrt(self.power @ style.square() + 1e-8)

    def folded(self, style: Tensor, demodulation: Tensor) -> Tensor:
        """Weight (out, in, 3, 3), modulated, demodulated and multiplied by the activation gain."""
        factor = demodulation[:, None] * (style * (self.scale * GAIN))
        return (self.weight * factor[:, :, None, None]).to(self.dtype)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """Output (B, out, H', W') for x (B, in, H, W) and a folded weight, with bias and activation."""
        self.before_each()
        if not self.upsample:
            return leaky_relu(F.conv2d(x, weight, self.bias, padding=1))
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return leaky_relu(F.conv2d(x, self.kernel, self.bias, padding=1, groups=x.shape[1]))

    def convolve_backward(self, gradient: Tensor, weight: Tensor) -> Tensor:
        """Gradient of x (B, in, H, W) from the gradient (B, out, H', W') before the activation."""
        self.before_each()
        if not self.upsample:
            return F.conv_transpose2d(gradient, weight, padding=1)
        # The blur is symmetric, hence its own adjoint; its input is one pixel larger than its output.
        gradient = F.conv2d(gradient, self.kernel, padding=2, groups=gradient.shape[1])
        return F.conv2d(gradient, weight.transpose(0, 1), stride=2)


class _StyledConvContext(FunctionCtx):
    conv: _FrozenConv
    saved_tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class _StyledConvFunction(torch.autograd.Function):
    """(x (B, in, H, W), w (w_dim,), `_FrozenConv`) -> (B, out, H', W'); differentiable in x and w."""

    @staticmethod
    def forward(ctx: _StyledConvContext, x: Tensor, w: Tensor, conv: _FrozenConv) -> Tensor:
        """Output of the convolution; saves its input and output."""
        style = conv.style(w)
        demodulation = conv.demodulation(style)
        weight = conv.folded(style, demodulation)
        y = conv.convolve(x, weight)
        ctx.conv = conv
        ctx.save_for_backward(x, y, weight, style, demodulation)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _StyledConvContext, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of x and w from the gradient of the output (B, out, H', W')."""
        x, y, weight, style, demodulation = ctx.saved_tensors
        conv = ctx.conv
        demodulation_gradient = _sum_products(gradient, y)  # times the demodulation
        gradient = torch.ops.aten.leaky_relu_backward(gradient, y, SLOPE, True)
        demodulation_gradient -= conv.bias * gradient.sum(dim=(0, 2, 3)).float()
        gradient = conv.convolve_backward(gradient, weight)
        style_gradient = _sum_products(gradient, x) / style
        # d = (power @ s^2)^(-1/2), so dd_o/ds_c = -d_o^3 power_oc s_c.
        style_gradient -= style * ((demodulation_gradient * demodulation.square()) @ conv.power)
        return gradient, conv.style.backward(style_gradient), None


class _JoinContext(FunctionCtx):
    pixels: _FrozenPixels
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, ...]


class _JoinAndProject(torch.autograd.Function):
    """(features and injected (B, C, R, R), w (w_dim,), `_FrozenPixels`) -> joined (B, 2C, R, R), pixels (B, 4, R, R).

    One function, because the gradients of both outputs meet at the features: one matrix product adds the gradient of
    the pixels to the other, and the half that belongs to the attributes is skipped if they need no gradient.
    """

    @staticmethod
    def forward(
        ctx: _JoinContext, features: Tensor, injected: Tensor, w: Tensor, pixels: _FrozenPixels
    ) -> tuple[Tensor, Tensor]:
        """Joined feature maps and pixels; saves the joined maps."""
        joined = torch.cat([features, injected], dim=1)
        weight = pixels.weight_for(w).to(joined.dtype)
        ctx.pixels = pixels
        ctx.save_for_backward(joined, weight)
        ctx.set_materialize_grads(False)
        # Contiguous, because resampling a few channels is faster in that format.
        return joined, _rows_to_maps(_maps_to_rows(joined) @ weight.t(), joined).float().contiguous()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: _JoinContext, joined_gradient: Tensor | None, pixel_gradient: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor, None]:
        """Gradients of the inputs; `joined_gradient` is None at the last resolution."""
        joined, weight = ctx.saved_tensors
        rows = _maps_to_rows(pixel_gradient.to(joined.dtype))  # (BRR, 4)
        channels = joined.shape[1] // 2

        def input_gradient(columns: slice) -> Tensor:
            if joined_gradient is None:
                return _rows_to_maps(rows @ weight[:, columns], joined)
            upper = _maps_to_rows(joined_gradient[:, columns])
            return _rows_to_maps(torch.addmm(upper, rows, weight[:, columns]), joined)

        injected_gradient = input_gradient(slice(channels, None)) if ctx.needs_input_grad[1] else None
        weight_gradient = (rows.t() @ _maps_to_rows(joined)).float()
        return input_gradient(slice(channels)), injected_gradient, ctx.pixels.backward(weight_gradient), None


def _frozen(parameter: Tensor) -> Tensor:
    """The parameter, detached, in float32."""
    return parameter.detach().float()


def _frozen_maps(constant: Tensor, dtype: torch.dtype) -> Tensor:
    return constant.detach().to(dtype).contiguous(memory_format=torch.channels_last)


def _sum_products(a: Tensor, b: Tensor) -> Tensor:
    """Sum of a * b, both (B, C, H, W), per channel: (C,) float32, computed in the precision of the maps."""
    return (a * b).sum(dim=(0, 2, 3)).float()


def _maps_to_rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (BHW, C), a view if maps are in channels_last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def _rows_to_maps(rows: Tensor, like: Tensor) -> Tensor:
    """(BHW, C) -> (B, C, H, W) with the batch size, height and width of `like`."""
    batch, _, height, width = like.shape
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)
