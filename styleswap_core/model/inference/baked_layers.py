"""The parts of a baked generator: convolutions with one identity's weights, see baked.py."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encoder import AttributeEncoder
from ..generator import SynthesisBlock
from ..layers import GAIN, EqualConv2d, StyledConv, blur_kernel, leaky_relu, upsample_fir
from .packed_conv import FoldedConv

SMALL_MAPS, SMALL_PICTURES = 2**18, 2**10
"""Up to as many numbers, plain operations take less time than a packed convolution needs to be set up, some 25 microseconds."""


class BakedInjection(FoldedConv):
    """Attributes as the next convolution sees them: strength, bias, leaky ReLU; (B, C, R, R) -> the same."""

    def __init__(self, layer: StyledConv) -> None:
        channels = layer.bias.shape[0] // 2
        strength = (layer.attribute_weight.detach() * GAIN).reshape(1, 1, 1, 1)
        bias = layer.bias.detach()[channels:] * GAIN
        # A 1x1 convolution per channel: multiplying, adding and activating in one pass.
        super().__init__(strength.expand(channels, 1, 1, 1).clone(), bias, groups=channels, activate=True)
        self._strength = float(strength)

    def _packed_operator(self) -> Callable[[Tensor], Tensor]:
        wide, bias, strength = super()._packed_operator(), self.constant[None, :, None, None], self._strength

        def run(x: Tensor) -> Tensor:
            return wide(x) if x.numel() > SMALL_MAPS else leaky_relu(torch.add(bias, x, alpha=strength))

        return run


class PictureUpsampling(FoldedConv):
    """`upsample_fir`: (B, channels, R, R) -> (B, channels, 2R, 2R), zeros beyond the border."""

    def __init__(self, channels: int) -> None:
        weight = _per_channel(blur_kernel() * 4, channels)
        super().__init__(weight, stride=2, padding=1, groups=channels, transposed=True)

    def _packed_operator(self) -> Callable[[Tensor], Tensor]:
        wide = super()._packed_operator()
        return lambda x: wide(x) if x.numel() > SMALL_PICTURES else upsample_fir(x)


class BakedStyledConv(nn.Module):
    """StyledConv of one identity: (B, in, H, W), attributes (B, C, H', W') -> (B, out or 2 out, H', W').

    Whoever runs it runs its parts, so that no input is held longer than it is needed, see `BakedGenerator`.

    Attributes:
        convs: one after the other.
        beside: of a layer whose input is in two parts, which were not joined: for the second part, onto what `convs` give.
        injection: what attributes have to go through to stand beside the output, None where they do not.
    """

    def __init__(self, layer: StyledConv, w: Tensor, known: Tensor | None = None, parts: int = 1) -> None:
        super().__init__()
        channels = layer.conv.weight.shape[0]
        weight = folded_weight(layer, w)
        bias = layer.bias.detach()[:channels] * GAIN
        kernel = layer.conv.kernel * 4
        constant = bias
        self.beside: FoldedConv | None = None
        if known is not None:
            # The first channels of the input are the same in every picture: what they give is part of the constant.
            constant = _convolve(known, weight[:, : known.shape[1]], layer.conv.upsample, kernel)
            constant = constant + bias[None, :, None, None]
            weight = weight[:, known.shape[1] :]
        if parts == 2:
            first, second = weight.chunk(2, dim=1)
            convs = [FoldedConv(first, padding=1)]
            self.beside = FoldedConv(second, constant, padding=1, activate=True)
        elif not layer.conv.upsample:
            convs = [FoldedConv(weight, constant, padding=1, activate=True)]
        else:
            convs = [
                FoldedConv(weight.transpose(0, 1), stride=2, transposed=True),
                FoldedConv(_per_channel(kernel, channels), constant, padding=1, groups=channels, activate=True),
            ]
        self.convs = nn.ModuleList(convs)
        self.injection = BakedInjection(layer) if layer.injects else None


class BakedEncoder(nn.Module):
    """AttributeEncoder with scales and gains folded in: crop (B, 3, S, S) -> attributes S..4."""

    def __init__(self, encoder: AttributeEncoder) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        self.residuals = nn.ModuleList()
        for level in encoder.levels:
            layer = encoder.down[level] if level in encoder.down else encoder.from_rgb[level]
            self.levels.append(nn.ModuleList(_folded_equal_conv(layer)))
            self.residuals.append(nn.ModuleList(BakedResidual(block) for block in encoder.blocks[level]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """X (B, 3, S, S) -1..1 -> attributes (B, C, R, R) for R = S..4."""
        return self.part(x, 0, len(self.levels))

    def part(self, x: Tensor, first: int, last: int) -> list[Tensor]:
        """Levels first..last-1, the widest being 0; x: what the level before gave. Attributes, the widest first."""
        attributes = []
        for level, residuals in islice(zip(self.levels, self.residuals, strict=True), first, last):
            for conv in level:
                x = conv.run(x)
            for residual in residuals:
                x = residual(x)
            attributes.append(x)
        return attributes


class BakedResidual(nn.Module):
    """x + strength * conv(conv(x))."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.convs = nn.Sequential(*_folded_equal_conv(block.conv0), *_folded_equal_conv(block.conv1))
        self.strength = float(block.weight)

    def forward(self, x: Tensor) -> Tensor:
        """X (B, C, R, R) -> (B, C, R, R)."""
        return x + self.convs(x) * self.strength


class BakedBlock(nn.Module):
    """One resolution of the synthesis: its layers, and the convolutions that make RGB with mask (B, 3 or 4, R, R) of them.

    Attributes:
        start: at 4x4 alone, where attributes are all that is not known: (B, C, 4, 4) -> the same.
        layers: above 4x4, see `BakedStyledConv`.
        joins: whether attributes are joined to the channels beside them. Not so at the last resolution: a copy of the
            widest maps takes longer than convolutions of one part and then of the other.
        to_pixels: of what the layers give.
        beside_to_pixels: of the attributes beside it, where they are not joined.
    """

    def __init__(self, block: SynthesisBlock, ws: list[Tensor], known: Tensor | None, last: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.start = self.beside_to_pixels = None
        self.joins = not last or block.resolution == 4
        self.known_output: Tensor | None = None
        if block.resolution == 4:
            layer = block.convs[0]
            channels = layer.conv.weight.shape[0]
            self.known_output = leaky_relu(
                _convolve(block.constant, folded_weight(layer, ws[0]), False, None)
                + (layer.bias[:channels] * GAIN)[None, :, None, None]
            ).detach()
            self.start = BakedInjection(layer)
        parts = 1
        for layer, w in zip(block.convs if block.resolution > 4 else (), ws, strict=False):
            self.layers.append(BakedStyledConv(layer, w, known, parts))
            known, parts = None, 2 if layer.injects and not self.joins else 1
        self.to_pixels = _folded_pixels(block, ws[-1], self.known_output)
        if parts == 2:
            first, second = self.to_pixels.weight.chunk(2, dim=1)
            self.to_pixels = FoldedConv(first, self.to_pixels.constant)
            self.beside_to_pixels = FoldedConv(second)


def folded_weight(layer: StyledConv, w: Tensor) -> Tensor:
    """(out, in, 3, 3) of a StyledConv under one w (w_dim,): modulated, demodulated, with the activation's gain."""
    conv = layer.conv
    style = conv.modulation(w[None])  # (1, in)
    demodulation = conv.demodulation(style)[0]  # (out,)
    weight = conv.weight * conv.scale * style[0][None, :, None, None]
    return weight * (demodulation * GAIN)[:, None, None, None]


def _folded_pixels(block: SynthesisBlock, w: Tensor, known: Tensor | None) -> FoldedConv:
    """ToRGB and ToMask as one 1x1 convolution with four channels (three without a mask branch)."""
    weight = block.to_rgb.modulated_weight(w[None])[0]  # (3, in)
    bias = block.to_rgb.bias
    if block.to_mask is not None:
        weight = torch.cat([weight, block.to_mask.modulated_weight(w[None])[0]])  # (4, in)
        bias = torch.cat([bias, bias.new_zeros(1)])
    weight = weight[:, :, None, None]
    if known is None:
        return FoldedConv(weight, bias)
    constant = F.conv2d(known, weight[:, : known.shape[1]], bias)  # (1, 4, 4, 4)
    return FoldedConv(weight[:, known.shape[1] :], constant)


def _folded_equal_conv(layer: EqualConv2d) -> list[FoldedConv]:
    """The layer as one convolution, or two that run one after the other."""
    gain = GAIN if layer.activate else 1.0
    weight = layer.weight * (layer.scale * gain)
    bias = None if layer.bias is None else layer.bias * gain
    if not layer.downsample:
        return [FoldedConv(weight, bias, padding=layer.kernel_size // 2, activate=layer.activate)]
    channels = weight.shape[1]
    return [
        FoldedConv(_per_channel(layer.kernel, channels), padding=2, groups=channels),
        FoldedConv(weight, bias, stride=2, activate=layer.activate),
    ]


def _convolve(x: Tensor, weight: Tensor, upsample: bool, kernel: Tensor | None) -> Tensor:
    """The unbaked convolution of x (1, in, H, W) with weight (out, in, 3, 3), up-sampling if wanted."""
    if not upsample:
        return F.conv2d(x, weight, padding=1)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return F.conv2d(x, _per_channel(kernel, x.shape[1]), padding=1, groups=x.shape[1])


def _per_channel(kernel: Tensor, channels: int) -> Tensor:
    """(4, 4) -> (C, 1, 4, 4), the same filter for every channel."""
    return kernel.expand(channels, 1, 4, 4).clone()
