"""Fidelity of results to reference pictures: PSNR, SSIM, sharpness, and change outside of the face.

Functions take RGB pictures (B, 3, H, W) in -1..1 and masks (B, 1, H, W) in 0..1, and return one float per picture (B,).
PSNR and SSIM are computed for a data range of 0..1. A picture in which the region is empty yields NaN, which `mean_of`
leaves out.
"""

import torch
import torch.nn.functional as F
from kornia.metrics import ssim as kornia_ssim
from torch import Tensor

# Identical pictures have an infinite PSNR; 8-bit pictures that differ by one level in one of a million values, 108 dB.
MAX_PSNR_DB = 100.0
SSIM_WINDOW = 11


def psnr(result: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over the whole picture, in dB, at most 100."""
    squared = ((result - reference) / 2).square()
    return _decibel(squared.mean(dim=(1, 2, 3)))


def masked_psnr(result: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """PSNR over the pixels where `mask` exceeds 0.5, in dB, at most 100."""
    squared = ((result - reference) / 2).square().mean(dim=1, keepdim=True)
    return _decibel(_mean_inside(squared, mask > 0.5))


def ssim(result: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004; Gaussian window of 11 pixels, sigma 1.5), averaged over the picture."""
    return kornia_ssim((result + 1) / 2, (reference + 1) / 2, SSIM_WINDOW, max_val=1.0).mean(dim=(1, 2, 3))


def gradient_energy(image: Tensor, mask: Tensor) -> Tensor:
    """Mean over pixels where `mask` exceeds 0.5 of the squared differences to the right and lower neighbors."""
    right = F.pad(image[..., :, 1:] - image[..., :, :-1], (0, 1))
    down = F.pad(image[..., 1:, :] - image[..., :-1, :], (0, 0, 0, 1))
    energy = (right.square() + down.square()).sum(dim=1, keepdim=True)
    return _mean_inside(energy, mask > 0.5)


def sharpness_ratio(result: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Ratio of the gradient energies of result and reference inside the face: 1 if equally sharp, below 1 if blurred.

    The mask is first eroded by 1/64 of the width to exclude the edge between face and surroundings, which stays sharp
    even in a blurred result.
    """
    inner = erode(mask, max(1, round(mask.shape[-1] / 64)))
    return gradient_energy(result, inner) / gradient_energy(reference, inner)


def outside_l1(result: Tensor, target: Tensor, union: Tensor) -> Tensor:
    """Mean absolute difference from the target where the mask `union` is exactly 0, in levels of 255."""
    difference = (result - target).abs().mean(dim=1, keepdim=True) * 127.5
    return _mean_inside(difference, union == 0)


def erode(mask: Tensor, radius: int) -> Tensor:
    """Minimum of a mask in a square of `2 * radius + 1` pixels around each pixel."""
    return -F.max_pool2d(-mask, 2 * radius + 1, stride=1, padding=radius)


def mean_of(values: Tensor) -> float:
    """Mean of the entries that are not NaN; NaN if there are none."""
    return float(values.double().nanmean())


def _decibel(mean_squared: Tensor) -> Tensor:
    return (-10 * torch.log10(mean_squared.double())).clamp(max=MAX_PSNR_DB).float()


def _mean_inside(values: Tensor, inside: Tensor) -> Tensor:
    inside = inside.to(values.dtype)
    return (values * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))
