"""Winograd's algorithm against PyTorch's convolution in float64."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.model.inference.packed_conv import FoldedConv, can_pack
from styleswap_core.model.inference.winograd_conv import WinogradConv, suits_winograd
from styleswap_core.model.layers import SLOPE

# Of the largest value. A direct convolution in float32 is at about 2e-6.
TOLERANCE = 5e-5


def layer(out_channels, in_channels, seed=0):
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(out_channels, in_channels, 3, 3, generator=random) / (9 * in_channels) ** 0.5
    return weight, torch.randn(out_channels, generator=random)


def direct(x, weight, bias, onto=None, activate=True):
    y = F.conv2d(x.double(), weight.double(), None if bias is None else bias.double(), padding=1)
    y = y if onto is None else y + onto.double()
    return F.leaky_relu(y, SLOPE) if activate else y


def assert_close(result, expected):
    assert result.shape == expected.shape and result.dtype == torch.float32
    assert float((result - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


# One tile, several pictures in a block, several blocks in a picture, sides that are no multiple of a tile.
@pytest.mark.parametrize("size", [(1, 4, 4), (3, 16, 16), (9, 8, 8), (2, 64, 48), (1, 17, 30), (1, 1, 3), (1, 8, 600)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_every_size(size, layout):
    batch, height, width = size
    weight, bias = layer(5, 7)
    x = torch.randn(batch, 7, height, width).contiguous(memory_format=layout)
    before = x.clone()
    assert_close(WinogradConv(weight, bias, True)(x), direct(x, weight, bias))
    assert torch.equal(x, before)


@pytest.mark.parametrize("activate", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_bias_activation_and_addition(activate, biased):
    weight, bias = layer(6, 4)
    bias = bias if biased else None
    x, onto = torch.randn(2, 4, 20, 12), torch.randn(2, 6, 20, 12)
    expected = direct(x, weight, bias, onto, activate)
    conv = WinogradConv(weight, bias, activate)
    assert_close(conv(x), direct(x, weight, bias, None, activate))
    result = conv(x, onto)
    assert result.data_ptr() == onto.data_ptr()
    assert_close(result, expected)


def test_pictures_of_a_batch_do_not_influence_each_other():
    weight, bias = layer(8, 8)
    conv, x = WinogradConv(weight, bias, True), torch.randn(11, 8, 16, 16)
    alone = torch.cat([conv(one[None]) for one in x])
    torch.testing.assert_close(conv(x), alone, rtol=0, atol=1e-5)
    x[3] = float("nan")
    finite = conv(x).isfinite().flatten(1).all(dim=1)
    assert finite.tolist() == [number != 3 for number in range(11)]


@pytest.mark.parametrize(
    ("shape", "side", "more", "suits"),
    [
        ((128, 128, 3, 3), 16, {}, True),
        ((128, 256, 3, 3), 64, {}, True),
        ((128, 128, 3, 3), 8, {}, False),
        ((32, 128, 3, 3), 64, {}, False),
        ((128, 32, 3, 3), 64, {}, False),
        ((128, 128, 1, 1), 64, {"padding": 0}, False),
        ((128, 128, 3, 3), 64, {"stride": 2}, False),
        ((128, 128, 3, 3), 64, {"padding": 0}, False),
    ],
)
def test_layers_that_it_is_used_for(shape, side, more, suits):
    stride_and_padding = {"stride": 1, "padding": 1, **more}
    assert suits_winograd(torch.empty(shape), (1, shape[1], side, side), **stride_and_padding) == suits


def test_grouped_and_half_precision_convolutions_stay_direct():
    assert not suits_winograd(torch.empty(256, 128, 3, 3), (1, 256, 32, 32), 1, 1)
    assert not suits_winograd(torch.empty(128, 128, 3, 3, dtype=torch.bfloat16), (1, 128, 32, 32), 1, 1)


@pytest.mark.skipif(not can_pack(torch.float32), reason="this build of PyTorch has no packed convolutions")
@pytest.mark.parametrize("constant", ["bias", "map"])
def test_packing_uses_it(constant):
    weight, bias = layer(128, 128)
    x = torch.randn(2, 128, 16, 16)
    constant = bias if constant == "bias" else torch.randn(1, 128, 16, 16)
    conv = FoldedConv(weight, constant, padding=1, activate=True)
    expected = conv(x)
    conv.pack(tuple(x.shape))
    assert conv.packed_bytes() == 36 * 128 * 128 * 4
    assert conv.weight.device.type == "meta"
    for result in (conv(x), conv.run(x)):
        assert_close(result, expected)


@pytest.mark.skipif(not can_pack(torch.float32), reason="this build of PyTorch has no packed convolutions")
def test_packing_uses_it_for_additions():
    weight, bias = layer(128, 128)
    x, onto = torch.randn(1, 128, 16, 16), torch.randn(1, 128, 16, 16)
    expected = direct(x, weight, bias, onto)
    conv = FoldedConv(weight, bias, padding=1, activate=True)
    conv.pack(tuple(x.shape))
    assert_close(conv(x, onto=onto), expected)
