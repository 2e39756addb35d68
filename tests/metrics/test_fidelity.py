"""Fidelity of pictures with known differences; expected values are derived by hand."""

import math

import pytest
import torch

from styleswap_core.metrics import fidelity
from styleswap_core.metrics.mask_overlap import mask_iou, union_mask


def flat(value: float, size: int = 16) -> torch.Tensor:
    return torch.full((1, 3, size, size), value)


def half_mask(size: int = 16) -> torch.Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., : size // 2] = 1
    return mask


def test_psnr_of_a_known_offset():
    # 0.2 in a range of -1..1 is 0.1 in 0..1: mean square 0.01, 20 dB.
    assert fidelity.psnr(flat(0.2), flat(0.0)).item() == pytest.approx(20.0, abs=1e-4)


def test_psnr_of_equal_pictures_is_the_maximum():
    assert fidelity.psnr(flat(0.3), flat(0.3)).item() == fidelity.MAX_PSNR_DB


def test_masked_psnr_ignores_pixels_outside_the_mask():
    mask = half_mask()
    inside, outside = 0.2 * mask, 0.2 * (1 - mask)
    assert fidelity.masked_psnr(flat(0.0) + inside, flat(0.0), mask).item() == pytest.approx(20.0, abs=1e-4)
    assert fidelity.masked_psnr(flat(0.0) + outside, flat(0.0), mask).item() == fidelity.MAX_PSNR_DB
    # Half of the pixels differ: 3.01 dB less over the whole picture.
    assert fidelity.psnr(flat(0.0) + inside, flat(0.0)).item() == pytest.approx(20 + 10 * math.log10(2), abs=1e-4)


def test_pictures_with_an_empty_region_are_left_out_of_the_mean():
    values = fidelity.masked_psnr(
        flat(0.2).expand(2, -1, -1, -1),
        flat(0.0).expand(2, -1, -1, -1),
        torch.cat([half_mask(), torch.zeros(1, 1, 16, 16)]),
    )
    assert values[1].isnan()
    assert fidelity.mean_of(values) == pytest.approx(20.0, abs=1e-4)


def test_ssim_of_equal_and_of_uniform_pictures():
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert fidelity.ssim(noise, noise).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    # Uniform pictures have no variance, which leaves (2ab + c1) / (a^2 + b^2 + c1) with c1 = 0.01^2.
    expected = (2 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4)
    assert fidelity.ssim(flat(0.0), flat(0.2)).item() == pytest.approx(expected, abs=1e-4)


def test_gradient_energy_of_a_ramp():
    # Each of three channels rises by 0.1 per pixel to the right: 3 * 0.01 in every pixel away from the border.
    ramp = (torch.arange(16) * 0.1 - 0.8).expand(1, 3, 16, 16)
    inner = torch.zeros(1, 1, 16, 16)
    inner[..., 4:12, 4:12] = 1
    assert fidelity.gradient_energy(ramp, inner).item() == pytest.approx(0.03, rel=1e-4)


def test_sharpness_ratio_of_low_contrast_and_of_blur():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    everywhere = torch.ones(1, 1, 64, 64)
    assert fidelity.sharpness_ratio(noise, noise, everywhere).item() == pytest.approx(1.0)
    # Half the contrast is a quarter of the energy.
    assert fidelity.sharpness_ratio(noise / 2, noise, everywhere).item() == pytest.approx(0.25, rel=1e-4)
    blurred = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)
    assert fidelity.sharpness_ratio(blurred, noise, everywhere).item() < 0.3


def test_sharpness_ratio_excludes_the_edge_of_the_face():
    mask = half_mask(64)
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) - 0.5
    with_edge = noise + 0.5 * (1 - mask)
    assert fidelity.sharpness_ratio(with_edge, noise, mask).item() == pytest.approx(1.0, rel=1e-5)


def test_outside_l1_is_in_levels_and_excludes_the_union():
    union = half_mask()
    target = flat(0.0)
    assert fidelity.outside_l1(target, target, union).item() == 0
    # A difference of 10 levels outside and much more inside, which must not count.
    result = target + 10 / 127.5 + union * 0.9
    assert fidelity.outside_l1(result, target, union).item() == pytest.approx(10.0, rel=1e-4)


def test_outside_l1_excludes_soft_edges_of_the_union():
    union = half_mask()
    union[..., 8] = 0.1
    result = flat(0.0).clone()
    result[..., 8] = 1.0
    assert fidelity.outside_l1(result, flat(0.0), union).item() == 0


def test_mask_iou_of_shifted_squares():
    first, second = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    first[..., 0:4, 0:4], second[..., 0:4, 2:6] = 0.9, 0.6
    # An intersection of 8 pixels and a union of 16 + 16 - 8.
    assert mask_iou(first, second).item() == pytest.approx(1 / 3)
    assert mask_iou(first, first).item() == 1
    assert mask_iou(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)).item() == 1
    assert mask_iou(first, torch.zeros(1, 1, 8, 8)).item() == 0


def test_union_mask_is_the_maximum():
    assert torch.equal(union_mask(torch.tensor([0.2, 0.9]), torch.tensor([0.7, 0.1])), torch.tensor([0.7, 0.9]))
