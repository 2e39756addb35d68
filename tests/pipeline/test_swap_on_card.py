"""On an accelerator, faces are cut, swapped and pasted there: the same pixels, and nothing else travels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretend_card import CARD, OnCard, PretendCard

from styleswap_core.compositing.axis_sampling import Axis
from styleswap_core.compositing.pixels import NodeFrame
from styleswap_core.compositing.plane_color import PlaneColor
from styleswap_core.compositing.video_picture import PlaneGrid, VideoPicture
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.io.images import from_uint8
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappedCrops

HEIGHT, WIDTH = 96, 132
# The second face overlaps the first one, the third one is cut at another size.
PLACES = ((10, 12, 40.0), (34, 20, 40.0), (90, 30, 64.0))
OPTIONS = SwapOptions(mask_grow=2, mask_feather=3.0, mask_edge=0.05)


class Negative:
    """Network that inverts a face within a disk, on the device of the crops or back on the CPU."""

    name, template, has_mask, phased, size, sha256 = "negative", "ffhq", True, False, 32, ""
    recognizer, device = RecognizerId("known"), torch.device("cpu")

    def __init__(self, returns_to_cpu=False):
        self.returns_to_cpu, self.seen = returns_to_cpu, []

    def check(self, identity):
        pass

    def notice(self, rendered=False):
        return None

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        self.seen.append(crops)
        away = torch.linspace(-1, 1, crops.shape[-1]).square()
        mask = (away[:, None] + away < 0.8).float().expand(len(crops), 1, -1, -1)
        rgb, mask = -crops, mask.to(crops.device)
        return SwappedCrops(rgb.cpu(), mask.cpu()) if self.returns_to_cpu else SwappedCrops(rgb, mask)


class NoAnalysis:
    recognizer = RecognizerId("known")


def faces():
    identity = Identity(torch.nn.functional.normalize(torch.ones(512), dim=0), RecognizerId("known"))
    for number, (x, y, side) in enumerate(PLACES):
        points = template_points("ffhq", 1).numpy() * side + [x, y]
        box = np.float32([x, y, x + side, y + side])
        yield DetectedFace(number, 0.9, box, points.astype(np.float32), None), identity


def smooth(top, kind):
    coarse = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)
    return (fine[0] * top).round().permute(1, 2, 0).numpy().astype(kind)


def picture(form):
    values = smooth(255, np.uint8)
    if form == "uint8":
        return values
    if form == "core":
        return from_uint8(values)[0]
    if form == "node":
        pixels = torch.from_numpy(values).float() / 255
        return NodeFrame(pixels, pixels.clone())
    bits = int(form.removeprefix("video "))
    codes = smooth(2**bits - 1, np.uint8 if bits == 8 else np.uint16)
    full = PlaneGrid(Axis(1.0, 0.0, WIDTH, WIDTH), Axis(1.0, 0.0, HEIGHT, HEIGHT))
    half = PlaneGrid(Axis(0.5, 0.0, WIDTH // 2, WIDTH), Axis(0.5, -0.25, HEIGHT // 2, HEIGHT))
    planes = codes[..., 0], codes[::2, ::2, 1], codes[::2, ::2, 2]
    return VideoPicture(planes, tuple(plane.copy() for plane in planes), PlaneColor(bits=bits), (full, half, half))


def swapped(form, place, network=None, options=OPTIONS, target=None):
    swapper = Swapper(network or Negative(), NoAnalysis(), options, crop_device=place)
    result = swapper.swap_detected(picture(form) if target is None else target, list(faces()))
    image = result.image.planes if form.startswith("video") else (result.image,)
    return [np.asarray(part, dtype=np.float64) for part in image], result.mask, result.crops


@pytest.mark.parametrize("form", ["uint8", "core", "node", "video 8", "video 10", "video 16"])
def test_the_card_makes_the_same_picture_and_only_finished_pixels_come_back(form):
    expected, expected_mask, expected_crops = swapped(form, "cpu")
    network = Negative()
    with PretendCard() as card:
        images, mask, crops = swapped(form, CARD, network)
    assert all(isinstance(seen, OnCard) and seen.device == CARD for seen in network.seen)
    for image, wanted in zip(images, expected, strict=True):
        assert np.array_equal(image, wanted)
    assert torch.equal(mask, expected_mask)
    assert all(torch.equal(crop, wanted) for crop, wanted in zip(crops, expected_crops, strict=True))
    # Pictures travel as they are stored; of floats, only the mask and the swapped crop of each face come back.
    stored = {"uint8": torch.uint8, "video 8": torch.uint8, "video 10": torch.int16, "video 16": torch.int16}
    floats_down = sum(count for kind, count in card.down if kind == torch.float32)
    pixels_down = sum(count for kind, count in card.down if kind == stored.get(form))
    crop_floats = sum(crop.numel() for crop in crops)
    boxes = 2 * 64 * 64 + 64 * 96 * 2
    assert any(not np.array_equal(image, before) for image, before in zip(images, originals(form), strict=True))
    if form in stored:
        assert pixels_down > 0 and crop_floats < floats_down <= crop_floats + boxes
        assert max(count for kind, count in card.up if kind == torch.float32) <= 96 * 96


def originals(form):
    target = picture(form)
    if form.startswith("video"):
        return [np.asarray(plane, dtype=np.float64) for plane in target.planes]
    return [np.asarray(target.pixels if form == "node" else target, dtype=np.float64)]


def test_a_picture_on_the_card_stays_there():
    expected, expected_mask, _ = swapped("core", "cpu")
    with PretendCard() as card:
        target = picture("core").to(CARD)
        card.up.clear()
        result = Swapper(Negative(), NoAnalysis(), OPTIONS, crop_device=CARD).swap_detected(target, list(faces()))
        assert isinstance(result.image, OnCard)
        assert not [count for kind, count in card.up if count >= target.numel()]
        assert not [count for kind, count in card.down if count >= target.numel()]
    assert np.array_equal(result.image.held.numpy(), expected[0])
    assert torch.equal(result.mask, expected_mask)


def test_a_network_that_returns_to_the_cpu_is_pasted_on_the_card():
    expected, _, _ = swapped("uint8", "cpu")
    with PretendCard():
        images, _, _ = swapped("uint8", CARD, Negative(returns_to_cpu=True))
    assert np.array_equal(images[0], expected[0])


def test_a_finer_resolution_runs_on_the_card():
    options = replace(OPTIONS, resolution=2)
    expected, _, _ = swapped("uint8", "cpu", options=options)
    with PretendCard():
        images, _, _ = swapped("uint8", CARD, options=options)
    assert np.array_equal(images[0], expected[0])


@pytest.mark.parametrize(("device", "place"), [("cuda", "cuda"), ("cuda:1", "cuda:1"), ("mps", "cpu"), ("cpu", "cpu")])
def test_crops_are_cut_where_the_network_runs_if_that_is_a_gpu(device, place):
    network = Negative()
    network.device = torch.device(device)
    assert Swapper(network, NoAnalysis()).crop_device == torch.device(place)


def test_large_faces_are_warped_a_few_at_a_time(monkeypatch):
    from styleswap_core.compositing import canvas

    expected, expected_mask, _ = swapped("uint8", "cpu")
    monkeypatch.setattr(canvas, "_PIXELS_AT_ONCE", 1)
    images, mask, _ = swapped("uint8", "cpu")
    assert np.array_equal(images[0], expected[0]) and torch.equal(mask, expected_mask)
