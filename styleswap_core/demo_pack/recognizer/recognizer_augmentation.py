"""Augmentation of crops: changes that leave the identity as it is."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..random_rows import random_rows
from .recognizer_network import CROP_SIZE


@dataclass(frozen=True)
class CropAugmentation:
    """Strengths of the augmentation; shares are shares of pictures in 0..1, colors are in -1..1."""

    jitter_share: float = 0.6  # the others keep the exact alignment
    shift: float = 1.5  # standard deviation in pixels, about the error of a detector
    scale: float = 0.03  # standard deviation of the log scale
    rotation: float = 2.0  # standard deviation in degrees
    low_resolution_share: float = 0.25
    low_resolution: float = 0.35  # smallest scale
    brightness: float = 0.12  # standard deviation
    contrast: float = 0.15  # standard deviation of the log contrast
    tint: float = 0.04  # standard deviation of the log gain per channel
    noise_share: float = 0.2
    noise: float = 0.06  # largest standard deviation
    erase_share: float = 0.12
    flip: bool = False  # moles and partings make people asymmetric, so a mirror image shows someone else


def jitter_matrices(config: CropAugmentation, count: int, generator: torch.Generator) -> Tensor:
    """Random similarities (count, 2, 3) about the center of the crop, crop to crop; `flip` mirrors half of them."""
    chosen = (torch.rand(count, generator=generator) < config.jitter_share).float()
    angle, log_scale, dx, dy = torch.randn(4, count, generator=generator) * chosen
    angle, scale = angle * torch.pi / 180 * config.rotation, (log_scale * config.scale).exp()
    linear = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(count, 2, 2)
    linear = linear * scale[:, None, None]
    if config.flip:
        mirror = 1 - 2 * (torch.rand(count, generator=generator) < 0.5).float()
        linear = linear * torch.stack([mirror, torch.ones_like(mirror)], 1)[:, None]
    center = torch.full((count, 2, 1), CROP_SIZE / 2)
    shift = center - linear @ center + torch.stack([dx, dy], 1)[..., None] * config.shift
    return torch.cat([linear, shift], 2)


def augment(config: CropAugmentation, crops: Tensor, generator: torch.Generator) -> Tensor:
    """Change resolution, exposure, noise and occlusion of crops (B, 3, 112, 112), which stay in -1..1.

    Exposure changes in all crops, the rest only in a random part of the batch, which is also cheaper.
    """
    count = len(crops)
    rows = random_rows(count, config.low_resolution_share, generator)
    if len(rows):
        # The same factor for the whole batch, so that crops are resampled together.
        factor = config.low_resolution + (0.9 - config.low_resolution) * float(torch.rand(1, generator=generator))
        small = F.interpolate(crops[rows], scale_factor=factor, mode="bilinear", antialias=True)
        crops[rows] = F.interpolate(small, size=crops.shape[-2:], mode="bilinear", align_corners=False)
    gain = (torch.randn(count, 1, 1, 1, generator=generator) * config.contrast).exp()
    gain = gain * (torch.randn(count, 3, 1, 1, generator=generator) * config.tint).exp()
    offset = torch.randn(count, 1, 1, 1, generator=generator) * config.brightness
    # Gains scale the intensity, which is zero at -1.
    crops = (crops + 1) * gain - 1 + offset
    rows = random_rows(count, config.noise_share, generator)
    if len(rows):
        strength = torch.rand(len(rows), 1, 1, 1, generator=generator) * config.noise
        crops[rows] += torch.randn(len(rows), *crops.shape[1:], generator=generator) * strength
    for row in random_rows(count, config.erase_share, generator).tolist():
        width, height = torch.randint(10, 36, (2,), generator=generator).tolist()
        x, y = (torch.rand(2, generator=generator) * (CROP_SIZE - 10)).long().tolist()
        color = torch.rand(3, 1, 1, generator=generator) * 2 - 1
        crops[row, :, y : y + height, x : x + width] = color
    return crops.clamp_(-1, 1)
