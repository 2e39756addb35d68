"""StyleGAN2's layers in plain PyTorch, with attributes in place of StyleGAN2's noise.

Sources: StyleGAN2 (Karras et al. 2020): modulation and demodulation, section 2.2, equations 1 to 3; skip generator with
ToRGB, section 4.1. Attributes in place of noise: StyleSwap section 3.1.

Implementation choices, mathematically equal to the textbook form (tests compare each with its naive form):

- A modulated convolution scales its input by the style, convolves the whole batch with the shared weight, and scales
  its output by the demodulation coefficients, instead of building a weight per sample.
- Upsampling is a transposed convolution followed by the blur, downsampling the blur followed by a strided convolution.
  Composing blur and weight into one larger kernel, or interpolating before the convolution, was slower on CPUs, forward
  and backward.
- Leaky ReLU commutes with positive factors, so its gain of sqrt 2 is folded into the factors before it, which saves a
  pass over each feature map.

All feature maps are (B, C, H, W) in channels_last, in the dtype that autocast chooses for convolutions. Demodulation is
computed in float32.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2.0)
_BLUR = (1.0, 3.0, 3.0, 1.0)


def blur_kernel() -> Tensor:
    """StyleGAN2's low-pass filter [1, 3, 3, 1] as a (4, 4) kernel of sum 1."""
    taps = torch.tensor(_BLUR)
    kernel = torch.outer(taps, taps)
    return kernel / kernel.sum()


def blur(x: Tensor, kernel: Tensor, padding: int, stride: int = 1) -> Tensor:
    """Filter each channel of x (B, C, H, W) with kernel (4, 4), with zeros beyond the border."""
    channels = x.shape[1]
    weight = kernel.to(x.dtype).expand(channels, 1, 4, 4)  # (C, 1, 4, 4)
    return F.conv2d(x, weight, padding=padding, stride=stride, groups=channels)


def upsample_fir(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W): StyleGAN2's upsampling of RGB, zeros beyond the border.

    The filter [1, 3, 3, 1] weights the nearest pixel by 3/4 and the next one by 1/4, as bilinear interpolation does.
    The two differ at the border alone, hence the interpolation of a picture padded with zeros.
    """
    return upsample_bilinear(F.pad(x, (1, 1, 1, 1)))[:, :, 2:-2, 2:-2]


def upsample_bilinear(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W): bilinear, with the border pixels repeated beyond the border."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, in place; the caller has folded the gain into x."""
    return F.leaky_relu(x, SLOPE, inplace=True)


class EqualLinear(nn.Module):
    """Linear layer with equalized learning rate: (..., in) -> (..., out).

    The weight is initialized with standard deviation 1 / lr_mul and multiplied by lr_mul / sqrt(in).
    """

    def __init__(
        self, in_features: int, out_features: int, bias_init: float = 0.0, lr_mul: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))
        self.scale = lr_mul / math.sqrt(in_features)
        self.lr_mul = lr_mul
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Output (..., out) for x (..., in)."""
        gain = GAIN if self.activate else 1.0
        out = F.linear(x, self.weight * (self.scale * gain), self.bias * (self.lr_mul * gain))
        return leaky_relu(out) if self.activate else out


class PixelNorm(nn.Module):
    """Rows of (B, C) scaled to a mean square of 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalized x (B, C)."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class EqualConv2d(nn.Module):
    """Convolution with equalized learning rate, (B, in, H, W) -> (B, out, H, W), or half that size.

    kernel_size is 1 or 3; `downsample` blurs and then strides by 2; `activate` appends leaky ReLU with gain sqrt 2.
    """

    kernel: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        downsample: bool = False,
        activate: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.kernel_size = kernel_size
        self.downsample = downsample
        self.activate = activate
        self.register_buffer("kernel", blur_kernel(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Output (B, out, H, W), or (B, out, H/2, W/2) with `downsample`, for x (B, in, H, W)."""
        gain = GAIN if self.activate else 1.0
        weight = self.weight * (self.scale * gain)
        bias = None if self.bias is None else self.bias * gain
        if not self.downsample:
            x = F.conv2d(x, weight, bias, padding=self.kernel_size // 2)
        elif self.kernel_size == 1:
            # The 1x1 kernel reads every second blurred pixel only: blur just those.
            x = F.conv2d(blur(x, self.kernel, padding=1, stride=2), weight, bias)
        else:
            x = F.conv2d(blur(x, self.kernel, padding=2), weight, bias, stride=2)
        return leaky_relu(x) if self.activate else x


class ModulatedConv2d(nn.Module):
    """StyleGAN2's modulated 3x3 convolution with one weight shared by the whole batch.

    `upsample` doubles height and width. The demodulation coefficients are returned separately, so that the caller can
    combine them with other factors of the feature map.
    """

    kernel: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, upsample: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.modulation = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.scale = 1 / math.sqrt(in_channels * 9)
        self.upsample = upsample
        self.register_buffer("kernel", blur_kernel(), persistent=False)

    def demodulation(self, style: Tensor) -> Tensor:
        """Reciprocal L2 norm of each sample's modulated kernels, (B, out) float32, for style (B, in)."""
        with torch.autocast(device_type=style.device.type, enabled=False):
            power = (self.weight.float() * self.scale).square().sum(dim=(2, 3))  # (out, in)
            return torch.rsqrt(F.linear(style.float().square(), power) + 1e-8)

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Output (B, out, H, W or 2H, 2W) and demodulation (B, out) for x (B, in, H, W) and w (B, w_dim)."""
        style = self.modulation(w)  # (B, in)
        x = x * style.to(x.dtype)[:, :, None, None]
        weight = self.weight * self.scale
        if self.upsample:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # (B, out, 2H+1, 2W+1)
            x = blur(x, self.kernel * 4, padding=1)  # (B, out, 2H, 2W)
        else:
            x = F.conv2d(x, weight, padding=1)
        return x, self.demodulation(style)


class StyledConv(nn.Module):
    """Modulated convolution, attributes concatenated, bias and leaky ReLU over both.

    With `injects` the output has 2 * out_channels: those of the convolution, then the attributes times a learned scalar
    (in StyleGAN2 the strength of the noise, which is added instead).
    """

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, upsample: bool = False, injects: bool = True
    ) -> None:
        super().__init__()
        self.injects = injects
        self.conv = ModulatedConv2d(in_channels, out_channels, w_dim, upsample)
        self.bias = nn.Parameter(torch.zeros(out_channels * (2 if injects else 1)))
        if injects:
            # StyleGAN2 initializes the noise strength with 0. Here the maps carry the whole target, and a zero would
            # block every gradient to the encoder.
            self.attribute_weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, w: Tensor, attributes: Tensor) -> Tensor:
        """Output (B, out or 2 out, H', W') for x (B, in, H, W), w (B, w_dim) and attributes (B, out, H', W')."""
        x, factor = self.conv(x, w)  # (B, out, H', W'), (B, out)
        if self.injects:
            # Concatenated first, so that the following operations run over one dense feature map.
            x = torch.cat([x, attributes.to(x.dtype)], dim=1)  # (B, 2 out, H', W')
            factor = torch.cat([factor, self.attribute_weight.expand_as(factor)], dim=1)  # (B, 2 out)
        x = x * (factor * GAIN).to(x.dtype)[:, :, None, None]
        x += (self.bias * GAIN).to(x.dtype)[None, :, None, None]
        return leaky_relu(x)


class ToPixels(nn.Module):
    """1x1 modulated convolution without demodulation, no activation: the form of ToRGB and ToMask.

    With so few output channels the modulated weight is smaller than the modulated feature map, so the weight is scaled
    instead: one batched matrix product.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels))
        self.modulation = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.scale = 1 / math.sqrt(in_channels)

    def modulated_weight(self, w: Tensor) -> Tensor:
        """Weight (B, out, in) for w (B, w_dim)."""
        style = self.modulation(w).to(self.weight.dtype)  # (B, in)
        return style[:, None, :] * (self.weight * self.scale)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Pixels (B, out, H, W) float32, without a bias, of x (B, in, H, W) for w (B, w_dim)."""
        return project(x, self.modulated_weight(w))


class ToRGB(ToPixels):
    """Three output channels, with a bias."""

    def __init__(self, in_channels: int, w_dim: int) -> None:
        super().__init__(in_channels, 3, w_dim)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Rgb (B, 3, H, W) float32 of x (B, in, H, W) for w (B, w_dim)."""
        return super().forward(x, w) + self.bias[None, :, None, None]


class ToMask(ToPixels):
    """One output channel, `M'(l)` of the paper; without a bias, as in the released code."""

    def __init__(self, in_channels: int, w_dim: int) -> None:
        super().__init__(in_channels, 1, w_dim)


def project(x: Tensor, weight: Tensor) -> Tensor:
    """Product of each sample of x (B, in, H, W) with its own weight (B, out, in): (B, out, H, W) float32."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)  # (B, HW, in)
    out = torch.bmm(rows, weight.to(x.dtype).transpose(1, 2))  # (B, HW, out)
    return out.float().transpose(1, 2).reshape(batch, -1, height, width)  # (B, out, H, W)
