"""What the target gives: feature maps of its crop at every resolution.

Source: StyleSwap section 3.1 (`E_att`), after GPEN's encoder: a 1x1 convolution at full
resolution, then one blurred, strided 3x3 convolution per level.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .generator_config import GeneratorConfig
from .layers import EqualConv2d


class ResidualBlock(nn.Module):
    """x + weight * conv(conv(x)) at one resolution; the learned scalar starts at 0, so at identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = EqualConv2d(channels, channels, 3)
        self.conv1 = EqualConv2d(channels, channels, 3)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """X (B, C, R, R) -> (B, C, R, R)."""
        out = self.conv1(self.conv0(x))
        return torch.addcmul(x, out, self.weight.to(out.dtype)[None, :, None, None])


class AttributeEncoder(nn.Module):
    """aligned_crop (B, 3, S, S) in -1..1 -> attributes: [(B, C(4), 4, 4), ..., (B, C(S), S, S)].

    Modules are keyed by the resolution of their output: `from_rgb.128`, `down.64`, `blocks.64`.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        top = config.size
        self.from_rgb = nn.ModuleDict({str(top): EqualConv2d(3, config.channels_at(top), 1)})
        self.down = nn.ModuleDict()
        self.blocks = nn.ModuleDict()
        self.levels = tuple(str(resolution) for resolution in reversed(config.resolutions))
        for resolution in reversed(config.resolutions):
            channels = config.channels_at(resolution)
            if resolution < top:
                above = config.channels_at(2 * resolution)
                self.down[str(resolution)] = EqualConv2d(above, channels, 3, downsample=True)
            self.blocks[str(resolution)] = nn.Sequential(
                *(ResidualBlock(channels) for _ in range(config.encoder_blocks))
            )

    def forward(self, aligned_crop: Tensor) -> list[Tensor]:
        """aligned_crop (B, 3, S, S) RGB -1..1 -> attributes (B, C, R, R) for R = 4..S, in that order."""
        x = aligned_crop.contiguous(memory_format=torch.channels_last)
        attributes: list[Tensor] = []
        for level in self.levels:
            x = self.down[level](x) if level in self.down else self.from_rgb[level](x)
            x = self.blocks[level](x)
            attributes.append(x)
        return attributes[::-1]
