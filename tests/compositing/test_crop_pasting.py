"""Crops of faces pasted back: nothing changes where nothing was changed, and nothing is confused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from styleswap_core.compositing.composite import BlendOptions
from styleswap_core.compositing.crop_pasting import paste_faces
from styleswap_core.compositing.face_crops import cut_crops
from styleswap_core.compositing.placed_faces import PlacedFaces, frame_mark, place_points
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.io.images import bchw_to_bhwc

SIZE = (120, 160)
LEVEL = 1 / 255


def frame(seed, size=SIZE):
    """Picture (H, W, 3) of smooth patches and fine noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, size[0] // 15 + 2, size[1] // 15 + 2, generator=generator)
    smooth = F.interpolate(coarse, size, mode="bicubic")[0].permute(1, 2, 0)
    return (smooth + 0.1 * torch.rand(*size, 3, generator=generator)).clamp(0.0, 1.0)


def points_at(x, y, side, angle=0.0):
    """Five points of a face whose crop is centered at (x, y)."""
    points = (template_points("ffhq", 1).numpy() - 0.5) * side
    turn = np.float32([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points @ turn + [x, y]).astype(np.float32)


def placed_in(frames, where, size=64):
    """Places of faces, given as (frame, x, y, side, angle)."""
    faces = [place_points(number, points_at(*place), "ffhq", size) for number, *place in where]
    marked = {face.frame for face in faces}
    marks = [frame_mark(one) if number in marked else None for number, one in enumerate(frames)]
    return PlacedFaces(tuple(faces), tuple(frames.shape[1:3]), tuple(marks))


def cut(frames, placed):
    """Crops (N, S, S, 3) of all faces."""
    return torch.cat([bchw_to_bhwc(cut_crops(frames[face.frame], [face])) for face in placed.faces])


WHERE = [(0, 50, 60, 60, 0.3), (0, 120, 55, 50, -0.2), (2, 80, 60, 90, 2.0)]


@pytest.fixture
def frames():
    return torch.stack([frame(seed) for seed in range(3)])


def scaled(crops, method, factor=4):
    side = round(crops.shape[1] * factor)
    if isinstance(method, str):
        return F.interpolate(crops.movedim(-1, 1), (side, side), mode=method).movedim(1, -1).clamp(0, 1)
    sheets = [Image.fromarray((crop.numpy() * 255).astype(np.uint8)) for crop in crops]
    return torch.stack([torch.from_numpy(np.array(one.resize((side, side), method))) for one in sheets]) / 255


@pytest.mark.parametrize("size", [24, 64, 200])
@pytest.mark.parametrize(
    "method", [None, "nearest-exact", "bilinear", "bicubic", Image.Resampling.LANCZOS, Image.Resampling.BICUBIC]
)
def test_unchanged_crops_give_back_the_frames(frames, size, method):
    placed = placed_in(frames, WHERE, size)
    crops = cut(frames, placed)
    crops = crops if method is None else scaled(crops, method)
    images, shares = paste_faces(frames, crops, placed)
    assert (images - frames).abs().max() <= LEVEL
    assert shares.max() == 0


@pytest.mark.parametrize(
    ("method", "factor"),
    [("area", 0.5), ("bilinear", 0.5), ("bilinear", 1.5), (Image.Resampling.LANCZOS, 0.5), ("bicubic", 2.2)],
)
def test_other_factors_are_recognized_too(frames, method, factor):
    placed = placed_in(frames, WHERE)
    images, _ = paste_faces(frames, scaled(cut(frames, placed), method, factor), placed)
    assert (images - frames).abs().max() <= LEVEL


def test_rounding_to_8_bits_is_no_change(frames):
    placed = placed_in(frames, WHERE)
    for rounded in (torch.round, torch.floor):
        images, shares = paste_faces(frames, rounded(cut(frames, placed) * 255) / 255, placed)
        assert torch.equal(images, frames) and shares.max() == 0


@pytest.mark.parametrize("scale", [1, 4])
def test_a_changed_part_arrives_and_the_rest_stays(frames, scale):
    placed = placed_in(frames, [(1, 80, 60, 64, 0.0)])
    crops = cut(frames, placed).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    crops[:, 28 * scale : 36 * scale, 28 * scale : 36 * scale] = torch.tensor([1.0, 0.0, 0.0])
    images, shares = paste_faces(frames, crops, placed)
    assert (images[1, 57:63, 77:83] - torch.tensor([1.0, 0.0, 0.0])).abs().max() < 0.06
    assert torch.equal(images[[0, 2]], frames[[0, 2]])
    far = torch.ones(SIZE, dtype=torch.bool)
    far[44:76, 64:96] = False
    assert torch.equal(images[1][far], frames[1][far])
    assert shares[1][far].max() == 0 and shares[1, 60, 80] > 0.99


def test_edges_masks_and_kept_regions(frames):
    placed = placed_in(frames, [(0, 80, 60, 80, 0.0)])
    white = torch.ones(1, 64, 64, 3)
    _, whole = paste_faces(frames, white, placed)
    assert whole[0, 60, 80] > 0.99 and whole[0, 21, 80] < 0.2 and whole[0, 18, 80] == 0
    half = torch.zeros(1, 20, 20)
    half[:, :, :10] = 1
    _, hard = paste_faces(frames, white, placed, masks=half)
    assert hard[0, 60, 60] > 0.99 and hard[0, 60, 95] == 0
    _, soft = paste_faces(frames, white, placed, BlendOptions(feather=8.0), masks=half)
    assert hard[0, 60, 86] < 0.01 < soft[0, 60, 86] < 0.5
    _, grown = paste_faces(frames, white, placed, BlendOptions(grow=9), masks=half)
    assert grown[0, 60, 86] > 0.9
    keep = torch.zeros(1, 12, 16)
    keep[:, :6] = 1
    images, kept = paste_faces(frames, white, placed, keep=keep)
    assert torch.equal(images[0, :50], frames[0, :50]) and kept[0, :50].max() == 0 and kept[0, 80, 70] > 0.99


@pytest.mark.parametrize("method", ["alpha", "multi-band", "seamless"])
def test_colors_are_matched_to_the_frame(frames, method):
    placed = placed_in(frames, [(0, 80, 60, 80, 0.1)])
    tinted = (cut(frames, placed) * 0.6 + torch.tensor([0.3, 0.0, 0.0])).clamp(0, 1)
    plain, _ = paste_faces(frames, tinted, placed, BlendOptions(method=method))
    matched, _ = paste_faces(frames, tinted, placed, BlendOptions(color_match="linear", method=method))
    middle = (0, slice(45, 75), slice(65, 95))
    tone = [float((images[middle] - frames[middle]).mean((0, 1)).abs().max()) for images in (plain, matched)]
    assert tone[1] < 0.6 * tone[0] and tone[1] < 0.06


@pytest.mark.parametrize("factor", [1, 2])
def test_transparent_parts_of_crops_leave_the_frame(frames, factor):
    """After the removal of a background, what it hid must not come back in another color."""
    placed = placed_in(frames, WHERE[:1])
    crops = scaled(cut(frames, placed), "bicubic", factor)
    alpha = torch.zeros_like(crops[..., :1])
    alpha[:, : crops.shape[1] // 2] = 1
    hidden = torch.cat([crops * alpha, alpha], -1)
    images, share = paste_faces(frames, hidden, placed, BlendOptions(feather=4.0))
    assert torch.equal(images, frames) and not share.any(), "nothing was changed but the transparency"
    images, _ = paste_faces(frames, torch.cat([1 - crops * alpha, alpha], -1), placed)
    opaque, _ = paste_faces(frames, 1 - crops, placed)
    inside = (opaque - frames).abs().amax(-1)[0] > 0.2
    changed = (images - frames).abs().amax(-1)[0] > LEVEL
    assert 0.3 < (changed & inside).sum() / inside.sum() < 0.7


def test_alpha_stays_and_pixels_out_of_range_are_repaired(frames):
    alpha = torch.rand(3, *SIZE, 1)
    rgba = torch.cat([frames, alpha], -1)
    placed = placed_in(torch.lerp(torch.ones_like(frames), frames, alpha), [(0, 80, 60, 60, 0.0)])
    crops = torch.full((1, 64, 64, 3), float("nan"))
    images, _ = paste_faces(rgba, crops, placed)
    assert torch.equal(images[..., 3:], alpha)
    assert images[0, 60, 80, :3].max() < LEVEL


def test_faces_at_and_beyond_the_border(frames):
    where = [(0, 2, 3, 60, 0.0), (1, 160, 119, 40, 0.4), (2, -300, 60, 50, 0.0), (2, 5000, 5000, 50, 0.0)]
    placed = placed_in(frames, where)
    images, shares = paste_faces(frames, torch.zeros(4, 64, 64, 3), placed)
    assert shares[0].max() > 0.99 < shares[1].max()
    assert torch.equal(images[2], frames[2]) and shares[2].max() == 0


def test_hundreds_of_faces():
    frames = frame(0, (300, 400))[None].repeat(2, 1, 1, 1)
    where = [(row // 100, 20 + 40 * (row % 10), 15 + 30 * (row // 10 % 10), 24, 0.0) for row in range(200)]
    placed = placed_in(frames, where, 16)
    crops = cut(frames, placed)
    crops[150] = 0
    images, shares = paste_faces(frames, crops, placed)
    assert torch.equal(images[0], frames[0]) and shares[1, 165, 20] > 0.99
    assert shares[1].bool().float().mean() < 0.01


def test_no_faces_leave_the_frames_alone(frames):
    placed = placed_in(frames, [])
    images, shares = paste_faces(frames, torch.zeros(1, 64, 64, 3), placed)
    assert torch.equal(images, frames) and shares.max() == 0


def test_the_swap_of_a_frame_is_accepted(frames):
    placed = placed_in(frames, WHERE)
    swapped = frames.clone()
    for number, x, y, side, _ in WHERE:
        reach = side // 3
        swapped[number, y - reach : y + reach, x - reach : x + reach] = 0
    images, _ = paste_faces(swapped, cut(swapped, placed), placed)
    assert torch.equal(images, swapped)


def test_other_frames_are_refused(frames):
    placed = placed_in(frames, WHERE)
    crops = cut(frames, placed)
    with pytest.raises(StyleSwapError, match="frame 0 is not the picture in which the faces were found"):
        paste_faces(frames.flip(0), crops, placed)
    with pytest.raises(StyleSwapError, match="expected a picture of 160 x 120.*got 80 x 60"):
        paste_faces(frames[:, ::2, ::2], crops, placed)
    with pytest.raises(StyleSwapError, match="expected 3 frames.*got 1"):
        paste_faces(frames[:1], crops, placed)
    with pytest.raises(StyleSwapError, match="expected frames"):
        paste_faces(frames[..., :1], crops, placed)


def test_wrong_crops_and_masks_are_refused(frames):
    placed = placed_in(frames, WHERE)
    crops = cut(frames, placed)
    refused = {
        "expected 3 crops, one for each face, got 2": {"crops": crops[:2]},
        "crop 0 shows face 1, not face 0": {"crops": crops[[1, 0, 2]]},
        "square crops of at least 8 px, got 64 x 63": {"crops": crops[:, 1:]},
        "square crops of at least 8 px, got 1 x 1": {"crops": crops[:, :1, :1]},
        "expected crops": {"crops": crops[0]},
        "one for each of 3 crops, got 2": {"masks": torch.ones(2, 9, 9)},
        "expected masks of the crops": {"masks": torch.ones(3, 0, 9)},
        "one mask to keep, or one for each of 3 frames, got 2": {"keep": torch.ones(2, 9, 9)},
        "expected a blending method": {"options": BlendOptions(method="magic")},
    }
    for message, changes in refused.items():
        arguments = {"crops": crops, **changes}
        with pytest.raises(StyleSwapError, match=message):
            paste_faces(frames, placed=placed, **arguments)
    with pytest.raises(StyleSwapError, match="expected 0 crops"):
        paste_faces(frames, crops, replace(placed, faces=()))
