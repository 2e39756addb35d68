"""Masks of regions: from points, from landmarks, from a parsing network, and regions that cannot be told."""

import numpy as np
import pytest
from mask_forms import COVER, write_occlusion, write_parsing

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.landmarks import Landmarks
from styleswap_core.masking.face_masks import FaceMasks, load_face_masks
from styleswap_core.masking.feature_shapes import FEATURES, feature_mask
from styleswap_core.masking.head import FIVE
from styleswap_core.masking.region_masks import RegionMasks
from styleswap_core.masking.regions import SHAPED

SIZE = 256
POINTS = template_points("ffhq", SIZE).numpy()
COLORS = {0: (40, 90, 60), 1: (210, 160, 130), 5: (60, 120, 200), 17: (60, 30, 10), 18: COVER}
BANDS = {17: slice(0, 80), 1: slice(80, 200), 5: slice(110, 130)}
"""Rows of hair, skin and eyes."""


@pytest.fixture(scope="module")
def crop():
    """A crop with bands of hair, skin and eyes on a backdrop."""
    picture = np.full((SIZE, SIZE, 3), COLORS[0], np.uint8)
    for row, band in BANDS.items():
        picture[band, 60:200] = COLORS[row]
    return picture


@pytest.fixture(scope="module")
def parsing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parsing")
    return {
        count: write_parsing(folder / f"{count}.onnx", dict(list(COLORS.items())[:colors]), classes=count, side=256)
        for count, colors in ((19, 5), (7, 3), (1, 1))
    }


def at(mask, point):
    x, y = np.round(point).astype(int)
    return int(mask[y, x])


@pytest.mark.parametrize("angle", [0, 90, 200])
def test_features_lie_on_their_points_however_the_face_is_turned(angle):
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (POINTS - SIZE / 2) @ rotation.T + SIZE / 2
    masks = {feature: feature_mask(points, None, feature, SIZE) for feature in FEATURES}
    within = {"eyes": points[:2], "nose": points[2:3], "mouth": [points[3:].mean(0)], "brows": []}
    for feature, mask in masks.items():
        for owner, places in within.items():
            assert all(at(mask, place) == (255 if owner == feature else 0) for place in places), (feature, owner)
        assert 0.002 < mask.mean() / 255 < 0.05
    # Brows are above the eyes, seen from the mouth.
    middle = np.argwhere(masks["brows"] > 127)[:, ::-1].mean(0)
    up = points[:2].mean(0) - points[3:].mean(0)
    assert 0.2 < (middle - points[:2].mean(0)) @ up / (up @ up) < 0.6


def test_the_face_is_skin_and_features_and_its_halves(crop):
    masks = {region: RegionMasks(region).mask(crop, POINTS).astype(int) for region in SHAPED}
    features = RegionMasks("brows, eyes, nose, mouth").mask(crop, POINTS).astype(int)
    assert np.array_equal(masks["skin"], np.minimum(masks["face"], 255 - features))
    halves = np.maximum(masks["upper"], masks["lower"])
    assert np.abs(halves - masks["face"]).max() <= 130 and (np.abs(halves - masks["face"]) > 9).mean() < 0.01
    assert at(masks["upper"], POINTS[0]) == 255 and at(masks["lower"], POINTS[3:].mean(0)) == 255
    assert np.array_equal(masks["lips"], masks["mouth"])


@pytest.mark.parametrize(("count", "eyes"), [(68, [*range(36, 48)]), (106, [*range(33, 43), *range(87, 97)])])
def test_landmarks_are_preferred_to_points(crop, count, eyes):
    landmarks = np.tile(np.float32([128, 230]), (count, 1)) + np.random.default_rng(0).normal(0, 1, (count, 2))
    angle = np.linspace(0, 4 * np.pi, len(eyes), endpoint=False)
    landmarks[eyes] = np.stack([90 + 8 * np.cos(angle), 60 + 5 * np.sin(angle)], 1)
    landmarks[eyes[len(eyes) // 2 :]] += [70, 0]

    class Known:
        def read(self, picture, box):
            return Landmarks(np.float32(landmarks), None)

    mask = RegionMasks("eyes", FaceMasks(landmark_model=Known)).mask(crop, POINTS)
    assert at(mask, (90, 60)) == 255 and at(mask, POINTS[0]) == 0
    rows, columns = np.nonzero(mask > 127)
    assert rows.min() == pytest.approx(54, abs=4) and columns.min() == pytest.approx(81, abs=4)
    assert feature_mask(POINTS, landmarks[:5], "eyes", SIZE)[int(POINTS[0, 1]), int(POINTS[0, 0])] == 255


def test_a_parsing_network_tells_its_regions(crop, parsing):
    masks = load_face_masks(parsing[19], device="cpu")
    hair = RegionMasks("hair", masks).mask(crop, POINTS)
    assert hair[10:70, 70:190].min() == 255 and hair[90:].max() == 0 and hair[:, :50].max() == 0
    both = RegionMasks("eyes,hair", masks).mask(crop, POINTS)
    assert both[115:125, 70:190].min() == 255 and both[140:].max() == 0
    # The face is what the network was loaded with.
    face = RegionMasks("face", load_face_masks(parsing[19], "hair,skin", device="cpu")).mask(crop, POINTS)
    assert face[10:100, 70:190].min() == 255 and face[115:125].max() == 0
    upper = RegionMasks("upper", masks).mask(crop, POINTS)
    assert upper[85:105, 70:190].min() == 255 and upper[190:].max() == 0
    assert masks.parsing.mask(crop)[115:125, 70:190].min() == 255, "the network keeps its own regions"


def test_occlusion_and_outline_limit_the_mask(crop, tmp_path):
    covered = crop.copy()
    covered[:, 128:] = COVER
    occlusion = load_face_masks(occlusion=write_occlusion(tmp_path / "xseg.onnx"), device="cpu")
    mask = RegionMasks("mouth", occlusion).mask(covered, POINTS)
    assert mask[:, 132:].max() == 0 and mask[:, 100:124].max() == 255
    assert RegionMasks("eyes", FaceMasks(outline="lower")).mask(crop, POINTS).max() == 0


def test_regions_that_cannot_be_told_are_one_sentence(crop, parsing):
    with pytest.raises(StyleSwapError, match="the region hair needs a face parsing network, such as bisenet") as error:
        RegionMasks("eyes,hair")
    assert str(error.value).count(".") == 1 and "\n" not in str(error.value)
    single = load_face_masks(parsing[1], device="cpu")
    with pytest.raises(StyleSwapError, match="the region glasses needs"):
        RegionMasks("glasses", single)
    assert np.array_equal(RegionMasks("eyes", single).mask(crop, POINTS), feature_mask(POINTS, None, "eyes", SIZE))
    with pytest.raises(StyleSwapError, match="expected regions out of face, upper, lower, background, skin"):
        RegionMasks("teeth")
    seven = load_face_masks(parsing[7], "1", device="cpu")
    with pytest.raises(StyleSwapError, match="has 7 classes; give the numbers"):
        RegionMasks("hair", seven)
    assert RegionMasks("5", seven).mask(crop, POINTS)[115:125, 70:190].min() == 255


def test_the_tables_of_the_average_face_agree():
    assert np.array_equal(FIVE[0] * [-1, 1, 1], FIVE[1])
