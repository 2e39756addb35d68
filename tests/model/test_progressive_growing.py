"""Progressive growing: the large generator starts with the output of the small one."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import PRESETS, Generator, grow, preset, unmatched
from styleswap_core.model.layers import blur, blur_kernel, upsample_bilinear, upsample_fir

SMALL = preset("tiny", size=16, channels={4: 16, 8: 16, 16: 12}, encoder_blocks=1)


def trained(config):
    """A generator with all parameters moved away from their initial values."""
    torch.manual_seed(8)
    generator = Generator(config)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return generator


@pytest.mark.parametrize("table", [{32: 8}, {32: 10, 64: 7}], ids=["once", "twice"])
def test_grown_generator_starts_as_the_upsampled_small_one(table):
    small = trained(SMALL)
    size = max(table)
    large = grow(small, SMALL.replace(size=size, channels={**SMALL.channels, **table}))
    crop, identity = torch.rand(2, 3, size, size) * 2 - 1, F.normalize(torch.randn(2, 512))
    halved = crop
    while halved.shape[-1] > 16:
        halved = blur(halved, blur_kernel(), padding=1, stride=2)
    before, after = small(halved, identity), large(crop, identity)
    rgb, logits = before.rgb, before.mask_logits[-1]
    while rgb.shape[-1] < size:
        rgb, logits = upsample_fir(rgb), upsample_bilinear(logits)
    torch.testing.assert_close(after.rgb, rgb, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.mask_logits[-1], logits, rtol=1e-3, atol=1e-4)


def test_matching_tensors_are_copied_and_others_are_listed():
    small = trained(SMALL)
    large = grow(small, SMALL.replace(size=32, channels={**SMALL.channels, 32: 8}))
    fresh, dropped = unmatched(small, large)
    assert dropped == ["encoder.from_rgb.16.bias", "encoder.from_rgb.16.weight"]
    known = ("encoder.from_rgb.32.", "encoder.down.16.", "encoder.blocks.32.", "synthesis.blocks.32.")
    assert fresh and all(name.startswith(known) for name in fresh)
    for name, tensor in small.state_dict().items():
        if name not in dropped:
            assert torch.equal(large.state_dict()[name], tensor)


def test_new_layers_get_gradients():
    small = trained(SMALL)
    large = grow(small, SMALL.replace(size=32, channels={**SMALL.channels, 32: 8}))
    optimizer = torch.optim.Adam(large.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        output = large(torch.rand(2, 3, 32, 32), F.normalize(torch.randn(2, 512)))
        (output.image.square().mean() + output.mask.mean()).backward()
        optimizer.step()
    fresh, _ = unmatched(small, large)
    learning = {name for name, value in large.named_parameters() if value.grad is not None and value.grad.any()}
    # The convolutions of a residual block have no gradient before its scalar, initially 0, has moved.
    assert set(fresh) <= learning


def test_demo_64_grows_into_demo_128():
    small, large = (set(_shapes(name)) for name in ("demo-64", "demo-128"))
    assert {name for name, _ in small - large} == {"encoder.from_rgb.64.weight", "encoder.from_rgb.64.bias"}


def _shapes(name):
    with torch.device("meta"):
        return [(key, tuple(value.shape)) for key, value in Generator(PRESETS[name]).state_dict().items()]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 16, "channels": dict(SMALL.channels)}, "must be larger than 16 px; got size 16"),
        ({"channels": {4: 16, 8: 16, 16: 12, 32: 5}}, "growing needs 6 channels or more at 32 px; got 5"),
        ({"channels": {4: 16, 8: 16, 16: 8, 32: 8}}, "must have the same shape in both sizes"),
        ({"channels": {4: 16, 8: 16, 16: 12, 32: 8}, "w_dim": 16}, "must have the same shape in both sizes"),
    ],
)
def test_incompatible_configurations_are_refused(changes, words):
    config = SMALL.replace(**{"size": 32, **changes})
    with pytest.raises(StyleSwapError) as caught:
        grow(Generator(SMALL), config)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
