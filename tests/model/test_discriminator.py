"""The discriminator: shapes, the standard deviation channel, and second-order gradients for R1."""

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Discriminator, preset
from styleswap_core.model.discriminator import append_stddev


def test_logits_and_features():
    discriminator = Discriminator(preset("tiny"))
    image = torch.randn(4, 3, 32, 32)
    logits, features = discriminator(image)
    assert logits.shape == (4, 1)
    assert [tuple(f.shape[1:]) for f in features] == [(12, 16, 16), (16, 8, 8), (16, 4, 4)]
    assert torch.equal(logits, discriminator(image).logits)


def test_channel_scale():
    half, full = (Discriminator(preset("tiny"), channel_scale=scale) for scale in (0.5, 1.0))
    assert half.blocks["16"].conv1.weight.shape == (8, 6, 3, 3)
    assert full.blocks["16"].conv1.weight.shape == (16, 12, 3, 3)


def test_r1_penalty_reaches_every_weight():
    discriminator = Discriminator(preset("tiny"))
    image = torch.randn(2, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(image).logits.sum(), image, create_graph=True)
    gradient.square().sum().backward()
    # Biases affect the penalty only by shifting kinks, which has no derivative.
    idle = [n for n, p in discriminator.named_parameters() if "weight" in n and (p.grad is None or not p.grad.any())]
    assert idle == []


def test_stddev_channel_by_hand():
    x = torch.tensor([0.0, 2.0, 4.0, 8.0]).reshape(4, 1, 1, 1).expand(4, 2, 3, 3)
    # One group of four: mean 3.5, variance (12.25 + 2.25 + 0.25 + 20.25) / 4 = 8.75.
    out = append_stddev(x)
    assert out.shape == (4, 3, 3, 3)
    torch.testing.assert_close(out[:, 2], torch.full((4, 3, 3), 8.75**0.5))


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 6])
def test_any_batch_size(batch):
    assert Discriminator(preset("tiny"))(torch.randn(batch, 3, 32, 32)).logits.shape == (batch, 1)


def test_wrong_arguments():
    discriminator = Discriminator(preset("tiny"))
    with pytest.raises(StyleSwapError, match=r"image must have shape \(batch, 3, 32, 32\); got \(1, 3, 64, 64\)"):
        discriminator(torch.zeros(1, 3, 64, 64))
    with pytest.raises(StyleSwapError, match="channel_scale must be"):
        Discriminator(preset("tiny"), channel_scale=0)
