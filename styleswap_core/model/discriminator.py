"""StyleGAN2's residual discriminator, which also returns features for feature matching.

Sources: StyleGAN2 (Karras et al. 2020, section 4.1) for residual blocks with blurred downsampling, and minibatch
standard deviation before the last convolution; GPEN (Yang et al. 2021) for feature matching.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import StyleSwapError
from .generator_config import GeneratorConfig
from .layers import EqualConv2d, EqualLinear

STDDEV_GROUP = 4


class DiscriminatorOutput(NamedTuple):
    """Output for a batch of pictures."""

    logits: Tensor  # (B, 1), high for pictures judged real
    features: list[Tensor]  # output of every block, (B, C, S/2, S/2) ... (B, C, 4, 4)


class DiscriminatorBlock(nn.Module):
    """Residual block: (B, in, R, R) -> (B, out, R/2, R/2). The factor 1 / sqrt 2 preserves the variance."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = EqualConv2d(in_channels, in_channels, 3)
        self.conv1 = EqualConv2d(in_channels, out_channels, 3, downsample=True)
        self.skip = EqualConv2d(in_channels, out_channels, 1, downsample=True, activate=False, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Output (B, out, R/2, R/2) for x (B, in, R, R)."""
        return (self.conv1(self.conv0(x)) + self.skip(x)) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Discriminator for the pictures of a generator, with the generator's channels times `channel_scale`.

    Blocks are keyed by the resolution of their input: `blocks.64`.
    """

    def __init__(self, config: GeneratorConfig, channel_scale: float = 1.0, stddev_group: int = STDDEV_GROUP) -> None:
        super().__init__()
        if isinstance(channel_scale, bool) or not isinstance(channel_scale, (int, float)) or not channel_scale > 0:
            raise StyleSwapError(f"channel_scale must be a number above 0; got {channel_scale!r}")
        self.size, self.stddev_group = config.size, stddev_group
        channels = {
            resolution: max(1, round(config.channels_at(resolution) * channel_scale))
            for resolution in config.resolutions
        }
        self.from_rgb = EqualConv2d(3, channels[config.size], 1)
        self.blocks = nn.ModuleDict(
            {
                str(resolution): DiscriminatorBlock(channels[resolution], channels[resolution // 2])
                for resolution in reversed(config.resolutions[1:])
            }
        )
        self.final_conv = EqualConv2d(channels[4] + 1, channels[4], 3)
        self.final_linear = nn.Sequential(
            EqualLinear(channels[4] * 4 * 4, channels[4], activate=True), EqualLinear(channels[4], 1)
        )

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Logits and features of image (B, 3, S, S) in -1..1.

        Raises:
            StyleSwapError: The picture has the wrong shape.
        """
        if image.ndim != 4 or tuple(image.shape[1:]) != (3, self.size, self.size):
            raise StyleSwapError(
                f"image must have shape (batch, 3, {self.size}, {self.size}); got {tuple(image.shape)}; "
                "build the discriminator for pictures of this size"
            )
        x = self.from_rgb(image.contiguous(memory_format=torch.channels_last))
        features: list[Tensor] = []
        for block in self.blocks.values():
            x = block(x)
            features.append(x)
        x = self.final_conv(append_stddev(x, self.stddev_group))  # (B, C, 4, 4)
        logits = self.final_linear(x.flatten(1)).float()  # (B, 16 C) -> (B, 1)
        return DiscriminatorOutput(logits, features)

    def first_layers(self, blocks: int) -> list[nn.Module]:
        """The layers from the input up to and including a number of blocks; empty for 0.

        Raises:
            StyleSwapError: The discriminator has fewer blocks.
        """
        if blocks > len(self.blocks):
            raise StyleSwapError(
                f"the discriminator for {self.size} px has {len(self.blocks)} blocks, got {blocks}; choose fewer"
            )
        return [self.from_rgb, *list(self.blocks.values())[:blocks]] if blocks else []


def group_size(batch: int, limit: int = STDDEV_GROUP) -> int:
    """Size of the groups for the standard deviation: the largest divisor of the batch size up to `limit`."""
    return max(size for size in range(1, min(limit, batch) + 1) if batch % size == 0)


def append_stddev(x: Tensor, limit: int = STDDEV_GROUP) -> Tensor:
    """(B, C, H, W) -> (B, C + 1, H, W): append a channel with the mean standard deviation within each group.

    Of the B / G groups of `group_size` G, group n consists of samples n, n + B / G, n + 2 B / G, ...
    """
    batch, _, height, width = x.shape
    group = group_size(batch, limit)
    grouped = x.float().reshape(group, batch // group, -1)  # (G, B/G, CHW)
    deviation = torch.sqrt(grouped.var(dim=0, unbiased=False) + 1e-8).mean(dim=1)  # (B/G,)
    deviation = deviation.repeat(group).to(x.dtype)[:, None, None, None]  # (B, 1, 1, 1)
    return torch.cat([x, deviation.expand(-1, 1, height, width)], dim=1)
