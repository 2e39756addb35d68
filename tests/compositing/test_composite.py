"""Blending of a changed picture over its target."""

import pytest
import torch

from styleswap_core.compositing.composite import METHODS, BlendOptions, blend_frames, blend_with_mask, harmonic_fill
from styleswap_core.errors import StyleSwapError


def frames(count=2, height=96, width=128, channels=3, seed=0):
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(seed))


def disc(height=96, width=128, x=64, y=48, radius=20):
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((xs - x) ** 2 + (ys - y) ** 2 < radius**2).float()


@pytest.mark.parametrize("color", ["none", "linear"])
# The disc ends at column 42 and its feathered edge at 48; the coarsest band reaches 128 px further.
@pytest.mark.parametrize(
    ("method", "reached", "unchanged_from"), [("alpha", 42, 48), ("seamless", 42, 48), ("multi-band", 54, 176)]
)
def test_the_target_stays_beyond_the_reach_of_a_method(method, reached, unchanged_from, color):
    target, changed = frames(width=224), frames(width=224, seed=1)
    mask = disc(width=224, x=30, radius=12)[None]
    images, used = blend_frames(target, changed, mask, BlendOptions(0, 4.0, color, 1.0, method))
    assert torch.equal(images[:, :, unchanged_from:], target[:, :, unchanged_from:])
    assert (images - target)[:, :, reached].abs().max() > 1e-4
    assert (images - target)[:, :, 56:].abs().max() < 0.005, "what multi-band blending changes there is invisible"
    assert used[:, :, 48:].max() == 0 and used[:, 48, 30].min() > 0.99
    assert images.min() >= 0 and images.max() <= 1


def test_alpha_blending_is_the_weighted_mean():
    target, changed = frames(1), frames(1, seed=1)
    mask = disc()[None] * 0.25
    images, used = blend_frames(target, changed, mask)
    assert torch.allclose(images, target * (1 - mask[..., None]) + changed * mask[..., None], atol=1e-5)
    assert torch.equal(used, mask)


def test_multi_band_reproduces_a_picture_blended_with_itself():
    target = frames(1)
    images, _ = blend_frames(target, target.clone(), disc()[None], BlendOptions(method="multi-band"))
    assert torch.allclose(images, target, atol=1e-5)


def test_multi_band_hides_a_step_better_than_alpha():
    target, changed = torch.full((1, 96, 128, 3), 0.3), torch.full((1, 96, 128, 3), 0.7)
    mask = torch.zeros(1, 96, 128)
    mask[..., 64:] = 1
    steepest = {
        method: blend_frames(target, changed, mask, BlendOptions(method=method))[0].diff(dim=2).abs().max()
        for method in ("alpha", "multi-band")
    }
    assert steepest["multi-band"] < 0.2 * steepest["alpha"]


def test_seamless_blending_takes_tone_from_the_outline_and_detail_from_the_inside():
    detail = 0.1 * torch.rand(1, 96, 128, 3, generator=torch.Generator().manual_seed(3))
    target, changed = torch.full((1, 96, 128, 3), 0.3), 0.6 + detail
    images, _ = blend_frames(target, changed, disc()[None], BlendOptions(method="seamless"))
    inside = disc(radius=12)[None, ..., None].expand_as(images) > 0
    assert abs(float(images[inside].mean()) - 0.3) < 0.02
    own = (images - images[inside].mean())[inside]
    wanted = (changed - changed[inside].mean())[inside]
    assert torch.corrcoef(torch.stack([own, wanted]))[0, 1] > 0.95


def test_harmonic_fill_continues_a_slope():
    ys, xs = torch.meshgrid(torch.arange(80.0), torch.arange(100.0), indexing="ij")
    slope = (0.5 * xs - 0.2 * ys)[None, None]
    known = torch.ones_like(slope, dtype=torch.bool)
    known[..., 20:60, 30:80] = False
    filled = harmonic_fill(torch.where(known, slope, torch.full_like(slope, 99.0)), known)
    assert (filled - slope).abs().max() < 0.02 * float(slope.max() - slope.min())
    assert torch.equal(filled[known], slope[known])


def test_colors_are_matched_separately_for_each_face():
    target, changed = torch.full((1, 96, 128, 3), 0.5), torch.full((1, 96, 128, 3), 0.5)
    left, right = disc(x=30, radius=16), disc(x=98, radius=16)
    noise = 0.02 * torch.randn(1, 96, 128, 3, generator=torch.Generator().manual_seed(0))
    target[0][left > 0], target[0][right > 0] = 0.2, 0.8
    changed[0][left > 0], changed[0][right > 0] = 0.7, 0.3
    mask = torch.maximum(left, right)[None]
    images, _ = blend_frames(target + noise, changed + noise, mask, BlendOptions(color_match="linear"))
    assert abs(float(images[0][left > 0].mean()) - 0.2) < 0.02 and abs(float(images[0][right > 0].mean()) - 0.8) < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_the_keep_mask_protects_the_target(method):
    target, changed = frames(1), frames(1, seed=1)
    keep = torch.zeros(1, 96, 128)
    keep[:, 40:56] = 1
    images, used = blend_frames(target, changed, disc()[None], BlendOptions(feather=3, method=method), keep)
    assert torch.allclose(images[:, 40:56], target[:, 40:56], atol=1e-6) and used[:, 40:56].max() == 0


def test_a_single_mask_of_another_size_serves_every_frame():
    target, changed = frames(3), frames(1, seed=1)
    small = torch.ones(1, 24, 32)
    images, used = blend_frames(target, changed, small)
    assert torch.allclose(images, changed.expand_as(images), atol=1e-6) and used.shape == (3, 96, 128)


def test_an_empty_mask_changes_nothing():
    target = frames(2)
    images, used = blend_frames(target, frames(2, seed=1), torch.zeros(2, 96, 128), BlendOptions(4, 8.0, "linear"))
    assert torch.equal(images, target) and used.max() == 0


def test_the_alpha_channel_is_unchanged():
    target, changed = frames(2, channels=4), frames(2, seed=1)
    images, _ = blend_frames(target, changed, torch.ones(1, 8, 8))
    assert images.shape == target.shape and torch.equal(images[..., 3], target[..., 3])
    assert torch.allclose(images[..., :3], changed, atol=1e-6)


def test_values_out_of_range_are_clipped():
    target = frames(1)
    target[0, 0, 0], target[0, 1, 1] = float("nan"), 7.0
    images, _ = blend_frames(target, frames(1, seed=1), torch.ones(1, 8, 8) * 0.5)
    assert torch.isfinite(images).all() and images.max() <= 1


@pytest.mark.parametrize(
    ("target", "changed", "mask", "message"),
    [
        (torch.zeros(0, 8, 8, 3), torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 8), "at least one frame"),
        (torch.zeros(2, 8, 8, 3), torch.zeros(2, 8, 9, 3), torch.zeros(1, 8, 8), "8 x 8.*9 x 8"),
        (
            torch.zeros(3, 8, 8, 3),
            torch.zeros(2, 8, 8, 3),
            torch.zeros(1, 8, 8),
            "as many swapped pictures as target frames .3.*got 2",
        ),
        (
            torch.zeros(3, 8, 8, 3),
            torch.zeros(3, 8, 8, 3),
            torch.zeros(2, 8, 8),
            "as many masks as target frames .3.*got 2",
        ),
        (torch.zeros(3, 8, 8, 3), torch.zeros(3, 8, 8, 3), torch.zeros(8, 8), "masks .B, H, W."),
    ],
)
def test_inputs_that_do_not_fit_are_refused(target, changed, mask, message):
    with pytest.raises(StyleSwapError, match=message):
        blend_frames(target, changed, mask)


def test_unknown_methods_are_refused_and_callbacks_can_cancel():
    picture = torch.zeros(1, 3, 8, 8)
    with pytest.raises(StyleSwapError, match="blending method"):
        blend_with_mask(picture, picture, picture[:, :1], BlendOptions(method="glue"))

    class Canceled(Exception):
        pass

    def on_frame(frame):
        if frame == 1:
            raise Canceled

    with pytest.raises(Canceled):
        blend_frames(frames(3), frames(3), torch.ones(1, 8, 8), on_frame=on_frame)
