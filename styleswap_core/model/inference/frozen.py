"""The synthesis network as a function of one `w_plus`, for optimizing it: frozen weights, attributes given.

All pictures of a batch show one identity here, and nothing but `w_plus` wants a gradient. That allows what
`SynthesisNetwork` cannot do:

- Style s, demodulation d and the activation's gain are multiplied into each weight, which is smaller than a feature map.
- Their gradients need no gradient of a weight. With W'_oc = d_o s_c W_oc, y = leaky(W' x + b) and leaky ReLU homogeneous,
  d_o dL/dd_o = sum(dL/dy_o y_o) - b_o dL/db_o, and s_c dL/ds_c = sum(dL/dx_c x_c): sums over maps that are there.
- No map is kept for the way back but each convolution's input and output.
- What the weights alone decide is computed once.

The results are those of `SynthesisNetwork`, but for rounding (a test holds both together, and their gradients).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...errors import StyleSwapError
from ..generator import SynthesisBlock, SynthesisNetwork
from ..generator_output import GeneratorOutput
from ..layers import GAIN, SLOPE, EqualLinear, StyledConv, leaky_relu
from ..synthesis_walk import synthesize

# A style so close to zero is taken as this: gradients of styles are divided by them.
_LEAST_STYLE = 1e-6


class FrozenSynthesis:
    """frozen(w_plus (num_ws, w_dim), attributes, aligned_crop) -> (image, rgb, mask), as `SynthesisNetwork` gives them.

    Differentiable in `w_plus`, and in nothing else. It reads the network's weights where they lie; how they were when it
    was made decides, so make it anew after they change or move.

    Args:
        synthesis: the network, on the device to work on.
        dtype: of its feature maps, float32 or bfloat16. Styles and pictures are float32.
        checkpointing: keep only what passes between blocks and compute a block's inside again on the way back: a third
            more time for a fraction of the memory.
        before_each: called before each convolution, and before the way back through it; what it raises ends the run.
    """

    def __init__(
        self,
        synthesis: SynthesisNetwork,
        dtype: torch.dtype = torch.float32,
        checkpointing: bool = False,
        before_each: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = synthesis.config
        self.dtype, self.checkpointing = dtype, checkpointing
        self._blocks = [_FrozenBlock(block, dtype, before_each) for block in synthesis.blocks.values()]

    def __call__(self, w_plus: Tensor, attributes: list[Tensor], aligned_crop: Tensor) -> GeneratorOutput:
        """w_plus (num_ws, w_dim), one identity for all; attributes (B, C, R, R) for R = 4..S; aligned_crop (B, 3, S, S).

        Raises:
            StyleSwapError: another shape of w_plus.
        """
        expected = (self.config.num_ws, self.config.w_dim)
        if tuple(w_plus.shape) != expected:
            raise StyleSwapError(
                f"expected w_plus {expected} of one identity, got {tuple(w_plus.shape)}; optimize one at a time"
            )
        rows = w_plus.unbind()

        def step(index: int, x: Tensor | None, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
            block = self._blocks[index]
            arguments = (x, maps.to(self.dtype), *rows[self.config.w_rows(self.config.resolutions[index])])
            if self.checkpointing and torch.is_grad_enabled():
                return checkpoint(block, *arguments, use_reentrant=False)
            return block(*arguments)

        return synthesize(self.config, step, attributes, aligned_crop)


class _FrozenBlock:
    """One resolution: x (B, C_in, R/2, R/2) or None at 4x4, attributes (B, C, R, R), ws (w_dim,) -> features, rgb, mask."""

    def __init__(self, block: SynthesisBlock, dtype: torch.dtype, before_each: Callable[[], None]) -> None:
        self.convs = [_FrozenConv(layer, dtype, before_each) for layer in block.convs]
        self.pixels = _FrozenPixels(block)
        self.constant = _maps(block.constant, dtype) if block.resolution == 4 else None

    def __call__(self, x: Tensor | None, attributes: Tensor, *ws: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        if x is None:
            # The same in every picture as long as no attributes have joined it.
            x = self.constant
        *others, last = self.convs
        for conv, w in zip(others, ws, strict=False):
            x = _StyledConvolution.apply(x, w, conv)
            if conv.injection is not None:
                x = torch.cat([x, conv.injected(attributes)], dim=1)
        x = _StyledConvolution.apply(x, ws[len(others)], last)
        if len(x) < len(attributes):
            x = x.expand(len(attributes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x, pixels = _JoinAndProject.apply(x, last.injected(attributes), ws[-1], self.pixels)
        return x, pixels[:, :3] + self.pixels.rgb_bias, pixels[:, 3:] if self.pixels.has_mask else None


class _FrozenStyle:
    """Styles of one layer or several: w (w_dim,) -> (in,), their equalized scales folded in."""

    def __init__(self, *layers: EqualLinear) -> None:
        self.weight = torch.cat([_weight(layer.weight) * layer.scale for layer in layers])  # (in, w_dim)
        self.bias = torch.cat([_weight(layer.bias) * layer.lr_mul for layer in layers])

    def __call__(self, w: Tensor) -> Tensor:
        style = torch.addmv(self.bias, self.weight, w)
        return torch.where(style.abs() < _LEAST_STYLE, _LEAST_STYLE, style)

    def back(self, gradient: Tensor) -> Tensor:
        """Gradient of the styles (in,) -> gradient of w (w_dim,)."""
        return gradient @ self.weight


class _FrozenPixels:
    """ToRGB and ToMask of a block as one product."""

    def __init__(self, block: SynthesisBlock) -> None:
        layers = [layer for layer in (block.to_rgb, block.to_mask) if layer is not None]
        self.has_mask = len(layers) > 1
        self.rgb_bias = _weight(block.to_rgb.bias)[None, :, None, None]
        self.weights = [_weight(layer.weight) * layer.scale for layer in layers]  # (3, 2C), (1, 2C)
        self.style = _FrozenStyle(*(layer.modulation for layer in layers))

    def weight_for(self, w: Tensor) -> Tensor:
        """W (w_dim,) -> (4, 2C), or (3, 2C) without a mask."""
        styles = self.style(w).chunk(len(self.weights))
        return torch.cat([weight * style for weight, style in zip(self.weights, styles, strict=True)])

    def back(self, gradient: Tensor) -> Tensor:
        """Gradient of the weight -> gradient of w (w_dim,)."""
        parts = gradient.split([len(weight) for weight in self.weights])
        return self.style.back(
            torch.cat([(part * weight).sum(dim=0) for part, weight in zip(parts, self.weights, strict=True)])
        )


class _FrozenConv:
    """StyledConv of one identity without its injection.

    Attributes:
        injection: factor (1,) and bias (1, C, 1, 1) of the attributes that join its output; None where none do.
    """

    def __init__(self, layer: StyledConv, dtype: torch.dtype, before_each: Callable[[], None]) -> None:
        conv = layer.conv
        channels = len(conv.weight)
        self.dtype, self.upsample, self.scale, self.before_each = dtype, conv.upsample, conv.scale, before_each
        self.weight, self.style = _weight(conv.weight), _FrozenStyle(conv.modulation)
        self.power = (self.weight * conv.scale).square().sum(dim=(2, 3))  # (out, in)
        self.bias = (_weight(layer.bias[:channels]) * GAIN).to(dtype)
        self.kernel = (_weight(conv.kernel) * 4).to(dtype).expand(channels, 1, 4, 4)
        self.injection = None
        if layer.injects:
            bias = _maps(layer.bias[None, channels:, None, None] * GAIN, dtype)
            self.injection = (_weight(layer.attribute_weight) * GAIN).to(dtype), bias

    def injected(self, attributes: Tensor) -> Tensor:
        """Attributes (B, C, R, R) as they join the convolution's output."""
        factor, bias = self.injection
        return leaky_relu(torch.addcmul(bias, attributes, factor))

    def demodulation(self, style: Tensor) -> Tensor:
        """Style (in,) -> (out,), without the activation's gain."""
        return torch.rsqrt(self.power @ style.square() + 1e-8)

    def folded(self, style: Tensor, demodulation: Tensor) -> Tensor:
        """The weight (out, in, 3, 3) under a style."""
        factor = demodulation[:, None] * (style * (self.scale * GAIN))
        return (self.weight * factor[:, :, None, None]).to(self.dtype)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """X (B, in, H, W) -> (B, out, H', W') with a folded weight, bias and activation included."""
        self.before_each()
        if not self.upsample:
            return leaky_relu(F.conv2d(x, weight, self.bias, padding=1))
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return leaky_relu(F.conv2d(x, self.kernel, self.bias, padding=1, groups=x.shape[1]))

    def convolve_back(self, gradient: Tensor, weight: Tensor) -> Tensor:
        """Gradient of the convolution's result (B, out, H', W') -> gradient of its input (B, in, H, W)."""
        self.before_each()
        if not self.upsample:
            return F.conv_transpose2d(gradient, weight, padding=1)
        # The filter is symmetric: its own adjoint, on a map that is one wider.
        gradient = F.conv2d(gradient, self.kernel, padding=2, groups=gradient.shape[1])
        return F.conv2d(gradient, weight.transpose(0, 1), stride=2)


class _StyledConvolution(torch.autograd.Function):
    """x (B, in, H, W), w (w_dim,), both with gradients, and a `_FrozenConv` -> (B, out, H', W')."""

    @staticmethod
    def forward(ctx, x: Tensor, w: Tensor, conv: _FrozenConv) -> Tensor:
        """See the class; keeps x and the result for the way back."""
        style = conv.style(w)
        demodulation = conv.demodulation(style)
        weight = conv.folded(style, demodulation)
        y = conv.convolve(x, weight)
        ctx.conv = conv
        ctx.save_for_backward(x, y, weight, style, demodulation)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradient of the result (B, out, H', W') -> that of x (B, in, H, W), that of w (w_dim,), None."""
        x, y, weight, style, demodulation = ctx.saved_tensors
        conv: _FrozenConv = ctx.conv
        of_demodulation = _sum_products(gradient, y)  # times the demodulation
        gradient = torch.ops.aten.leaky_relu_backward(gradient, y, SLOPE, True)
        of_demodulation -= conv.bias * gradient.sum(dim=(0, 2, 3)).float()
        gradient = conv.convolve_back(gradient, weight)
        of_style = _sum_products(gradient, x) / style
        # d = (power @ s^2)^(-1/2): a change of s_c changes d_o by -d_o^3 power_oc s_c.
        of_style -= style * ((of_demodulation * demodulation.square()) @ conv.power)
        return gradient, conv.style.back(of_style), None


class _JoinAndProject(torch.autograd.Function):
    """features and injected (B, C, R, R), w (w_dim,), a `_FrozenPixels` -> both joined (B, 2C, R, R), pixels (B, 4, R, R).

    One function, because the gradients of both results meet at the features: the product of the pixels' gradient adds
    itself to the other, and the half of it that goes to the attributes is left out where nobody wants it.
    """

    @staticmethod
    def forward(ctx, features: Tensor, injected: Tensor, w: Tensor, pixels: _FrozenPixels) -> tuple[Tensor, Tensor]:
        """See the class; keeps the joined maps for the way back."""
        joined = torch.cat([features, injected], dim=1)
        weight = pixels.weight_for(w).to(joined.dtype)
        ctx.pixels = pixels
        ctx.save_for_backward(joined, weight)
        ctx.set_materialize_grads(False)
        # Contiguous: resampling few channels is faster so.
        return joined, _as_maps(_rows(joined) @ weight.t(), joined).float().contiguous()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, joined_gradient: Tensor | None, pixel_gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the joined maps (None where no block follows) and of the pixels -> those of features, of injected where
        it is wanted, of w, and None.
        """
        joined, weight = ctx.saved_tensors
        rows = _rows(pixel_gradient.to(joined.dtype))  # (BRR, 4)
        channels = joined.shape[1] // 2

        def part(columns: slice) -> Tensor:
            if joined_gradient is None:
                return _as_maps(rows @ weight[:, columns], joined)
            return _as_maps(torch.addmm(_rows(joined_gradient[:, columns]), rows, weight[:, columns]), joined)

        injected_gradient = part(slice(channels, None)) if ctx.needs_input_grad[1] else None
        of_weight = (rows.t() @ _rows(joined)).float()
        return part(slice(channels)), injected_gradient, ctx.pixels.back(of_weight), None


def _weight(parameter: Tensor) -> Tensor:
    """Without its gradient, float32."""
    return parameter.detach().float()


def _maps(constant: Tensor, dtype: torch.dtype) -> Tensor:
    return constant.detach().to(dtype).contiguous(memory_format=torch.channels_last)


def _sum_products(a: Tensor, b: Tensor) -> Tensor:
    """Of two (B, C, H, W), over all but the channels: (C,) float32. The sums are exact to their maps' type."""
    return (a * b).sum(dim=(0, 2, 3)).float()


def _rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (BHW, C), a view in channels_last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def _as_maps(rows: Tensor, like: Tensor) -> Tensor:
    """(BHW, C) -> (B, C, H, W), batch and sides as those of `like`."""
    batch, _, height, width = like.shape
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)
