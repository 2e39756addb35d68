"""Color statistics after matching."""

import pytest
import torch

from styleswap_core.compositing.color_matching import METHODS, match_colors
from styleswap_core.errors import StyleSwapError


def pictures(seed=0, size=64):
    """A picture, and a reference whose colors differ from it in mean, spread and correlation."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, 3, size, size, generator=generator).clamp(-2.5, 2.5)
    picture = 0.15 * noise[:1] + torch.tensor([0.2, -0.1, 0.0]).view(1, 3, 1, 1)
    mix = torch.tensor([[0.10, 0.06, 0.0], [0.0, 0.08, 0.05], [0.04, 0.0, 0.06]])
    reference = torch.einsum("ij,bjhw->bihw", mix, noise[1:]) + torch.tensor([-0.3, 0.1, 0.25]).view(1, 3, 1, 1)
    return picture, reference


def mask(size=64):
    inside = torch.zeros(1, 1, size, size)
    inside[..., 16:48, 8:56] = 1
    return inside


def inside_values(picture):
    return picture[0][:, mask()[0, 0] > 0]


def test_linear_matches_mean_and_covariance():
    picture, reference = pictures()
    matched = inside_values(match_colors(picture, reference, mask(), "linear"))
    wanted = inside_values(reference)
    assert torch.allclose(matched.mean(1), wanted.mean(1), atol=1e-3)
    assert torch.allclose(matched.cov(), wanted.cov(), atol=2e-4)


def test_mean_std_matches_lab():
    from kornia.color import rgb_to_lab

    picture, reference = pictures()
    matched = match_colors(picture, reference, mask(), "mean-std")
    own, wanted = (inside_values(rgb_to_lab((x + 1) / 2)) for x in (matched, reference))
    assert torch.allclose(own.mean(1), wanted.mean(1), atol=0.3)
    assert torch.allclose(own.std(1), wanted.std(1), rtol=0.03)


def test_histogram_matches_quantiles():
    picture, reference = pictures()
    matched = inside_values(match_colors(picture, reference, mask(), "histogram"))
    at = torch.tensor([0.02, 0.25, 0.5, 0.75, 0.98])
    for own, wanted in zip(matched, inside_values(reference), strict=True):
        assert torch.allclose(own.quantile(at), wanted.quantile(at), atol=0.01)


@pytest.mark.parametrize("method", METHODS[1:])
def test_equal_colors_are_unchanged_and_strength_interpolates(method):
    picture, reference = pictures()
    assert torch.allclose(match_colors(picture, picture, mask(), method), picture, atol=5e-3)
    full = match_colors(picture, reference, mask(), method)
    half = match_colors(picture, reference, mask(), method, 0.5)
    assert torch.allclose(half, (picture + full) / 2, atol=1e-6)
    assert full.min() >= -1 and full.max() <= 1


@pytest.mark.parametrize("method", METHODS[1:])
def test_flat_pictures_and_empty_masks(method):
    flat, reference = torch.full((1, 3, 64, 64), 0.3), pictures()[1]
    matched = match_colors(flat, reference, mask(), method)
    assert torch.isfinite(matched).all()
    assert torch.equal(match_colors(flat, reference, torch.zeros(1, 1, 64, 64), method), flat)


def test_only_pixels_in_the_mask_are_measured():
    picture, reference = pictures()
    spoiled = torch.where(mask() > 0, reference, torch.ones_like(reference))
    assert torch.allclose(match_colors(picture, spoiled, mask()), match_colors(picture, reference, mask()), atol=1e-5)


def test_no_matching_and_invalid_arguments():
    picture, reference = pictures()
    assert match_colors(picture, reference, mask(), "none") is picture
    with pytest.raises(StyleSwapError, match="color matching"):
        match_colors(picture, reference, mask(), "magic")
    with pytest.raises(StyleSwapError, match="strength"):
        match_colors(picture, reference, mask(), "linear", 1.5)
    with pytest.raises(StyleSwapError, match="one size"):
        match_colors(picture, reference[..., :32], mask(), "linear")
