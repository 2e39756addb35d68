"""Frames of video files as pictures: conversion of regions, and samples that keep their values."""

import numpy as np
import pytest
import torch

from styleswap_core.compositing.axis_sampling import Axis, enlarge, reduce
from styleswap_core.compositing.canvas import Canvas
from styleswap_core.compositing.light import LightView
from styleswap_core.compositing.pixels import pixels_of, result_pixels
from styleswap_core.compositing.plane_color import PlaneColor
from styleswap_core.compositing.video_picture import PlaneGrid, VideoPicture

HEIGHT, WIDTH = 47, 61
BOX = (7, 10, 40, 33)
# Chroma co-sited horizontally and centered vertically, as in H.264.
LEFT = ((0.5, 0.0), (0.5, -0.25))


def grids(subsampled=True, height=HEIGHT, width=WIDTH):
    luma = PlaneGrid(Axis(1.0, 0.0, width, width), Axis(1.0, 0.0, height, height))
    if not subsampled:
        return (luma,) * 3
    (x_scale, x_offset), (y_scale, y_offset) = LEFT
    chroma = PlaneGrid(Axis(x_scale, x_offset, -(-width // 2), width), Axis(y_scale, y_offset, -(-height // 2), height))
    return luma, chroma, chroma


def frame(color, subsampled=True, seed=0):
    random = np.random.default_rng(seed)
    kind = np.uint8 if color.bits == 8 else np.uint16
    grid = grids(subsampled)[: 1 if color.model == "gray" else 3]
    planes = tuple(random.integers(0, color.top + 1, (one.y.samples, one.x.samples)).astype(kind) for one in grid)
    for plane in planes:
        plane.setflags(write=False)
    return VideoPicture(planes, tuple(plane.copy() for plane in planes), color, grid)


COLORS = [
    PlaneColor(),
    PlaneColor(full_range=True, luma=(0.299, 0.114)),
    PlaneColor(bits=10, luma=(0.2627, 0.0593), light=LightView("sdr", "bt2020")),
    PlaneColor(bits=10, luma=(0.2627, 0.0593), light=LightView("pq", "bt2020")),
    PlaneColor(bits=10, luma=(0.2627, 0.0593), light=LightView("hlg", "bt2020")),
    PlaneColor("rgb", 8, True),
    PlaneColor("gray", 8, True),
]


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_sdr_colors_survive_the_way_through_the_planes(color):
    rgb = torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(0)) * 1.96 - 0.98
    if color.model == "gray":
        rgb = rgb[:1].expand(3, -1, -1)
    back = color.to_rgb(color.from_rgb(rgb))
    # An eighth of a level of 8 bits; powers of up to 79 in PQ cost precision.
    assert torch.allclose(back, rgb, atol=1e-3)


def test_known_code_values():
    """White, black and pure red of BT.709 and BT.601 at 8 and 10 bits."""
    white, black, red = torch.ones(3, 1, 1), -torch.ones(3, 1, 1), torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
    hd, sd = PlaneColor(), PlaneColor(luma=(0.299, 0.114))
    assert hd.from_rgb(white).flatten().tolist() == pytest.approx([235, 128, 128], abs=1e-3)
    assert hd.from_rgb(black).flatten().tolist() == pytest.approx([16, 128, 128], abs=1e-3)
    assert hd.from_rgb(red).flatten().round().tolist() == [63, 102, 240]
    assert sd.from_rgb(red).flatten().round().tolist() == [81, 90, 240]
    assert PlaneColor(bits=10).from_rgb(red).flatten().tolist() == pytest.approx([250.2, 409.3, 960], abs=0.1)


def test_known_values_of_hdr():
    """BT.2408: diffuse white, 203 cd/m2, is at 58 % in PQ and at 75 % in HLG."""
    for transfer, code in (("pq", 0.5807), ("hlg", 0.75)):
        shown = LightView(transfer).to_sdr(torch.full((3, 1, 1), code))
        # White itself lies in the shoulder; half of its light does not.
        assert 0.93 < float(shown[0]) < 0.97, transfer
    half = LightView("pq").from_sdr(torch.full((3, 1, 1), 0.735357))
    assert float(half[0]) == pytest.approx(0.5089, abs=1e-3)


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("subsampled", [True, False])
def test_samples_outside_of_the_weight_keep_their_values(color, subsampled):
    picture = frame(color, subsampled)
    x0, y0, x1, y1 = BOX
    weight = torch.zeros(1, y1 - y0, x1 - x0)
    weight[:, 8:15, 9:20] = torch.linspace(0.1, 1.0, 11)
    result_pixels(picture).blend(BOX, torch.rand(3, y1 - y0, x1 - x0), weight)
    for before, after, grid in zip(picture.planes, picture.result, picture.grids, strict=True):
        covered = np.zeros((HEIGHT, WIDTH), bool)
        covered[y0 + 8 : y0 + 15, x0 + 9 : x0 + 20] = True
        rows, columns = np.nonzero(before != after)
        assert len(rows)
        for row, column in zip(rows, columns, strict=True):
            near = [
                slice(
                    *np.clip(
                        [round((n - axis.offset) / axis.scale) - 2, round((n - axis.offset) / axis.scale) + 3],
                        0,
                        axis.pixels,
                    )
                )
                for n, axis in ((row, grid.y), (column, grid.x))
            ]
            if grid.x.is_identity:
                near = [slice(row, row + 1), slice(column, column + 1)]
            assert covered[tuple(near)].any()


def test_full_weight_writes_the_color():
    picture = frame(PlaneColor())
    color = torch.tensor([0.5, -0.2, 0.1]).view(3, 1, 1).expand(-1, HEIGHT, WIDTH)
    result_pixels(picture).blend((0, 0, WIDTH, HEIGHT), color, torch.ones(1, HEIGHT, WIDTH))
    expected = picture.color.from_rgb(color)[:, 0, 0].round().tolist()
    for plane, value in zip(picture.result, expected, strict=True):
        assert (plane == value).all()
    shown = pixels_of(picture.of_result()).uint8()
    assert np.abs(shown.astype(int) - [191, 102, 140]).max() <= 2


def test_reading_a_region_is_cutting_the_whole_picture():
    pixels = pixels_of(frame(PlaneColor()))
    x0, y0, x1, y1 = BOX
    assert torch.allclose(pixels.region(BOX), pixels.region((0, 0, WIDTH, HEIGHT))[:, y0:y1, x0:x1], atol=1e-6)


def test_a_linear_ramp_of_chroma_is_read_and_written_in_place():
    """Wrong positions of chroma samples would shift the ramp."""
    axis = Axis(0.5, -0.25, 30, 60)
    samples = torch.arange(30.0)[None]
    ramp = enlarge(samples, 1, axis, 0, 60)
    assert torch.allclose(ramp[0, 1:-1], 0.5 * torch.arange(1.0, 59.0) - 0.25)
    assert torch.allclose(reduce(ramp, 1, axis, 0, 60)[0, 1:-1], samples[0, 1:-1], atol=1e-6)


@pytest.mark.parametrize("axis", [Axis(0.5, 0.0, 31, 61), Axis(0.5, -0.25, 31, 61), Axis(0.75, -0.125, 46, 61)])
def test_a_flipped_axis_reads_the_flipped_plane(axis):
    samples = torch.rand(1, axis.samples)
    plain = enlarge(samples[:, slice(*axis.samples_read(0, 61))], 1, axis, 0, 61)
    other = axis.flipped()
    flipped = enlarge(samples.flip(1)[:, slice(*other.samples_read(0, 61))], 1, other, 0, 61)
    assert torch.allclose(plain, flipped.flip(1), atol=1e-6)


def test_pixels_that_are_not_square():
    """A plane that is narrower than the picture, as in DVDs: what is written is what is read."""
    axis, rows = Axis(0.75, -0.125, 45, 60), Axis(1.0, 0.0, 40, 40)
    plane = np.full((40, 45), 100, np.uint8)
    picture = VideoPicture((plane,), (plane.copy(),), PlaneColor("gray", 8, True), (PlaneGrid(axis, rows),))
    assert pixels_of(picture).size == (40, 60)
    color = torch.linspace(-1, 1, 60).expand(3, 40, 60)
    result_pixels(picture).blend((0, 0, 60, 40), color, torch.ones(1, 40, 60))
    read = pixels_of(picture.of_result()).region((0, 0, 60, 40))
    assert torch.allclose(read[:, :, 2:-2], color[:, :, 2:-2], atol=0.02)


def test_canvas_cuts_and_pastes():
    """The crop of a frame is that of the same picture in RGB, and pasting changes nothing far from the face."""
    random = np.random.default_rng(0)
    smooth = np.kron(random.integers(40, 216, (8, 8, 3)), np.ones((16, 16, 1)))
    rgb = torch.from_numpy(smooth).permute(2, 0, 1).float() / 127.5 - 1.0
    color = PlaneColor()
    codes = color.from_rgb(rgb).round().numpy().astype(np.uint8)
    grid = grids(False, 128, 128)
    picture = VideoPicture(tuple(codes), tuple(plane.copy() for plane in codes), color, grid)
    matrices = torch.tensor([[[0.5, 0.1, -3.0], [-0.1, 0.5, 4.0]]])
    canvas = Canvas([picture, rgb])
    crops = canvas.read_crops([0, 1], matrices.expand(2, -1, -1), 32)
    assert (crops[0] - crops[1]).abs().max() < 0.02
    canvas.paste([0], torch.ones(1, 3, 32, 32), torch.ones(1, 1, 32, 32), matrices)
    result, mask = canvas.result(0)
    assert result.planes is picture.result
    unchanged = mask.numpy() == 0
    for before, after in zip(picture.planes, picture.result, strict=True):
        assert (before == after)[unchanged].all()
        assert (before != after)[~unchanged].any()
    assert picture.result[0][mask.numpy() == 1].min() == 235
