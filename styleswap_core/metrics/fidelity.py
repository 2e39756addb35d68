"""Likeness of a result to a reference picture, per picture.

Every function takes RGB pictures (B,3,H,W) in -1..1 and gives one float per picture, (B,). PSNR and SSIM are
stated for a data range of 0..1, so halving the values first changes nothing but the unit. A picture in which the
asked region is empty gives NaN; `mean_of` leaves such pictures out.
"""

import torch
import torch.nn.functional as F
from kornia.metrics import ssim as kornia_ssim
from torch import Tensor

# Equal pictures have no finite PSNR. Pictures of 8 bits that differ in one value of a million stand at 108 dB.
MAX_PSNR_DB = 100.0
SSIM_WINDOW = 11


def psnr(result: Tensor, reference: Tensor) -> Tensor:
    """Peak signal to noise ratio over the whole picture, dB, at most 100."""
    squared = ((result - reference) / 2).square()
    return _decibel(squared.mean(dim=(1, 2, 3)))


def masked_psnr(result: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """PSNR over the pixels in which `mask` (B,1,H,W) exceeds 0.5, dB, at most 100."""
    squared = ((result - reference) / 2).square().mean(dim=1, keepdim=True)
    return _decibel(_mean_inside(squared, mask > 0.5))


def ssim(result: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004; Gaussian window of 11 taps, sigma 1.5), mean over the picture."""
    return kornia_ssim((result + 1) / 2, (reference + 1) / 2, SSIM_WINDOW, max_val=1.0).mean(dim=(1, 2, 3))


def gradient_energy(image: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference between neighboring pixels, both directions and all channels, inside `mask` > 0.5."""
    right = F.pad(image[..., :, 1:] - image[..., :, :-1], (0, 1))
    down = F.pad(image[..., 1:, :] - image[..., :-1, :], (0, 0, 0, 1))
    energy = (right.square() + down.square()).sum(dim=1, keepdim=True)
    return _mean_inside(energy, mask > 0.5)


def sharpness_ratio(result: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Gradient energy of the result in the inner face, to the reference's: 1 equally sharp, below 1 blurred.

    The mask (B,1,H,W) is eroded by 1/64 of the width first, so that the edge between face and surroundings, which
    a blurred result keeps, does not count.
    """
    inner = erode(mask, max(1, round(mask.shape[-1] / 64)))
    return gradient_energy(result, inner) / gradient_energy(reference, inner)


def outside_l1(result: Tensor, target: Tensor, union: Tensor) -> Tensor:
    """Mean absolute difference to the target where `union` (B,1,H,W) is exactly 0, in levels of 255."""
    difference = (result - target).abs().mean(dim=1, keepdim=True) * 127.5
    return _mean_inside(difference, union == 0)


def erode(mask: Tensor, radius: int) -> Tensor:
    """The least mask value in a square of `2 * radius + 1` pixels about each pixel."""
    return -F.max_pool2d(-mask, 2 * radius + 1, stride=1, padding=radius)


def mean_of(values: Tensor) -> float:
    """Mean without NaN entries; NaN if nothing else is there."""
    return float(values.double().nanmean())


def _decibel(mean_squared: Tensor) -> Tensor:
    return (-10 * torch.log10(mean_squared.double())).clamp(max=MAX_PSNR_DB).float()


def _mean_inside(values: Tensor, inside: Tensor) -> Tensor:
    inside = inside.to(values.dtype)
    return (values * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))
