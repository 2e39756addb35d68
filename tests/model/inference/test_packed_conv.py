"""Folded convolutions, packed and unpacked, against PyTorch's operators."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.model.inference.baked_layers import SMALL_MAPS, SMALL_PIXELS, BakedInjection, PixelUpsampling
from styleswap_core.model.inference.packed_conv import FoldedConv, can_pack
from styleswap_core.model.layers import GAIN, SLOPE, StyledConv, upsample_fir

needs_packing = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this build of PyTorch has no packed convolutions"
)
PACKED = [False, pytest.param(True, marks=needs_packing)]


def numbers(*shape, seed=3):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


def packed(conv, x, wanted):
    if wanted:
        conv.pack(tuple(x.shape))
    assert bool(conv.packed_bytes()) == wanted
    return conv


@pytest.mark.parametrize("wanted", PACKED)
@pytest.mark.parametrize("activate", [False, True])
def test_two_accumulated_convolutions_equal_one_over_all_channels(wanted, activate):
    x, weight, bias = numbers(2, 6, 9, 9), numbers(4, 6, 3, 3, seed=4), numbers(4, seed=5)
    expected = F.conv2d(x, weight, bias, padding=1)
    expected = F.leaky_relu(expected, SLOPE) if activate else expected
    parts, weights = x.chunk(2, dim=1), weight.chunk(2, dim=1)
    parts = [part.contiguous(memory_format=torch.channels_last) for part in parts]
    first = packed(FoldedConv(weights[0], padding=1), parts[0], wanted)
    second = packed(FoldedConv(weights[1], bias, padding=1, activate=activate), parts[1], wanted)
    onto = first(parts[0])
    kept = parts[1].clone()
    found = second(parts[1], onto=onto)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found.data_ptr() == onto.data_ptr() and torch.equal(parts[1], kept)


@pytest.mark.parametrize("wanted", PACKED)
@pytest.mark.parametrize("edge", [4, 160])
def test_injection_applies_strength_bias_and_activation_at_every_size(wanted, edge):
    layer = StyledConv(8, 8, 16)
    with torch.no_grad():
        layer.attribute_weight.fill_(0.7)
        layer.bias.copy_(numbers(16))
    x = numbers(2, 8, edge, edge)
    assert (x.numel() <= SMALL_MAPS) == (edge == 4)
    kept = x.clone()
    found = packed(BakedInjection(layer), x, wanted)(x)
    expected = F.leaky_relu(x * 0.7 * GAIN + layer.bias.detach()[8:, None, None] * GAIN, SLOPE)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("wanted", PACKED)
@pytest.mark.parametrize("edge", [4, 32])
def test_pixel_upsampling_equals_upsample_fir_at_every_size(wanted, edge):
    x = numbers(1, 4, edge, edge)
    assert (x.numel() <= SMALL_PIXELS) == (edge == 4)
    found = packed(PixelUpsampling(4), x, wanted)(x)
    torch.testing.assert_close(found, upsample_fir(x), rtol=1e-4, atol=1e-5)
