"""Masks in place, against those of the unbaked generator."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.model.generator import mask_attributes, upsampled_mask
from styleswap_core.model.inference.baked_masks import PRODUCTS, hold_back_, raised_logit, replace_mask_, soften_mask_


def maps_and_mask(batch, edge, repeat, dtype):
    random = torch.Generator().manual_seed(2)
    maps = torch.randn(batch, 6, edge, edge, generator=random).to(dtype).contiguous(memory_format=torch.channels_last)
    return maps, torch.rand(batch, 1, edge // repeat, edge // repeat, generator=random)


@pytest.mark.parametrize("masking", ["block", "mean"])
@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("edge", [8, 4 * PRODUCTS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attributes_are_held_back_as_unbaked_and_in_place(masking, repeat, edge, dtype):
    maps, mask = maps_and_mask(3, edge, repeat, dtype)
    expected = mask_attributes(maps.clone(), F.interpolate(mask, scale_factor=repeat, mode="nearest"), masking)
    found = hold_back_(maps, mask, masking, repeat)
    assert found.data_ptr() == maps.data_ptr() and found.is_contiguous(memory_format=torch.channels_last)
    # Bfloat16 has eight bits, and masks are rounded to it.
    error = 1e-5 if dtype == torch.float32 else 0.04
    torch.testing.assert_close(found, expected, rtol=error, atol=error)


@pytest.mark.parametrize("repeat", [1, 2])
def test_an_empty_mask_holds_nothing_back(repeat):
    maps, mask = maps_and_mask(1, 8, repeat, torch.float32)
    kept = maps.clone()
    assert torch.equal(hold_back_(maps, torch.zeros_like(mask), "mean", repeat), kept)


def test_other_layouts_give_the_same():
    maps, mask = maps_and_mask(2, 8, 1, torch.float32)
    expected = hold_back_(maps.clone(memory_format=torch.preserve_format), mask, "mean", 1)
    torch.testing.assert_close(hold_back_(maps.contiguous(), mask, "mean", 1), expected)


def test_a_picture_carries_its_mask():
    picture = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    colors, logit = picture[:, :3].clone(), picture[:, 3:].clone()
    torch.testing.assert_close(torch.sigmoid(raised_logit(picture)), upsampled_mask([logit], "logits"))
    soft = soften_mask_(picture)
    assert soft is picture
    torch.testing.assert_close(picture[:, 3:], torch.sigmoid(logit))
    assert replace_mask_(picture, logit) is picture
    assert torch.equal(picture[:, 3:], logit) and torch.equal(picture[:, :3], colors)
