"""Shaping of masks: growing, feathering, resizing, splitting."""

import pytest
import torch

from styleswap_core.compositing.mask_shaping import (
    feather_mask,
    grow_mask,
    inset_mask,
    layer_for_mask,
    mask_parts,
    resize_mask,
    soften_inward,
)
from styleswap_core.errors import StyleSwapError


def square(size=64, low=24, high=40):
    mask = torch.zeros(1, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


@pytest.mark.parametrize(("pixels", "side"), [(0, 16), (5, 26), (-5, 6), (-9, 0), (100, 64)])
def test_dilation_and_erosion_move_every_side(pixels, side):
    assert float(grow_mask(square(), pixels).sum()) == side**2


def test_erosion_does_not_start_at_the_border():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16, :] = 1
    assert float(grow_mask(mask, -3).sum()) == 13 * 32


def test_dilation_keeps_soft_values():
    mask = square() * 0.5
    assert set(grow_mask(mask, 2).unique().tolist()) == {0.0, 0.5}


@pytest.mark.parametrize("radius", [0.5, 3, 30, 500])
def test_feathering_softens_without_moving(radius):
    soft = feather_mask(square(), radius)
    assert soft.shape == (1, 1, 64, 64) and soft.min() >= 0 and soft.max() <= 1
    assert torch.allclose(soft, soft.flip(3), atol=1e-5) and torch.allclose(soft, soft.transpose(2, 3), atol=1e-5)
    step = soft.diff(dim=3).abs().max()
    assert step < 1
    if radius == 3:
        assert float(soft.sum()) == pytest.approx(256, rel=1e-3) and soft[0, 0, 32, 23] == pytest.approx(0.37, abs=0.05)


def test_feathering_by_zero_changes_nothing():
    assert torch.equal(feather_mask(square(), 0), square())
    with pytest.raises(StyleSwapError, match="radius"):
        feather_mask(square(), -1)


def test_resizing_keeps_the_covered_fraction():
    assert resize_mask(square(), 64) is not None
    assert float(resize_mask(square(), 16).mean()) == pytest.approx(1 / 16, abs=1e-3)
    assert resize_mask(square(), (20, 30)).shape == (1, 1, 20, 30)


def test_layer_for_mask_blends_as_documented():
    generator = torch.Generator().manual_seed(0)
    rgb, crop = (torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1 for _ in range(2))
    mask, wanted = (torch.rand(2, 1, 8, 8, generator=generator) for _ in range(2))
    layer = layer_for_mask(rgb, crop, mask, wanted)
    blended = wanted * layer + (1 - wanted) * crop
    used = torch.minimum(mask, wanted)
    assert torch.allclose(blended, used * rgb + (1 - used) * crop, atol=1e-5)
    assert torch.equal(layer_for_mask(rgb, crop, mask, mask), rgb)


@pytest.mark.parametrize(
    "change", [lambda mask: grow_mask(mask, 1), lambda mask: feather_mask(mask, 1), lambda mask: resize_mask(mask, 8)]
)
def test_other_shapes_are_refused(change):
    with pytest.raises(StyleSwapError, match="mask"):
        change(torch.zeros(64, 64))


def test_separate_regions_become_separate_masks():
    two = square(low=8, high=20) + square(low=40, high=60) * 0.5
    two[..., 8:20, 40:60] = two[..., 40:60, 8:20] = 0
    parts = mask_parts(two)
    assert sorted(float(part.sum()) for part in parts) == [144.0, 200.0]
    assert torch.equal(sum(parts), two)
    large = torch.nn.functional.interpolate(two, size=(640, 480))
    assert len(mask_parts(large)) == 2 and torch.equal(sum(mask_parts(large)), large)
    assert mask_parts(torch.zeros(1, 1, 30, 40)) == [] and len(mask_parts(torch.ones(1, 1, 300, 2))) == 1


def half(size):
    """A mask of the left half."""
    mask = torch.zeros(1, 1, size, size)
    mask[..., : size // 2] = 1
    return mask


@pytest.mark.parametrize("edge", [0.04, 0.1, 0.3])
def test_a_soft_edge_lies_within_the_mask_and_is_as_wide_in_all_sizes(edge):
    profiles = {}
    for size in (128, 1024):
        soft = soften_inward(half(size), edge)
        # Resampling a wide edge may spread it by a pixel of the smaller mask.
        assert soft[..., size // 2 + size // 64 :].max() < 0.01
        row = soft[0, 0, size // 2]
        assert row[int(size * (0.5 - 1.2 * edge)) if edge < 0.3 else size // 4] > (0.9 if edge < 0.3 else 0.5)
        profiles[size] = row.view(64, -1).mean(1)
    assert (profiles[128] - profiles[1024]).abs().max() < 0.06
    assert torch.equal(soften_inward(square(), 0.0), square())
    with pytest.raises(StyleSwapError, match="edge of 0 or more"):
        soften_inward(square(), -0.1)


def test_a_soft_edge_ends_at_the_border():
    soft = soften_inward(torch.ones(1, 1, 64, 64), 0.1)
    assert soft[..., 0, :].max() < 0.15 and soft[..., 32, 32] > 0.999


def test_thin_holes_stay_out_of_a_softened_mask():
    mask = torch.ones(1, 1, 256, 256)
    mask[..., 128:131] = 0
    soft = soften_inward(mask, 0.1)
    assert soft[..., 128:131].max() == 0 and (soft <= mask).all()


@pytest.mark.parametrize("size", [64, 512])
def test_an_inset_ends_before_the_border_with_round_corners(size):
    full = torch.ones(1, 1, size, size)
    plain = inset_mask(full)[0, 0]
    for side in (plain[0], plain[-1], plain[:, 0], plain[:, -1]):
        assert side.max() == 0
    assert plain[size // 2, size // 2] == 1 and plain[size // 2, size // 10] == 1
    assert plain[size // 12, size // 12] == 0, "the corner is round"
    padded = inset_mask(full, 0.2, 0.1)[0, 0]
    assert padded[size // 2, : int(0.19 * size)].max() == 0 and padded[size // 2, int(0.32 * size)] == 1
    assert torch.equal(inset_mask(full * 0, 0.2), full * 0)
