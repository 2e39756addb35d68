"""Attribute encoder: feature maps of the target crop at every resolution.

Source: StyleSwap section 3.1 (`E_att`), in the form of GPEN's encoder: a 1x1 convolution at full resolution, then one
blurred, strided 3x3 convolution per level.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from .generator_config import GeneratorConfig
from .layers import EqualConv2d


class ResidualBlock(nn.Module):
    """x + weight * conv(conv(x)); the learned scalar starts at 0, which makes the block the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = EqualConv2d(channels, channels, 3)
        self.conv1 = EqualConv2d(channels, channels, 3)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Output (B, C, R, R) for x (B, C, R, R)."""
        out = self.conv1(self.conv0(x))
        return torch.addcmul(x, out, self.weight.to(out.dtype)[None, :, None, None])


class AttributeEncoder(nn.Module):
    """aligned_crop (B, 3, S, S) in -1..1 -> attributes: [(B, C(4), 4, 4), ..., (B, C(S), S, S)].

    Modules are keyed by the resolution of their output: `from_rgb.128`, `down.64`, `blocks.64`.

    Attributes:
        resolutions: S, ... 8, 4, the order in which the encoder runs.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.resolutions = config.resolutions[::-1]
        self.from_rgb = nn.ModuleDict({str(config.size): EqualConv2d(3, config.channels_at(config.size), 1)})
        self.down = nn.ModuleDict()
        self.blocks = nn.ModuleDict()
        for resolution in self.resolutions:
            channels = config.channels_at(resolution)
            if resolution < config.size:
                in_channels = config.channels_at(2 * resolution)
                self.down[str(resolution)] = EqualConv2d(in_channels, channels, 3, downsample=True)
            self.blocks[str(resolution)] = nn.Sequential(
                *(ResidualBlock(channels) for _ in range(config.encoder_blocks))
            )

    def conv_to(self, resolution: int) -> EqualConv2d:
        """The convolution whose output has this resolution: `from_rgb` at S, `down` below."""
        convs = self.from_rgb if resolution == self.resolutions[0] else self.down
        return cast(EqualConv2d, convs[str(resolution)])

    def residual_blocks(self, resolution: int) -> list[ResidualBlock]:
        """The residual blocks that follow `conv_to(resolution)`."""
        return [cast(ResidualBlock, block) for block in cast(nn.Sequential, self.blocks[str(resolution)])]

    def forward(self, aligned_crop: Tensor) -> list[Tensor]:
        """Attributes (B, C, R, R) for R = 4..S, in that order, of aligned_crop (B, 3, S, S) RGB in -1..1."""
        x = aligned_crop.contiguous(memory_format=torch.channels_last)
        attributes: list[Tensor] = []
        for resolution in self.resolutions:
            x = self.conv_to(resolution)(x)
            x = self.blocks[str(resolution)](x)
            attributes.append(x)
        return attributes[::-1]
