"""Regions of pictures in every form are read and written alike, and the rest keeps its exact values."""

import numpy as np
import pytest
import torch

from styleswap_core.compositing.pixels import NodeFrame, pixels_of, result_pixels
from styleswap_core.errors import StyleSwapError
from styleswap_core.io.images import bhwc_to_bchw, from_uint8, to_uint8

BOX = (3, 2, 11, 9)


@pytest.fixture(params=["uint8", "core", "node", "node with alpha"])
def picture(request):
    values = np.random.default_rng(0).integers(0, 256, (14, 20, 3), dtype=np.uint8)
    if request.param == "uint8":
        return values
    if request.param == "core":
        return from_uint8(values)[0]
    pixels = torch.from_numpy(values).float() / 255
    wide = torch.cat([pixels, torch.ones(14, 20, 1)], dim=2) if request.param.endswith("alpha") else pixels.clone()
    return NodeFrame(pixels, wide[..., :3])


def raw(pixels):
    return torch.as_tensor(pixels.values).clone()


def core_form(picture):
    if isinstance(picture, np.ndarray):
        return from_uint8(picture)
    return bhwc_to_bchw(picture.pixels[None]) if isinstance(picture, NodeFrame) else picture[None]


def test_regions_agree_with_the_converted_picture(picture):
    pixels, whole = pixels_of(picture), core_form(picture)
    x0, y0, x1, y1 = BOX
    assert pixels.size == (14, 20)
    read = pixels.floats([pixels.region(BOX), pixels.region(BOX)])
    assert read.is_contiguous() and torch.allclose(read, whole[..., y0:y1, x0:x1].expand(2, 3, 7, 8), atol=1e-6)
    assert np.array_equal(pixels.uint8(), to_uint8(whole)[0])


def test_blending_changes_the_result_only_where_the_weight_is_positive(picture):
    target, result, whole = pixels_of(picture), result_pixels(picture), core_form(picture)
    before = raw(target)
    assert torch.equal(raw(result), before)
    weight = torch.zeros(1, 7, 8)
    weight[:, 2:5, 1:6] = 0.25
    weight[:, 3, 3] = 1.0
    color = torch.rand(3, 7, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    result.blend(BOX, color, weight)
    assert torch.equal(raw(target), before)
    full = torch.zeros(1, 14, 20)
    full[:, 2:9, 3:11] = weight
    shown = torch.zeros(3, 14, 20)
    shown[:, 2:9, 3:11] = color
    expected = torch.lerp(whole[0], shown, full)
    got = core_form(NodeFrame(result.values, result.values) if isinstance(picture, NodeFrame) else result.values)[0]
    assert (got - expected).abs().max() <= (0.5 / 127.5 if isinstance(picture, np.ndarray) else 1e-6) + 1e-6
    still = (full[0] == 0).numpy()
    rows = raw(result) if raw(result).shape[0] == 14 else raw(result).permute(1, 2, 0)
    known = before if before.shape[0] == 14 else before.permute(1, 2, 0)
    assert np.array_equal(rows.numpy()[still], known.numpy()[still])


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), torch.zeros(4, 4, 3), torch.zeros(3, 4, 4).int()]
)
def test_arrays_that_are_not_pictures_are_refused(wrong):
    with pytest.raises(StyleSwapError, match="expected a target"):
        pixels_of(wrong)
