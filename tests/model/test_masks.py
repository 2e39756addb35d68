"""Masking of attributes: in place and out of place, and with masks of half the resolution."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.model.inference.baked_masks import apply_mask_sigmoid_, replace_mask_, upsample_mask_logits
from styleswap_core.model.masks import MEAN_PRODUCTS, mask_attributes, mask_attributes_, mask_for_next_attributes


def maps_and_mask(batch, size, repeat, dtype):
    random = torch.Generator().manual_seed(2)
    maps = torch.randn(batch, 6, size, size, generator=random).to(dtype).contiguous(memory_format=torch.channels_last)
    return maps, torch.rand(batch, 1, size // repeat, size // repeat, generator=random)


def textbook(maps, mask, masking):
    """The equation with broadcasting, in float32."""
    maps = maps.float()
    if masking == "block":
        return (1 - mask) * maps
    mean = (maps * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp_min(1e-6)
    return (1 - mask) * maps + mask * mean


@pytest.mark.parametrize("masking", ["block", "mean"])
@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("size", [8, 4 * MEAN_PRODUCTS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masking_in_place_and_out_of_place_equals_the_equation(masking, repeat, size, dtype):
    maps, mask = maps_and_mask(3, size, repeat, dtype)
    expected = textbook(maps, F.interpolate(mask, scale_factor=repeat, mode="nearest"), masking).to(dtype)
    kept = maps.clone(memory_format=torch.preserve_format)
    out_of_place = mask_attributes(maps, mask, masking)
    assert torch.equal(maps, kept)
    in_place = mask_attributes_(maps, mask, masking)
    assert in_place.data_ptr() == maps.data_ptr() and in_place.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(in_place, out_of_place)
    # bfloat16 has eight significant bits, to which masks are rounded.
    error = 1e-5 if dtype == torch.float32 else 0.04
    torch.testing.assert_close(in_place, expected, rtol=error, atol=error)


@pytest.mark.parametrize("repeat", [1, 2])
def test_an_empty_mask_changes_nothing(repeat):
    maps, mask = maps_and_mask(1, 8, repeat, torch.float32)
    kept = maps.clone()
    assert torch.equal(mask_attributes_(maps, torch.zeros_like(mask), "mean"), kept)


@pytest.mark.parametrize("masking", ["block", "mean"])
def test_masking_does_not_depend_on_the_memory_format(masking):
    maps, mask = maps_and_mask(2, 8, 1, torch.float32)
    contiguous = mask_attributes_(maps.contiguous(), mask, masking)
    torch.testing.assert_close(contiguous, mask_attributes(maps, mask, masking))


def test_operations_on_the_mask_channel():
    pixels = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    colors, logits = pixels[:, :3].clone(), pixels[:, 3:].clone()
    torch.testing.assert_close(torch.sigmoid(upsample_mask_logits(pixels)), mask_for_next_attributes(logits, "logits"))
    assert apply_mask_sigmoid_(pixels) is pixels
    torch.testing.assert_close(pixels[:, 3:], torch.sigmoid(logits))
    assert replace_mask_(pixels, logits) is pixels
    assert torch.equal(pixels[:, 3:], logits) and torch.equal(pixels[:, :3], colors)
