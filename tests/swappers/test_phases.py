"""Tests of swapping in phases."""

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.swappers.network import SwappedCrops
from styleswap_core.swappers.phases import (
    check_resolution,
    join_phases,
    join_swapped,
    resolution_factor,
    split_phases,
    swap_at,
)


class Brighter:
    """Network that adds a constant and records what it is given."""

    def __init__(self):
        self.calls = []

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        self.calls.append((crops, list(identities), own_embeddings))
        first = torch.tensor([float(identity.id_embedding[0]) for identity in identities]).view(-1, 1, 1, 1)
        return SwappedCrops(crops + first, torch.full_like(crops[:, :1], 0.25))


def person(value):
    return Identity(torch.tensor([value, (1 - value**2) ** 0.5, *[0.0] * 510]), RecognizerId("r"))


def test_phases_take_every_kth_pixel():
    crop = torch.arange(36.0).view(1, 1, 6, 6)
    phases = split_phases(crop, 3)
    assert phases.shape == (9, 1, 2, 2)
    assert torch.equal(phases[5, 0], crop[0, 0, 1::3, 2::3])


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_phases_join_to_the_crop(factor):
    crops = torch.rand(2, 3, 4 * factor, 4 * factor)
    assert torch.equal(join_phases(split_phases(crops, factor), factor), crops)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_a_network_that_changes_nothing_returns_the_crops(factor):
    crops = torch.rand(2, 3, 8 * factor, 8 * factor)
    assert torch.equal(join_swapped(split_phases(crops, factor), crops, factor), crops)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_a_face_drawn_at_the_same_pixels_of_every_phase_has_no_steps(factor):
    drawn = torch.linspace(-1.0, 1.0, 16).expand(1, 3, 16, 16)
    smooth = torch.nn.functional.interpolate(drawn, scale_factor=float(factor), mode="bicubic")
    phases, flat = drawn.expand(factor**2, 3, 16, 16), torch.zeros_like(smooth)
    inside = (..., slice(2 * factor, -2 * factor), slice(2 * factor, -2 * factor))
    steps = (join_phases(phases, factor) - smooth)[inside].abs().max()
    assert steps > 0.03
    assert (join_swapped(phases, flat, factor) - smooth)[inside].abs().max() < steps / 30


def test_phases_that_differ_in_tone_leave_no_lines():
    offsets = torch.linspace(-0.1, 0.1, 16).view(16, 1, 1, 1).expand(16, 3, 8, 8)
    assert join_swapped(offsets, torch.zeros(1, 3, 32, 32), 4).abs().max() < 1e-6


def test_fine_detail_of_the_change_is_kept():
    """A wave shorter than two of the network's pixels, which a single run of the network cannot draw."""
    crops = torch.zeros(1, 3, 64, 64)
    wave = torch.sin(torch.arange(64.0) * 2 * torch.pi / 6).expand(1, 3, 64, 64) * 0.5
    joined = join_swapped(split_phases(wave, 4), crops, 4)
    inside = (..., slice(8, -8), slice(8, -8))
    assert (joined - wave)[inside].square().mean().sqrt() < 0.2 * wave.square().mean().sqrt()


def test_phases_of_each_crop_get_its_identity_and_embedding():
    network, crops = Brighter(), torch.rand(2, 3, 8, 8)
    people, own = [person(0.1), person(0.5)], torch.tensor([[1.0], [2.0]])
    swapped = swap_at(network, crops, people, own, 0.5, factor=2, batch_size=3)
    expected = crops + torch.tensor([0.1, 0.5]).view(2, 1, 1, 1)
    assert torch.allclose(swapped.rgb, expected, atol=1e-6)
    assert swapped.mask.shape == (2, 1, 8, 8)
    assert torch.allclose(swapped.mask, torch.tensor(0.25))
    assert [len(crops) for crops, *_ in network.calls] == [3, 3, 2]
    assert torch.cat([own for *_, own in network.calls]).flatten().tolist() == [1.0] * 4 + [2.0] * 4


@pytest.mark.parametrize(
    ("resolution", "scale", "phased", "factor"),
    [
        (0, 0.5, True, 1),  # a face smaller than the network is not enlarged further
        (0, 1.3, True, 1),  # at least three quarters as fine as the picture
        (0, 1.4, True, 2),
        (0, 5.3, True, 4),
        (0, 5.4, True, 5),
        (0, 40.0, True, 8),
        (0, 4.0, False, 1),
        (3, 0.5, False, 3),
    ],
)
def test_automatic_resolution_follows_the_size_of_the_face(resolution, scale, phased, factor):
    assert resolution_factor(resolution, scale, phased) == factor


@pytest.mark.parametrize("resolution", [-1, 9])
def test_resolution_out_of_range(resolution):
    with pytest.raises(StyleSwapError, match="from 1 to 8"):
        check_resolution(resolution)
