"""What cameras and files do to a scene, for training."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CorruptionConfig:
    """Shares are of scenes, 0..1."""

    brightness: float = 18.0  # of 255, standard deviation
    contrast: float = 0.2  # standard deviation of log contrast
    tint: float = 0.08  # standard deviation of log gain per channel
    gray_share: float = 0.05
    blur_share: float = 0.2
    noise_share: float = 0.2
    noise: float = 14.0  # of 255, largest standard deviation
    jpeg_share: float = 0.2
    jpeg_quality: tuple[int, int] = (25, 90)


def corrupt(config: CorruptionConfig, images: Tensor, generator: torch.Generator) -> Tensor:
    """Change (B, 3, H, W) RGB 0..255 and keep it in that range. Nothing moves: points stay true."""
    count = len(images)
    gain = (torch.randn(count, 1, 1, 1, generator=generator) * config.contrast).exp()
    gain = gain * (torch.randn(count, 3, 1, 1, generator=generator) * config.tint).exp()
    offset = torch.randn(count, 1, 1, 1, generator=generator) * config.brightness
    images = images * gain + offset
    chosen = _subset(count, config.gray_share, generator)
    images[chosen] = images[chosen].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    chosen = _subset(count, config.blur_share, generator)
    if len(chosen):
        factor = 0.45 + 0.45 * float(torch.rand(1, generator=generator))
        small = F.interpolate(images[chosen], scale_factor=factor, mode="bilinear", antialias=True)
        images[chosen] = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    chosen = _subset(count, config.noise_share, generator)
    if len(chosen):
        strength = torch.rand(len(chosen), 1, 1, 1, generator=generator) * config.noise
        images[chosen] += torch.randn(len(chosen), *images.shape[1:], generator=generator) * strength
    images = images.clamp_(0, 255)
    for index in _subset(count, config.jpeg_share, generator).tolist():
        quality = int(torch.randint(*config.jpeg_quality, (1,), generator=generator))
        images[index] = _jpeg(images[index], quality)
    return images


def _jpeg(image: Tensor, quality: int) -> Tensor:
    # Channel order does not matter to a round trip through the same library, but luma weights do: OpenCV wants BGR.
    pixels = np.ascontiguousarray(image.flip(0).permute(1, 2, 0).round().to(torch.uint8).numpy())
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return torch.from_numpy(decoded).permute(2, 0, 1).flip(0).float()


def _subset(count: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.nonzero(torch.rand(count, generator=generator) < share)[:, 0]
