"""Random corruption of scenes: exposure, color, blur, noise and compression, as cameras and files cause them."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..random_rows import random_rows


@dataclass(frozen=True)
class CorruptionConfig:
    """Strengths of the corruptions; shares are shares of scenes in 0..1."""

    brightness: float = 18.0  # standard deviation, of 255
    contrast: float = 0.2  # standard deviation of the log contrast
    tint: float = 0.08  # standard deviation of the log gain per channel
    gray_share: float = 0.05
    blur_share: float = 0.2
    noise_share: float = 0.2
    noise: float = 14.0  # largest standard deviation, of 255
    jpeg_share: float = 0.2
    jpeg_quality: tuple[int, int] = (25, 90)


def corrupt(config: CorruptionConfig, images: Tensor, generator: torch.Generator) -> Tensor:
    """Corrupt images (B, 3, H, W), RGB in 0..255, which stay in that range; points of faces remain valid."""
    count = len(images)
    gain = (torch.randn(count, 1, 1, 1, generator=generator) * config.contrast).exp()
    gain = gain * (torch.randn(count, 3, 1, 1, generator=generator) * config.tint).exp()
    offset = torch.randn(count, 1, 1, 1, generator=generator) * config.brightness
    images = images * gain + offset
    rows = random_rows(count, config.gray_share, generator)
    images[rows] = images[rows].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    rows = random_rows(count, config.blur_share, generator)
    if len(rows):
        factor = 0.45 + 0.45 * float(torch.rand(1, generator=generator))
        small = F.interpolate(images[rows], scale_factor=factor, mode="bilinear", antialias=True)
        images[rows] = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    rows = random_rows(count, config.noise_share, generator)
    if len(rows):
        strength = torch.rand(len(rows), 1, 1, 1, generator=generator) * config.noise
        images[rows] += torch.randn(len(rows), *images.shape[1:], generator=generator) * strength
    images = images.clamp_(0, 255)
    low, high = config.jpeg_quality
    for row in random_rows(count, config.jpeg_share, generator).tolist():
        images[row] = _jpeg(images[row], int(torch.randint(low, high, (1,), generator=generator)))
    return images


def _jpeg(image: Tensor, quality: int) -> Tensor:
    # OpenCV expects BGR: the channels have different weights in the luma.
    pixels = np.ascontiguousarray(image.flip(0).permute(1, 2, 0).round().to(torch.uint8).numpy())
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return torch.from_numpy(decoded).permute(2, 0, 1).flip(0).float()
