"""What may change in a crop without changing who it shows."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .recognizer_network import CROP_SIZE


@dataclass(frozen=True)
class CropAugmentation:
    """Shares are of pictures, 0..1; strengths in the units stated."""

    jitter_share: float = 0.6  # the rest keeps the exact alignment
    shift: float = 1.5  # px, standard deviation: detectors are off by about so much
    scale: float = 0.03  # standard deviation of log scale
    rotation: float = 2.0  # degrees, standard deviation
    low_resolution_share: float = 0.25
    low_resolution: float = 0.35  # smallest factor of shrinking
    brightness: float = 0.12  # of the range -1..1, standard deviation
    contrast: float = 0.15  # standard deviation of log contrast
    tint: float = 0.04  # standard deviation of log gain per channel
    noise_share: float = 0.2
    noise: float = 0.06  # largest standard deviation
    erase_share: float = 0.12
    # Off by default: moles and partings make people of the face world asymmetric, so a mirror image is someone else.
    flip: bool = False


def jitter_matrices(config: CropAugmentation, count: int, generator: torch.Generator) -> Tensor:
    """(count, 2, 3): small similarities about the crop's center, crop -> crop; some mirrored if `flip`."""
    chosen = (torch.rand(count, generator=generator) < config.jitter_share).float()
    angle, log_scale, dx, dy = torch.randn(4, count, generator=generator) * chosen
    angle, scale = angle * torch.pi / 180 * config.rotation, (log_scale * config.scale).exp()
    linear = (
        torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(count, 2, 2) * scale[:, None, None]
    )
    if config.flip:
        mirror = 1 - 2 * (torch.rand(count, generator=generator) < 0.5).float()
        linear = linear * torch.stack([mirror, torch.ones_like(mirror)], 1)[:, None]
    center = torch.full((count, 2, 1), CROP_SIZE / 2)
    shift = center - linear @ center + torch.stack([dx, dy], 1)[..., None] * config.shift
    return torch.cat([linear, shift], 2)


def augment(config: CropAugmentation, crops: Tensor, generator: torch.Generator) -> Tensor:
    """Change resolution, light, noise and occlusion of crops (B, 3, 112, 112), -1..1, and clip them to that range.

    All but light touches a random part of the batch alone: the rest stays clean, and the cost small.
    """
    count = len(crops)
    pictures = _subset(count, config.low_resolution_share, generator)
    if len(pictures):
        # One factor for the batch keeps the resampling batched; it differs from batch to batch.
        factor = config.low_resolution + (0.9 - config.low_resolution) * float(torch.rand(1, generator=generator))
        small = F.interpolate(crops[pictures], scale_factor=factor, mode="bilinear", antialias=True)
        crops[pictures] = F.interpolate(small, size=crops.shape[-2:], mode="bilinear", align_corners=False)
    gain = (torch.randn(count, 1, 1, 1, generator=generator) * config.contrast).exp()
    gain = gain * (torch.randn(count, 3, 1, 1, generator=generator) * config.tint).exp()
    offset = torch.randn(count, 1, 1, 1, generator=generator) * config.brightness
    # Gains act on light, which is zero at -1.
    crops = (crops + 1) * gain - 1 + offset
    pictures = _subset(count, config.noise_share, generator)
    if len(pictures):
        strength = torch.rand(len(pictures), 1, 1, 1, generator=generator) * config.noise
        crops[pictures] += torch.randn(len(pictures), *crops.shape[1:], generator=generator) * strength
    for picture in _subset(count, config.erase_share, generator).tolist():
        width, height = torch.randint(10, 36, (2,), generator=generator).tolist()
        x, y = (torch.rand(2, generator=generator) * (CROP_SIZE - 10)).long().tolist()
        color = torch.rand(3, 1, 1, generator=generator) * 2 - 1
        crops[picture, :, y : y + height, x : x + width] = color
    return crops.clamp_(-1, 1)


def _subset(count: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.nonzero(torch.rand(count, generator=generator) < share)[:, 0]
