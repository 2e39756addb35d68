"""Masks in the pipeline: networks without one, edges in shares of the face, and regions that stay."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mask_forms import COVER, write_occlusion

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.landmarks import Landmarks
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.io.images import load_image
from styleswap_core.masking.face_masks import FaceMasks, load_face_masks
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappedCrops

REAL_FACES = Path(os.environ.get("STYLESWAP_REAL_FACES", Path(__file__).parents[3] / "shared/real_faces"))
SKIN, BACKDROP = (210, 160, 130), (40, 90, 60)
SIDE, FACE = 400, 240
"""Sides of the picture and of the aligned crop in it."""


class OneFace:
    """Face analysis with one face in the middle of every picture."""

    recognizer = RecognizerId()

    def __init__(self, template="ffhq", landmarks=None):
        self.points = template_points(template, FACE).numpy() + (SIDE - FACE) / 2
        self.landmarks, self.asked = landmarks, 0

    def detect(self, picture, order="largest", embed=True, quick=False):
        box = np.float32([SIDE / 2 - 60, SIDE / 2 - 80, SIDE / 2 + 60, SIDE / 2 + 80])
        return [DetectedFace(0, 0.9, box, self.points)]

    def landmark_model(self):
        self.asked += 1
        return self.landmarks


class Inverter:
    """Swapping network without a mask that inverts all colors, so that every swapped pixel changes."""

    name, phased, sha256, device, recognizer = "inverter", True, "", torch.device("cpu"), RecognizerId()

    def __init__(self, size=128, template="ffhq", mask=None):
        self.size, self.template, self.own = size, template, mask

    @property
    def has_mask(self):
        return self.own is not None

    def check(self, identity):
        pass

    def notice(self, rendered=False):
        return None

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        mask = torch.ones_like(crops[:, :1]) if self.own is None else self.own.expand(len(crops), -1, -1, -1)
        return SwappedCrops(-crops, mask)


@pytest.fixture(scope="module")
def who():
    return Identity(torch.nn.functional.normalize(torch.ones(512), dim=0), RecognizerId())


def scene(cover=False):
    """Picture of an oval face in the middle, whose right half may be covered."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    picture = np.full((SIDE, SIDE, 3), BACKDROP, np.uint8)
    picture[((x - SIDE / 2) / 75) ** 2 + ((y - SIDE / 2 - 15) / 95) ** 2 < 1] = SKIN
    if cover:
        picture[:, SIDE // 2 + 10 :] = COVER
    return picture


def swap(who, picture=None, *, model=None, analysis=None, masks=None, keep=None, **options):
    swapper = Swapper(model or Inverter(), analysis or OneFace(), SwapOptions(**options), masks=masks)
    return swapper.swap(scene() if picture is None else picture, who, keep=keep)


@pytest.mark.parametrize("template", ["ffhq", "arcface_128", "arcface_112"])
@pytest.mark.parametrize("options", [{}, {"mask_grow": 60}, {"mask_feather": 40.0}])
def test_a_network_without_a_mask_never_shows_the_crops_border(who, template, options):
    result = swap(who, model=Inverter(template=template), analysis=OneFace(template), **options)
    low, high = (SIDE - FACE) // 2, (SIDE + FACE) // 2
    mask = result.mask.numpy()
    assert mask[SIDE // 2, SIDE // 2] > 0.8
    border = np.concatenate([mask[low : low + 2].ravel(), mask[:, low : low + 2].ravel(), mask[high - 2 :].ravel()])
    assert border.max() < 0.02 and mask[:, high - 2 :].max() < 0.02
    assert mask[low + 12, low + 12] == 0, "corners are round"
    assert np.array_equal(np.asarray(result.image)[mask == 0], scene()[mask == 0])


def test_the_outline_follows_the_face_and_the_dense_landmarks_of_the_pack(who):
    found = swap(who).mask.numpy()
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    oval = ((x - SIDE / 2) / 75) ** 2 + ((y - SIDE / 2 - 15) / 95) ** 2 < 1
    assert (found[~oval] > 0.5).sum() < 0.05 * oval.sum() and (found[oval] > 0.5).mean() > 0.8

    class Narrow:
        def read(self, picture, box):
            angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
            ring = np.stack([0.5 + 0.12 * np.cos(angle), 0.6 + 0.2 * np.sin(angle)], 1)
            return Landmarks(np.float32(ring * picture.shape[0]), None)

    analysis = OneFace(landmarks=Narrow())
    assert swap(who, analysis=analysis).mask.sum() < 0.6 * found.sum()
    assert analysis.asked == 1
    swap(who, analysis=analysis, model=Inverter(mask=torch.ones(1, 1, 128, 128)))
    assert analysis.asked == 1, "not read for a network with a mask"


@pytest.mark.parametrize("options", [{}, {"mask_edge": 0.15}, {"mask_padding": 0.2}])
def test_networks_of_all_sizes_have_the_same_edge_in_the_picture(who, options):
    masks = {size: swap(who, model=Inverter(size), resolution=1, **options).mask for size in (128, 256, 1024)}
    boosted = swap(who, model=Inverter(128), resolution=4, **options).mask
    for other in (masks[256], masks[1024], boosted):
        assert (other - masks[128]).abs().mean() < 0.006
    steps = [float(mask[SIDE // 2].diff().abs().max()) for mask in (*masks.values(), boosted)]
    assert max(steps) < 1.35 * min(steps)


def test_edge_and_padding_shrink_the_region_from_its_edge(who):
    plain = swap(who).mask
    edge, padding = swap(who, mask_edge=0.2).mask, swap(who, mask_padding=0.25).mask
    assert (edge <= plain + 0.02).all() and edge.sum() < 0.9 * plain.sum()
    assert edge[SIDE // 2].diff().abs().max() < 0.5 * plain[SIDE // 2].diff().abs().max()
    # 0.25 of 240 px
    assert padding[:, : (SIDE - FACE) // 2 + 58].max() == 0 and padding[SIDE // 2, SIDE // 2] == 1
    own = torch.ones(1, 1, 128, 128)
    assert (
        swap(who, model=Inverter(mask=own), mask_padding=0.25).mask.sum()
        < swap(who, model=Inverter(mask=own)).mask.sum()
    )
    for name in ("mask_edge", "mask_padding"):
        for value in (-0.1, 0.4, float("nan")):
            with pytest.raises(StyleSwapError, match=f"expected a {name} from 0 to 0.3"):
                swap(who, **{name: value})


def test_masks_limit_that_of_the_network_and_keep_what_covers_the_face(who, tmp_path):
    masks = load_face_masks(occlusion=write_occlusion(tmp_path / "occlusion.onnx"), device="cpu")
    covered = scene(cover=True)
    own = torch.zeros(1, 1, 128, 128)
    own[..., 32:112, 24:104] = 1
    for model in (Inverter(), Inverter(mask=own)):
        result = swap(who, covered, model=model, masks=masks)
        changed = (np.asarray(result.image) != covered).any(-1)
        assert changed[:, : SIDE // 2].any() and not changed[:, SIDE // 2 + 12 :].any()
        if model.has_mask:
            assert (result.mask <= swap(who, covered, model=model).mask + 1e-6).all()
    whole = swap(who, model=Inverter(mask=own), masks=FaceMasks())
    assert torch.equal(whole.mask, swap(who, model=Inverter(mask=own)).mask), "the default leaves networks their masks"


def test_what_is_kept_stays_bit_for_bit(who):
    keep = torch.zeros(SIDE // 2, SIDE // 2)
    keep[:, : SIDE // 4] = 1
    picture = scene()
    image = np.asarray(swap(who, picture, keep=keep).image)
    assert np.array_equal(image[:, : SIDE // 2 - 2], picture[:, : SIDE // 2 - 2])
    assert (image[SIDE // 2, SIDE // 2 + 4] != picture[SIDE // 2, SIDE // 2 + 4]).all()


def test_batches_and_streams_keep_regions_by_frame(who):
    keep = torch.stack([torch.zeros(SIDE, SIDE), torch.ones(SIDE, SIDE)])
    frames = torch.from_numpy(np.stack([scene(), scene()])).float() / 255
    swapper = Swapper(Inverter(), OneFace(), SwapOptions())
    result = swapper.swap_batch(frames, who, keep=keep)
    assert result.masks[0].max() == 1 and result.masks[1].max() == 0
    assert torch.equal(result.images[1], frames[1])
    streamed = [one.mask.max() for one in swapper.swap_frames([scene(), scene()], who, keep=keep[1])]
    assert streamed == [0, 0]
    with pytest.raises(StyleSwapError, match="one for each of 2 frames, got 3"):
        swapper.swap_batch(frames, who, keep=torch.zeros(3, 8, 8))


@pytest.mark.skipif(not REAL_FACES.is_dir(), reason="no photographs")
def test_outlines_on_photographs(who):
    analysis = load_face_analysis(REAL_FACES / "insightface_form")
    swapper = Swapper(Inverter(128, "arcface_128"), analysis, SwapOptions())
    for name in ("f12", "f33", "m28", "m63"):
        picture = load_image(REAL_FACES / "portraits" / f"{name}.jpg")
        result = swapper.swap(picture, who)
        (face,) = result.faces
        mask = result.mask.numpy() > 0.5
        points = face.face.points.astype(int)
        assert mask[points[:, 1], points[:, 0]].all(), name
        box = face.face.box
        assert 0.4 < mask.sum() / ((box[2] - box[0]) * (box[3] - box[1])) < 1.5, name
