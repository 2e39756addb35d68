"""Each layer against its textbook form: zero insertion, explicit filters, one weight per sample."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from styleswap_core.model.layers import (
    EqualConv2d,
    EqualLinear,
    ModulatedConv2d,
    PixelNorm,
    StyledConv,
    ToMask,
    ToRGB,
    blur_kernel,
    project,
    upsample_bilinear,
    upsample_fir,
)


def naive_upfirdn(x, kernel, up, down, pad0, pad1):
    """Zero insertion, padding, filtering (true convolution) and decimation: the definition, in float64."""
    batch, channels, height, width = x.shape
    wide = x.new_zeros(batch, channels, height * up, width * up)
    wide[:, :, ::up, ::up] = x
    wide = F.pad(wide, (pad0, pad1, pad0, pad1))
    flipped = kernel.to(x).flip(0, 1)[None, None].repeat(channels, 1, 1, 1)
    return F.conv2d(wide, flipped, groups=channels)[:, :, ::down, ::down]


def naive_modulated_conv(x, weight, style, upsample):
    """Grouped convolution with one demodulated weight per sample, as in StyleGAN2."""
    batch, channels, height, width = x.shape
    out = weight.shape[0]
    own = weight[None] * style[:, None, :, None, None] / math.sqrt(channels * 9)  # (B, out, in, 3, 3)
    own = own * torch.rsqrt(own.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, batch * channels, height, width)
    if not upsample:
        own = own.reshape(batch * out, channels, 3, 3)
        return F.conv2d(x, own, padding=1, groups=batch).reshape(batch, out, height, width)
    own = own.transpose(1, 2).reshape(batch * channels, out, 3, 3)
    x = F.conv_transpose2d(x, own, stride=2, groups=batch).reshape(batch, out, 2 * height + 1, 2 * width + 1)
    return naive_upfirdn(x, blur_kernel() * 4, 1, 1, 1, 1)


shapes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(2, 7), st.integers(2, 7))


@settings(max_examples=20, deadline=None)
@given(shapes, st.integers(1, 4), st.booleans(), st.integers(0, 10**6))
def test_modulated_convolution_equals_one_with_a_weight_per_sample(shape, out, upsample, seed):
    torch.manual_seed(seed)
    conv = ModulatedConv2d(shape[1], out, 6, upsample).double()
    conv.kernel = blur_kernel().double()
    x, w = torch.randn(shape, dtype=torch.float64), torch.randn(shape[0], 6, dtype=torch.float64)
    features, factor = conv(x, w)
    expected = naive_modulated_conv(x, conv.weight, conv.modulation(w), upsample)
    # Demodulation is always float32.
    torch.testing.assert_close(features * factor[:, :, None, None], expected, rtol=1e-5, atol=1e-5)


def test_modulated_convolution_under_autocast_demodulates_in_float32():
    torch.manual_seed(0)
    conv = ModulatedConv2d(64, 8, 16)
    x, w = torch.randn(2, 64, 8, 8), torch.randn(2, 16)
    style = conv.modulation(w)
    with torch.autocast("cpu", torch.bfloat16):
        features, factor = conv(x, w)
        assert features.dtype == torch.bfloat16
        assert factor.dtype == torch.float32
        torch.testing.assert_close(conv.demodulation(style), conv.demodulation(style.double()).float())
    expected = naive_modulated_conv(x, conv.weight, style, False)
    assert (features * factor[:, :, None, None] - expected).abs().max() < 0.05


@settings(max_examples=20, deadline=None)
@given(shapes, st.integers(0, 10**6))
def test_fir_upsampling_equals_zero_insertion_and_filtering(shape, seed):
    torch.manual_seed(seed)
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(upsample_fir(x), naive_upfirdn(x, blur_kernel() * 4, 2, 1, 2, 1))


def test_fir_and_bilinear_upsampling_differ_at_the_border_only():
    x = torch.randn(1, 2, 6, 6)
    fir, bilinear = upsample_fir(x), upsample_bilinear(x)
    torch.testing.assert_close(fir[:, :, 1:-1, 1:-1], bilinear[:, :, 1:-1, 1:-1])
    # The outermost pixel is 3/4 of the nearest pixel and 1/4 of zero, at a corner in both directions.
    torch.testing.assert_close(fir[:, :, 0, 0], x[:, :, 0, 0] * 9 / 16)
    torch.testing.assert_close(bilinear[:, :, 0, 0], x[:, :, 0, 0])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 3]), st.integers(0, 10**6))
def test_downsampling_convolution_equals_blur_then_stride(batch, channels, out, size, seed):
    torch.manual_seed(seed)
    conv = EqualConv2d(channels, out, size, downsample=True).double()
    conv.kernel = blur_kernel().double()
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(batch, channels, 8, 8, dtype=torch.float64)
    pad = 2 if size == 3 else 1
    blurred = naive_upfirdn(x, blur_kernel(), 1, 1, pad, pad)
    weight = conv.weight / math.sqrt(channels * size**2)
    expected = F.leaky_relu(F.conv2d(blurred, weight, conv.bias, stride=2), 0.2) * math.sqrt(2)
    assert expected.shape[-1] == 4
    torch.testing.assert_close(conv(x), expected)


def test_equal_linear_scales_weight_and_bias():
    layer = EqualLinear(16, 4, bias_init=2.0, lr_mul=0.01, activate=True)
    x = torch.randn(3, 16)
    expected = F.leaky_relu(F.linear(x, layer.weight * 0.01 / 4, torch.full((4,), 0.02)), 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x), expected)
    assert 50 < layer.weight.std() < 200  # 1 / lr_mul


def test_pixel_norm_gives_mean_square_one():
    torch.testing.assert_close(PixelNorm()(torch.randn(3, 16) * 7).square().mean(dim=1), torch.ones(3))


def test_styled_conv_concatenates_weighted_attributes_before_bias_and_activation():
    torch.manual_seed(1)
    layer = StyledConv(3, 5, 6)
    torch.nn.init.normal_(layer.bias)
    torch.nn.init.constant_(layer.attribute_weight, -0.7)
    x, w, attributes = torch.randn(2, 3, 4, 4), torch.randn(2, 6), torch.randn(2, 5, 4, 4)
    own = naive_modulated_conv(x, layer.conv.weight, layer.conv.modulation(w), False)
    joined = torch.cat([own, -0.7 * attributes], dim=1) + layer.bias[None, :, None, None]
    expected = F.leaky_relu(joined, 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, attributes), expected, rtol=1e-4, atol=1e-5)


def test_styled_conv_without_injection_ignores_attributes():
    layer = StyledConv(3, 5, 6, injects=False)
    x, w = torch.randn(2, 3, 4, 4), torch.randn(2, 6)
    out = layer(x, w, torch.randn(2, 5, 4, 4))
    assert out.shape == (2, 5, 4, 4)
    assert torch.equal(out, layer(x, w, torch.randn(2, 5, 4, 4)))
    assert layer.bias.shape == (5,)
    assert not hasattr(layer, "attribute_weight")


@pytest.mark.parametrize("kind", [ToRGB, ToMask])
def test_pixel_layers_are_modulated_1x1_convolutions_without_demodulation(kind):
    layer = kind(6, 4)
    bias = torch.nn.init.normal_(layer.bias) if kind is ToRGB else None
    x, w = torch.randn(3, 6, 5, 4), torch.randn(3, 4)
    out = layer(x, w)
    style = layer.modulation(w)
    for sample in range(3):
        weight = layer.weight * style[sample] / math.sqrt(6)
        expected = F.conv2d(x[sample : sample + 1], weight[:, :, None, None], bias)
        torch.testing.assert_close(out[sample : sample + 1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_projection_does_not_depend_on_memory_layout(memory_format):
    x, weight = torch.randn(2, 5, 3, 4), torch.randn(2, 3, 5)
    expected = torch.einsum("bihw,boi->bohw", x, weight)
    torch.testing.assert_close(project(x.contiguous(memory_format=memory_format), weight), expected)
