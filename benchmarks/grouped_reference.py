"""Reference of the speed benchmark: the generator as StyleGAN2's public PyTorch ports implement it.

Every sample has its own modulated and demodulated weight; the batch is folded into the channels of a grouped
convolution with one group per sample. Filters run through `upfirdn2d` in plain PyTorch, as in those ports when their
CUDA extension is not compiled: zero insertion, padding, and a convolution with a single channel. Feature maps have the
default memory format, and bias, leaky ReLU and gain are separate operations.

It uses the weights of our generator and computes the same function, as a test verifies. The code is original.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from styleswap_core.model import Generator, GeneratorConfig, GeneratorOutput
from styleswap_core.model.generator import SynthesisBlock
from styleswap_core.model.layers import EqualConv2d, EqualLinear, StyledConv, ToPixels, blur_kernel


def upfirdn2d(x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Upsample x (B, C, H, W) by zero insertion, pad, filter, and keep every `down`-th sample."""
    batch, channels, height, width = x.shape
    x = x.reshape(-1, height, 1, width, 1)
    x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1))  # (B C, H, up, W, up)
    x = x.reshape(-1, 1, height * up, width * up)
    x = F.pad(x, (pad[0], pad[1], pad[0], pad[1]))
    x = F.conv2d(x, torch.flip(kernel, (0, 1))[None, None])
    x = x[:, :, ::down, ::down]
    return x.reshape(batch, channels, x.shape[2], x.shape[3])


def linear(layer: EqualLinear, x: Tensor) -> Tensor:
    """Equalized linear layer that scales its weight in every call."""
    out = F.linear(x, layer.weight * layer.scale, layer.bias * layer.lr_mul)
    return F.leaky_relu(out, 0.2) * math.sqrt(2) if layer.activate else out


def modulated(weight: Tensor, style: Tensor, demodulate: bool) -> Tensor:
    """Modulate a weight (out, in, k, k) by styles (B, in); returns (B, out, in, k, k)."""
    own = weight[None] * style[:, None, :, None, None]
    if demodulate:
        own = own * torch.rsqrt(own.pow(2).sum([2, 3, 4]) + 1e-8)[:, :, None, None, None]
    return own


def grouped_conv(x: Tensor, weight: Tensor, kernel: Tensor, upsample: bool) -> Tensor:
    """Convolve x (B, in, H, W) with weights (B, out, in, k, k), one group per sample; returns (B, out, H', W')."""
    batch, channels, height, width = x.shape
    _, out, _, size, _ = weight.shape
    x = x.reshape(1, batch * channels, height, width)
    if upsample:
        weight = weight.transpose(1, 2).reshape(batch * channels, out, size, size)
        x = F.conv_transpose2d(x, weight, stride=2, groups=batch)
        x = x.reshape(batch, out, x.shape[2], x.shape[3])
        return upfirdn2d(x, kernel * 4, pad=(1, 1))
    x = F.conv2d(x, weight.reshape(batch * out, channels, size, size), padding=size // 2, groups=batch)
    return x.reshape(batch, out, x.shape[2], x.shape[3])


class GroupedReference(nn.Module):
    """Drop-in replacement of a `Generator`."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("kernel", blur_kernel())

    @property
    def config(self) -> GeneratorConfig:
        """Configuration of the generator."""
        return self.generator.config

    def forward(self, aligned_crop: Tensor, id_embedding: Tensor) -> GeneratorOutput:
        """Swap: aligned_crop (B, 3, S, S), -1..1; id_embedding (B, style_dim)."""
        attributes = self._encode(aligned_crop)
        w = self._mapping(id_embedding)
        x = rgb = None
        mask = logit = None
        for index, block in enumerate(self.generator.synthesis.blocks.values()):
            maps = attributes[index]
            if mask is not None and self.config.masks_attributes(block.resolution):
                maps = self._masked(maps, self._upsampled(mask, logit))
            x = self._features(block, x, w, maps)
            own_rgb = self._pixels(block.to_rgb, x, w) + block.to_rgb.bias[None, :, None, None]
            rgb = own_rgb if rgb is None else own_rgb + upfirdn2d(rgb, self.kernel * 4, up=2, pad=(2, 1))
            if block.to_mask is not None:
                logit = self._accumulated(self._pixels(block.to_mask, x, w), mask, logit)
                mask = torch.sigmoid(logit)
        if self.config.rgb_bound == "tanh":
            rgb = torch.tanh(rgb)
        if mask is None:
            return GeneratorOutput(rgb, rgb, torch.ones_like(rgb[:, :1]), [])
        return GeneratorOutput(mask * rgb + (1 - mask) * aligned_crop, rgb, mask, [])

    def _mapping(self, id_embedding: Tensor) -> Tensor:
        mapping = self.generator.mapping
        w = mapping.norm(linear(mapping.input, id_embedding))
        for layer in mapping.layers:
            w = linear(layer, w)
        return w

    def _encode(self, x: Tensor) -> list[Tensor]:
        encoder, maps = self.generator.encoder, []
        for resolution in encoder.resolutions:
            x = self._conv(encoder.conv_to(resolution), x)
            for block in encoder.residual_blocks(resolution):
                x = x + block.weight * self._conv(block.conv1, self._conv(block.conv0, x))
            maps.append(x)
        return maps[::-1]

    def _conv(self, layer: EqualConv2d, x: Tensor) -> Tensor:
        weight = layer.weight * layer.scale
        if layer.downsample:
            x = F.conv2d(upfirdn2d(x, self.kernel, pad=(2, 2)), weight, stride=2)
        else:
            x = F.conv2d(x, weight, padding=layer.kernel_size // 2)
        return F.leaky_relu(x + layer.bias[None, :, None, None], 0.2) * math.sqrt(2)

    def _features(self, block: SynthesisBlock, x: Tensor | None, w: Tensor, maps: Tensor) -> Tensor:
        if x is None:
            x = block.constant.repeat(w.shape[0], 1, 1, 1)
        for conv in block.convs:
            x = self._styled(conv, x, w, maps)
        return x

    def _styled(self, layer: StyledConv, x: Tensor, w: Tensor, maps: Tensor) -> Tensor:
        conv = layer.conv
        weight = modulated(conv.weight * conv.scale, linear(conv.modulation, w), demodulate=True)
        x = grouped_conv(x, weight, self.kernel, conv.upsample)
        if layer.injects:
            x = torch.cat([x, layer.attribute_weight * maps], dim=1)
        return F.leaky_relu(x + layer.bias[None, :, None, None], 0.2) * math.sqrt(2)

    def _pixels(self, layer: ToPixels, x: Tensor, w: Tensor) -> Tensor:
        weight = modulated(layer.weight[:, :, None, None] * layer.scale, linear(layer.modulation, w), demodulate=False)
        return grouped_conv(x, weight, self.kernel, upsample=False)

    def _accumulated(self, own: Tensor, mask: Tensor | None, logit: Tensor | None) -> Tensor:
        if logit is None:
            return own
        if self.config.mask_accumulation == "logits":
            return own + F.interpolate(logit, scale_factor=2, mode="bilinear", align_corners=False)
        return own + upfirdn2d(mask, self.kernel * 4, up=2, pad=(2, 1))

    def _upsampled(self, mask: Tensor, logit: Tensor) -> Tensor:
        if self.config.mask_accumulation == "logits":
            return torch.sigmoid(F.interpolate(logit, scale_factor=2, mode="bilinear", align_corners=False))
        return F.interpolate(mask, scale_factor=2, mode="nearest")

    def _masked(self, maps: Tensor, mask: Tensor) -> Tensor:
        if self.config.attribute_masking == "block":
            return (1 - mask) * maps
        mean = (maps * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp_min(1e-6)
        return (1 - mask) * maps + mask * mean
