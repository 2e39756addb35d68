"""Crops read from a canvas and pasted back: exact places, exact background, no visible outline."""

import math

import numpy as np
import pytest
import torch

from styleswap_core.compositing.canvas import Canvas, border_fade
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import transform_points


def similarity(angle, scale, x, y):
    c, s = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return torch.tensor([[[c, -s, x], [s, c, y]]])


def pixel_centers(height, width):
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return x, y


def paste(pictures, layers, matrices, masks=None):
    """Results (B, 3, H, W) and masks (B, 1, H, W) of pasting one layer into each picture."""
    canvas = Canvas(list(pictures))
    canvas.paste(range(len(pictures)), layers, torch.ones_like(layers[:, :1]) if masks is None else masks, matrices)
    results, shown = zip(*(canvas.result(row) for row in range(canvas.count)), strict=True)
    return torch.stack(results), torch.stack(shown)[:, None]


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.6])
def test_crop_and_paste_do_not_drift(scale):
    """Ten round trips leave a spot in place; an error of half a pixel would move it by five pixels."""
    x, y = pixel_centers(160, 160)
    picture = (torch.exp(-((x - 77.3) ** 2 + (y - 83.8) ** 2) / 200) * 2 - 1).expand(1, 3, -1, -1)
    center = transform_points(similarity(12, scale, 0, 0), torch.tensor([[[80.0, 80.0]]]))[0, 0]
    matrix = similarity(12, scale, 48 - float(center[0]), 48 - float(center[1]))
    current = picture
    for _ in range(10):
        crops = Canvas(list(current)).read_crops([0], matrix, 96)
        current, mask = paste(current, crops, matrix)
    assert mask[0, 0, 83, 77] == 1.0
    weight = current[0, 0] + 1
    weight = weight * (weight > 0.05)
    assert float((weight * x).sum() / weight.sum()) == pytest.approx(77.3, abs=0.1)
    assert float((weight * y).sum() / weight.sum()) == pytest.approx(83.8, abs=0.1)


def test_pixels_outside_the_layers_are_bit_identical():
    pictures = torch.rand(2, 3, 90, 120, generator=torch.Generator().manual_seed(0)) * 2 - 1
    matrices = torch.cat([similarity(15, 1.0, -30, -20), similarity(-40, 2.2, -100, 5)])
    before = pictures.clone()
    results, masks = paste(pictures, torch.ones(2, 3, 48, 48), matrices)
    assert torch.equal(pictures, before), "targets are not modified"
    untouched = (masks == 0).expand_as(pictures)
    assert torch.equal(results[untouched], pictures[untouched])
    for row in range(2):
        x, y = pixel_centers(90, 120)
        inside = transform_points(matrices[row : row + 1], torch.stack([x, y], -1).view(1, -1, 2)).view(90, 120, 2)
        far_outside = ((inside < -2) | (inside > 50)).any(-1)
        center = ((inside > 20) & (inside < 28)).all(-1)
        assert (masks[row, 0][far_outside] == 0).all() and (masks[row, 0][center] > 1 - 1e-5).all()
        assert torch.allclose(results[row][:, center], torch.tensor(1.0), atol=1e-5)


def test_a_layer_shows_fully_where_the_mask_is_one():
    picture = torch.full((1, 3, 100, 100), -0.31)
    result, mask = paste(picture, torch.full((1, 3, 64, 64), 0.77), similarity(0, 1, -20, -20))
    assert torch.allclose(result[0, :, 50, 50], torch.tensor(0.77)) and mask[0, 0, 50, 50] == 1.0


@pytest.mark.parametrize("scale", [0.2, 0.7, 1.0, 2.5])
def test_a_layer_has_no_visible_outline(scale):
    """White on black with a full mask: the steepest step is that of the fade, at every scale."""
    size = 64
    picture = torch.full((1, 3, 200, 200), -1.0)
    result, _ = paste(picture, torch.ones(1, 3, size, size), similarity(17, scale, 10 - 60 * scale, 50 - 80 * scale))
    step = torch.maximum(result.diff(dim=2).abs().max(), result.diff(dim=3).abs().max())
    # The maximum slope of a smoothstep over 0.06 of the side is 1.5 times that of a line.
    assert step <= 2 * 1.5 / (0.06 * size) * max(scale, 0.5) * 1.5
    if scale <= 1:
        assert step < 2.0 * 0.9


def test_masks_are_respected():
    picture = torch.zeros(1, 3, 80, 80)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 0.5
    result, shown = paste(picture, torch.ones(1, 3, 64, 64), similarity(0, 1, 0, 0), mask)
    assert result[0, 0, 30, 30] == 0.5 and shown[0, 0, 30, 30] == 0.5
    assert result[0, 0, 10, 10] == 0.0 and result[0, 0, 70, 70] == 0.0


@pytest.mark.parametrize(("x", "y"), [(-40, -40), (60, 10), (500, 500), (-500, 20)])
def test_crops_beyond_the_picture(x, y):
    picture = torch.rand(1, 3, 80, 70, generator=torch.Generator().manual_seed(0)) * 2 - 1
    matrix = similarity(5, 1.0, -x, -y)
    crop = Canvas(list(picture)).read_crops([0], matrix, 64)
    assert torch.isfinite(crop).all()
    result, mask = paste(picture, crop, matrix)
    assert result.shape == picture.shape and torch.isfinite(result).all()
    if max(abs(x), abs(y)) == 500:
        assert torch.equal(result, picture) and mask.max() == 0


def test_a_face_does_not_depend_on_those_in_its_batch():
    generator = torch.Generator().manual_seed(1)
    pictures = [torch.rand(3, 90, 120, generator=generator) * 2 - 1 for _ in range(3)]
    pictures.append(np.random.default_rng(0).integers(0, 256, (70, 60, 3), dtype=np.uint8))
    matrices = torch.cat([similarity(angle, 0.8, 4, -9) for angle in (0, 20, -35, 9)])
    together = Canvas(pictures).read_crops(range(4), matrices, 48)
    for row, picture in enumerate(pictures):
        alone = Canvas([picture]).read_crops([0], matrices[row : row + 1], 48)
        assert torch.allclose(together[row], alone[0], atol=1e-6)


def test_the_last_of_two_layers_is_on_top():
    matrices = torch.cat([similarity(0, 1.0, 0, 0), similarity(0, 0.5, 0, 0)])
    canvas = Canvas([torch.zeros(3, 64, 64)])
    canvas.paste(
        [0, 0], torch.stack([torch.ones(3, 32, 32), -torch.ones(3, 32, 32)]), torch.ones(2, 1, 32, 32), matrices
    )
    image, _ = canvas.result(0)
    assert image[0, 16, 16] == -1
    canvas.paste([0], torch.ones(1, 3, 32, 32), torch.ones(1, 1, 32, 32), matrices[:1])
    assert canvas.result(0)[0][0, 16, 16] == 1


def test_the_fade_is_symmetric_and_ends_at_zero():
    fade = border_fade(64)[0, 0]
    assert fade[0].max() == 0 and fade[:, -1].max() == 0 and fade[32, 32] == 1
    assert torch.equal(fade, fade.flip(0)) and torch.equal(fade, fade.T)


@pytest.mark.parametrize(("layers", "masks"), [((1, 3, 32, 24), (1, 1, 32, 24)), ((1, 3, 32, 32), (1, 1, 16, 16))])
def test_layers_and_masks_of_other_shapes_are_refused(layers, masks):
    with pytest.raises(StyleSwapError, match="square layers and masks of one size"):
        Canvas([torch.zeros(3, 64, 64)]).paste([0], torch.zeros(layers), torch.ones(masks), similarity(0, 1, 0, 0))
