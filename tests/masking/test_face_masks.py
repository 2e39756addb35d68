"""Masks of crops: their order, their combination, and edges that are the same for crops of all sizes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mask_forms import COVER, write_occlusion, write_parsing

from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.landmarks import Landmarks
from styleswap_core.masking.face_masks import FaceMasks, load_face_masks
from styleswap_core.masking.outlines import outline_mask

SKIN, BACKDROP = (210, 160, 130), (40, 90, 60)
SIZE = 256
POINTS = template_points("ffhq", SIZE)[None]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    colors = {0: BACKDROP, 1: SKIN, 17: (60, 30, 10), 18: COVER}
    return write_parsing(folder / "parsing.onnx", colors, side=SIZE), write_occlusion(folder / "occlusion.onnx")


def portrait(size=SIZE, cover=False):
    """A crop (1, 3, size, size) of an oval face, whose lower left quarter may be covered."""
    x, y = torch.meshgrid((torch.arange(size) + 0.5) / size, (torch.arange(size) + 0.5) / size, indexing="xy")
    picture = torch.tensor(BACKDROP).view(3, 1, 1).expand(3, size, size).clone()
    picture[:, ((x - 0.5) / 0.3) ** 2 + ((y - 0.55) / 0.38) ** 2 < 1] = torch.tensor(SKIN)[:, None]
    if cover:
        picture[:, (x < 0.5) & (y > 0.6)] = torch.tensor(COVER)[:, None]
    return picture[None].float() / 127.5 - 1


class KnownLandmarks:
    """Landmark model that returns given points and remembers the boxes."""

    def __init__(self, points):
        self.points, self.boxes = np.float32(points), []

    def read(self, picture, box):
        self.boxes.append(box)
        return Landmarks(self.points * picture.shape[0], None)


def ring(count, radius, center=(0.5, 0.55)):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([center[0] + radius * np.cos(angle), center[1] + radius * np.sin(angle)], 1)


def area(mask):
    return float(mask.mean())


def test_the_base_is_the_networks_mask_then_parsing_then_landmarks_then_points(files):
    crop = portrait()
    own = torch.rand(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    landmarks = KnownLandmarks(ring(68, 0.2))
    assert FaceMasks(landmark_model=lambda: landmarks).mask(crop, POINTS, own) is own
    parsing = load_face_masks(files[0], device="cpu").with_landmarks(lambda: landmarks)
    found = parsing.mask(crop, POINTS, None)
    assert not landmarks.boxes, "not read where face parsing gives the mask"
    oval = np.pi * 0.3 * 0.38
    assert 0.85 * oval < area(found) < oval and found[..., 140, 128] == 1 and found[..., 20, 128] == 0
    hull = FaceMasks(landmark_model=lambda: landmarks).mask(crop, POINTS, None)
    assert len(landmarks.boxes) == 1 and area(hull) < area(found)
    nothing = FaceMasks(landmark_model=lambda: None).mask(crop, POINTS, None)
    assert torch.equal(nothing, FaceMasks().mask(crop, POINTS, None))
    # The outline finds the border between skin and backdrop by its color.
    assert area(nothing) == pytest.approx(area(found), rel=0.15)


def test_landmarks_are_read_in_a_box_around_the_face():
    landmarks = KnownLandmarks(ring(106, 0.2))
    FaceMasks(landmark_model=lambda: landmarks).mask(portrait(512), POINTS * 2, None)
    (box,) = landmarks.boxes
    inside = POINTS[0].numpy()
    assert (box[:2] < inside.min(0)).all() and (box[2:] > inside.max(0)).all() and (box[2:] - box[:2] < 220).all()


def test_the_mask_is_the_minimum_of_all_that_the_user_named(files):
    crop, own = portrait(cover=True), torch.full((1, 1, SIZE, SIZE), 0.75)
    everything = load_face_masks(*files[:1], occlusion=files[1], device="cpu")
    mask = everything.mask(crop, POINTS, own)
    assert mask.max() == 0.75 and mask[..., 120, 128] == 0.75, "where all agree, that of the network"
    assert mask[..., 200, 100] == 0, "covered"
    assert mask[..., 10, 10] == 0, "not face"
    alone = load_face_masks(occlusion=files[1], device="cpu").mask(crop, POINTS, own)
    assert alone[..., 10, 10] == 0.75 and alone[..., 200, 100] == 0
    hair = load_face_masks(files[0], "background", device="cpu").mask(crop, POINTS, own)
    assert hair[..., 10, 10] == 0.75 and hair[..., 120, 128] == 0


@pytest.mark.parametrize("points", [None, 68, 106])
def test_parts_of_the_outline(points):
    landmarks = None
    if points:
        lips = ring(20, 0.09, (0.5, 0.72))
        rest = ring(points - 20, 0.3)
        first = 48 if points == 68 else 52
        landmarks = KnownLandmarks(np.concatenate([rest[:first], lips, rest[first:]]))
    masks = {
        part: FaceMasks(outline=part, landmark_model=lambda: landmarks).mask(portrait(), POINTS, None)[0, 0]
        for part in ("whole", "upper", "lower", "mouth")
    }
    eye, mouth = POINTS[0, 0].long().tolist(), POINTS[0, 3:].mean(0).long().tolist()
    for place, values in ((eye, [1, 1, 0, 0]), (mouth, [1, 0, 1, 1])):
        assert [float(mask[place[1], place[0]]) for mask in masks.values()] == values
    assert area(masks["mouth"]) < area(masks["lower"]) < area(masks["whole"])
    assert (masks["upper"] + masks["lower"] <= masks["whole"] + 1e-6).all(), "the parts do not overlap"
    own = torch.ones(1, 1, SIZE, SIZE)
    limited = FaceMasks(outline="mouth", landmark_model=lambda: landmarks).mask(portrait(), POINTS, own)
    assert torch.equal(limited[0, 0], masks["mouth"])


def test_a_turned_face_is_split_across_its_own_axis():
    turned = torch.rot90(portrait(), 1, (2, 3))  # counterclockwise: the forehead points to the left
    points = torch.stack([POINTS[..., 1], SIZE - POINTS[..., 0]], -1)
    upper = outline_mask(_uint8(turned), points[0].numpy(), None, "upper")
    straight = outline_mask(_uint8(portrait()), POINTS[0].numpy(), None, "upper")
    assert np.abs(np.rot90(straight, 1).astype(int) - upper).mean() < 4


def _uint8(crop):
    return ((crop[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize("source", ["parsing", "points"])
def test_crops_of_all_sizes_have_the_same_mask(files, source):
    masks = load_face_masks(files[0], device="cpu") if source == "parsing" else FaceMasks()
    found = {}
    for size in (128, 512, 1024):
        crop = F.interpolate(portrait(1024), (size, size), mode="area")
        found[size] = masks.mask(crop, POINTS * (size / SIZE), None)
        assert found[size].shape == (1, 1, size, size)
    small = {size: F.interpolate(mask, (128, 128), mode="area") for size, mask in found.items()}
    for size in (512, 1024):
        difference = (small[size] - small[128]).abs()
        # Colors at the border of the face decide which pixels belong to it, and differ a little with the size.
        assert difference.mean() < (0.004 if source == "parsing" else 0.012)
    # The edge is as wide in shares of the crop, and no step is visible in the largest.
    assert found[1024].diff(dim=-1).abs().max() < 0.06


def test_each_crop_of_a_batch_has_its_own_mask(files):
    masks = load_face_masks(occlusion=files[1], device="cpu")
    pair = torch.cat([portrait(), portrait(cover=True)])
    both = masks.mask(pair, POINTS.repeat(2, 1, 1), None)
    for row in range(2):
        assert torch.equal(both[row : row + 1], masks.mask(pair[row : row + 1], POINTS, None))
    assert area(both[1]) < area(both[0])
