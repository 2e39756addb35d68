"""Layers of a baked generator: convolutions with the weights of one identity, see `baked_generator`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encoder import AttributeEncoder, ResidualBlock
from ..generator import SynthesisBlock
from ..layers import GAIN, EqualConv2d, StyledConv, blur_kernel, leaky_relu, upsample_fir
from .packed_conv import FoldedConv

SMALL_MAPS, SMALL_PIXELS = 2**18, 2**10
"""Number of values up to which plain operators are faster than a packed convolution, whose setup takes about 25 us."""


class BakedInjection(FoldedConv):
    """Attributes before concatenation: strength, bias and leaky ReLU; (B, C, R, R) -> the same shape."""

    def __init__(self, layer: StyledConv) -> None:
        channels = layer.bias.shape[0] // 2
        strength = (layer.attribute_weight.detach() * GAIN).reshape(1, 1, 1, 1)
        bias = layer.bias.detach()[channels:] * GAIN
        # As a depthwise 1x1 convolution it multiplies, adds and activates in one pass.
        super().__init__(strength.expand(channels, 1, 1, 1).clone(), bias, groups=channels, activate=True)
        self._strength = float(strength)

    def _packed_operator(self) -> Callable[[Tensor], Tensor]:
        assert self.bias is not None
        packed, bias, strength = super()._packed_operator(), self.bias[None, :, None, None], self._strength

        def run(x: Tensor) -> Tensor:
            return packed(x) if x.numel() > SMALL_MAPS else leaky_relu(torch.add(bias, x, alpha=strength))

        return run


class PixelUpsampling(FoldedConv):
    """`upsample_fir` as a convolution: (B, channels, R, R) -> (B, channels, 2R, 2R), zeros beyond the border."""

    def __init__(self, channels: int) -> None:
        weight = _depthwise(blur_kernel() * 4, channels)
        super().__init__(weight, stride=2, padding=1, groups=channels, transposed=True)

    def _packed_operator(self) -> Callable[[Tensor], Tensor]:
        packed = super()._packed_operator()
        return lambda x: packed(x) if x.numel() > SMALL_PIXELS else upsample_fir(x)


class BakedStyledConv(nn.Module):
    """The convolutions of a StyledConv for one identity: (B, in, H, W), attributes (B, C, H', W') -> (B, out, H', W').

    It has no `forward`: `BakedGenerator` runs the layers itself, so that no input is held longer than necessary.

    Attributes:
        sequence: Convolutions of the features, or of features and attributes if those are concatenated.
        attribute_conv: Convolution of the attributes, added onto the result of `sequence`; None if features and
            attributes are concatenated.
        injection: Applied to the attributes before they are concatenated to the output; None without injection.
    """

    def __init__(
        self, layer: StyledConv, w: Tensor, constant_input: Tensor | None = None, split_input: bool = False
    ) -> None:
        """Fold one identity into a layer.

        Args:
            layer: The layer.
            w: (w_dim,), the row of w_plus that modulates it.
            constant_input: (1, n, H, W), the first n channels of the input if they are the same for every picture.
                Their contribution becomes part of the bias.
            split_input: Whether features and attributes arrive separately instead of concatenated.
        """
        super().__init__()
        channels = layer.conv.weight.shape[0]
        weight = folded_weight(layer, w)
        constant = bias = layer.bias.detach()[:channels] * GAIN
        kernel = layer.conv.kernel * 4
        if constant_input is not None:
            known = constant_input.shape[1]
            constant = _convolve(constant_input, weight[:, :known], layer.conv.upsample, kernel)
            constant = constant + bias[None, :, None, None]
            weight = weight[:, known:]
        self.attribute_conv: FoldedConv | None = None
        if split_input:
            of_features, of_attributes = weight.chunk(2, dim=1)
            self.sequence = [FoldedConv(of_features, padding=1)]
            self.attribute_conv = FoldedConv(of_attributes, constant, padding=1, activate=True)
        elif not layer.conv.upsample:
            self.sequence = [FoldedConv(weight, constant, padding=1, activate=True)]
        else:
            self.sequence = [
                FoldedConv(weight.transpose(0, 1), stride=2, transposed=True),
                FoldedConv(_depthwise(kernel, channels), constant, padding=1, groups=channels, activate=True),
            ]
        self.convs = nn.ModuleList(self.sequence)
        self.injection = BakedInjection(layer) if layer.injects else None


class BakedEncoder(nn.Module):
    """AttributeEncoder with scales and gains folded in: crop (B, 3, S, S) -> attributes S..4."""

    def __init__(self, encoder: AttributeEncoder) -> None:
        super().__init__()
        self._levels: list[tuple[list[FoldedConv], list[BakedResidual]]] = []
        for resolution in encoder.resolutions:
            residuals = [BakedResidual(block) for block in encoder.residual_blocks(resolution)]
            self._levels.append((_folded_equal_conv(encoder.conv_to(resolution)), residuals))
        self.levels = nn.ModuleList(nn.ModuleList(convs) for convs, _ in self._levels)
        self.residuals = nn.ModuleList(nn.ModuleList(residuals) for _, residuals in self._levels)

    @property
    def first_conv(self) -> FoldedConv:
        """The convolution that reads the crop."""
        return self._levels[0][0][0]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Attributes (B, C, R, R) for R = S..4 of x (B, 3, S, S) in -1..1."""
        return self.encode_levels(x, 0)

    def encode_levels(self, x: Tensor, first: int, last: int | None = None) -> list[Tensor]:
        """Attributes of levels first..last - 1 (level 0 is S) of x: the crop, or the output of level first - 1."""
        attributes = []
        for convs, residuals in islice(self._levels, first, last):
            for conv in convs:
                x = conv.run(x)
            for residual in residuals:
                x = residual(x)
            attributes.append(x)
        return attributes


class BakedResidual(nn.Module):
    """x + strength * conv(conv(x))."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.convs = nn.Sequential(*_folded_equal_conv(block.conv0), *_folded_equal_conv(block.conv1))
        self.strength = float(block.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Output (B, C, R, R) for x (B, C, R, R)."""
        return x + self.convs(x) * self.strength


class BakedBlock(nn.Module):
    """One resolution of the synthesis: its layers, and the convolutions to RGB and mask logits (B, 3 or 4, R, R).

    Attributes:
        start: Injection at 4x4, where the attributes are the only input: (B, C, 4, 4) -> the same shape; None above.
        styled_convs: Convolutions above 4x4.
        concatenates: Whether features and attributes are concatenated; not at the last resolution, where copying the
            widest maps takes longer than convolving the two inputs separately.
        to_pixels: Convolution of the layers' output.
        attributes_to_pixels: Convolution of the attributes if they are not concatenated.
        constant_output: (1, C, 4, 4), at 4x4 only: the output channels that are the same for every picture.
    """

    def __init__(
        self, block: SynthesisBlock, ws: list[Tensor], constant_input: Tensor | None, last: bool = False
    ) -> None:
        """Fold one identity into a resolution.

        Args:
            block: The resolution.
            ws: The rows of w_plus that modulate it, each (w_dim,).
            constant_input: The `constant_output` of the block below.
            last: Whether it is the last resolution.
        """
        super().__init__()
        self.start: BakedInjection | None = None
        self.attributes_to_pixels: FoldedConv | None = None
        self.constant_output: Tensor | None = None
        self.styled_convs: list[BakedStyledConv] = []
        self.concatenates = not last
        layers = block.styled_convs
        split_input = False
        if block.resolution == 4:
            self.constant_output = _constant_features(block, ws[0])
            self.start = BakedInjection(layers[0])
        else:
            for layer, w in zip(layers, ws[:-1], strict=True):
                self.styled_convs.append(BakedStyledConv(layer, w, constant_input, split_input))
                constant_input, split_input = None, layer.injects and not self.concatenates
        self.layers = nn.ModuleList(self.styled_convs)
        weight, constant = _folded_pixels(block, ws[-1], self.constant_output)
        if split_input:
            weight, of_attributes = weight.chunk(2, dim=1)
            self.attributes_to_pixels = FoldedConv(of_attributes)
        self.to_pixels = FoldedConv(weight, constant)


def folded_weight(layer: StyledConv, w: Tensor) -> Tensor:
    """Weight (out, in, 3, 3) of a StyledConv for one w (w_dim,): modulated, demodulated, times the activation gain."""
    conv = layer.conv
    style = conv.modulation(w[None])  # (1, in)
    demodulation = conv.demodulation(style)[0]  # (out,)
    weight = conv.weight * conv.scale * style[0][None, :, None, None]
    return weight * (demodulation * GAIN)[:, None, None, None]


def _constant_features(block: SynthesisBlock, w: Tensor) -> Tensor:
    """(1, C, 4, 4): the 4x4 block's features, which depend on the identity alone."""
    layer = block.styled_convs[0]
    channels = layer.conv.weight.shape[0]
    features = F.conv2d(block.constant, folded_weight(layer, w), padding=1)
    return leaky_relu(features + (layer.bias[:channels] * GAIN)[None, :, None, None]).detach()


def _folded_pixels(block: SynthesisBlock, w: Tensor, constant_input: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight and constant of ToRGB and ToMask as one 1x1 convolution with four outputs, three without a mask branch."""
    weight = block.to_rgb.modulated_weight(w[None])[0]  # (3, in)
    constant: Tensor = block.to_rgb.bias
    if block.to_mask is not None:
        weight = torch.cat([weight, block.to_mask.modulated_weight(w[None])[0]])  # (4, in)
        constant = torch.cat([constant, constant.new_zeros(1)])
    weight = weight[:, :, None, None]
    if constant_input is None:
        return weight, constant
    known = constant_input.shape[1]
    return weight[:, known:], F.conv2d(constant_input, weight[:, :known], constant)  # (1, 4, 4, 4)


def _folded_equal_conv(layer: EqualConv2d) -> list[FoldedConv]:
    """The layer as one convolution, or as a blur and a convolution."""
    gain = GAIN if layer.activate else 1.0
    weight = layer.weight * (layer.scale * gain)
    bias = None if layer.bias is None else layer.bias * gain
    if not layer.downsample:
        return [FoldedConv(weight, bias, padding=layer.kernel_size // 2, activate=layer.activate)]
    channels = weight.shape[1]
    return [
        FoldedConv(_depthwise(layer.kernel, channels), padding=2, groups=channels),
        FoldedConv(weight, bias, stride=2, activate=layer.activate),
    ]


def _convolve(x: Tensor, weight: Tensor, upsample: bool, kernel: Tensor) -> Tensor:
    """Convolution of x (1, in, H, W) with weight (out, in, 3, 3); with `upsample`, transposed and blurred."""
    if not upsample:
        return F.conv2d(x, weight, padding=1)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return F.conv2d(x, _depthwise(kernel, x.shape[1]), padding=1, groups=x.shape[1])


def _depthwise(kernel: Tensor, channels: int) -> Tensor:
    """(4, 4) -> (C, 1, 4, 4), the same filter for every channel."""
    return kernel.expand(channels, 1, 4, 4).clone()
