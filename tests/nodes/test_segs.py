"""Segments in the form of Impact Pack's SEGS."""

from collections import namedtuple

import numpy as np
import pytest
import torch

# As Impact Pack declares it.
Foreign = namedtuple(
    "SEG",
    ["cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label", "control_net_wrapper"],
    defaults=[None],
)


@pytest.fixture(scope="module")
def segs(pack):
    return pack("nodes.segs")


@pytest.fixture(scope="module")
def face_mask(pack):
    return pack("styleswap_core.pipeline.masked_faces").FaceMask


def foreign(*boxes, size=(60, 80), kind=np.asarray):
    return size, [
        Foreign(None, kind(np.ones((y1 - y0, x1 - x0), np.float32)), 0.9, [x0, y0, x1, y1], (x0, y0, x1, y1), "face")
        for x0, y0, x1, y1 in boxes
    ]


def test_faces_become_segments_with_the_fields_of_impact_pack(segs, face_mask):
    image = torch.rand(60, 80, 4, generator=torch.Generator().manual_seed(0))
    faces = [face_mask(0, (30, 20, 40, 32), torch.full((12, 10), 0.75), 0.8), face_mask(0, None, torch.zeros(0, 0))]
    size, items = segs.segs_of(image, faces, 3.0)
    assert size == (60, 80) and len(items) == 1, "a face outside gives none"
    (seg,) = items
    assert seg._fields == Foreign._fields and seg.control_net_wrapper is None and seg.label == "face"
    assert (seg.bbox, seg.crop_region, seg.confidence) == ((30, 20, 40, 32), [20, 8, 50, 44], 0.8)
    assert all(type(value) is int for value in (*size, *seg.bbox, *seg.crop_region))
    x0, y0, x1, y1 = seg.crop_region
    assert seg.cropped_image.shape == (1, y1 - y0, x1 - x0, 3) and seg.cropped_image.dtype == np.float32
    assert np.array_equal(seg.cropped_image[0], image[y0:y1, x0:x1, :3].numpy())
    assert seg.cropped_mask.shape == (y1 - y0, x1 - x0) and seg.cropped_mask.dtype == np.float32
    assert (seg.cropped_mask[12:24, 10:20] == 0.75).all() and seg.cropped_mask.sum() == pytest.approx(90)
    whole = segs.segs_mask((size, items))
    assert whole.shape == (60, 80) and float(whole.sum()) == pytest.approx(90)


@pytest.mark.parametrize(
    ("box", "factor", "region"),
    [
        ((0, 0, 10, 12), 3.0, [0, 0, 30, 36]),
        ((75, 50, 80, 60), 2.0, [70, 40, 80, 60]),
        ((0, 0, 80, 60), 5.0, [0, 0, 80, 60]),
        ((41, 30, 42, 31), 1.0, [41, 30, 42, 31]),
    ],
)
def test_regions_stay_in_the_image(segs, face_mask, box, factor, region):
    x0, y0, x1, y1 = box
    (seg,) = segs.segs_of(torch.zeros(60, 80, 3), [face_mask(0, box, torch.ones(y1 - y0, x1 - x0))], factor)[1]
    assert seg.crop_region == region and seg.cropped_mask.sum() == (y1 - y0) * (x1 - x0)


def test_foreign_segments_become_one_mask(segs):
    mask = segs.segs_mask(foreign((0, 0, 10, 10), (70, 50, 80, 60)))
    assert mask.sum() == 200 and mask[5, 5] == 1 and mask[55, 75] == 1
    tensors = segs.segs_mask(foreign((5, 5, 15, 15), kind=torch.from_numpy))
    frames = segs.segs_mask(foreign((5, 5, 15, 15), kind=lambda mask: np.stack([0 * mask, mask])))
    assert torch.equal(tensors, frames) and tensors.sum() == 100
    assert segs.segs_mask(foreign()).max() == 0
    assert segs.segs_mask(((0, 0), [])).max() == 0, "Impact Pack's empty segments have no size"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        "SEGS",
        torch.zeros(1, 8, 8),
        ((8, 8), [object()]),
        ((0, 8), []),
        ((8, 8), [Foreign(None, np.ones((3, 3)), 1.0, [0, 0, 2, 2], (0, 0, 2, 2), "face")]),
        ((8, 8), [Foreign(None, None, 1.0, [0, 0, 2, 2], (0, 0, 2, 2), "face")]),
        ((8, 8), [Foreign(None, np.ones((3, 3)), 1.0, [-5, -5, -2, -2], (0, 0, 2, 2), "face")]),
    ],
)
def test_other_values_are_one_sentence(segs, wrong, pack):
    with pytest.raises(pack("styleswap_core.errors").StyleSwapError, match="expected SEGS, a size and a list") as error:
        segs.segs_mask(wrong)
    assert "\n" not in str(error.value) and type(wrong).__name__ in str(error.value)


def test_a_face_has_to_lie_in_the_mask_and_in_the_segments(segs):
    given = torch.zeros(2, 30, 40)
    given[1, :, :20] = 1
    both = segs.chosen_mask(given, foreign((0, 0, 30, 60), (50, 0, 80, 60)), (60, 80))
    assert both.shape == (2, 60, 80) and both[0].max() == 0
    assert both[1, :, :30].min() == 1 and both[1, :, 45:].max() == 0
    assert segs.chosen_mask(given, foreign((0, 0, 30, 60)), (0, 0)).shape == (2, 60, 80), "of a video of unknown size"
    assert segs.chosen_mask(given, None, (60, 80)) is given
    assert segs.chosen_mask(None, foreign((0, 0, 9, 9)), (60, 80)).sum() == 81
    assert segs.chosen_mask(given, ((0, 0), []), (60, 80)).max() == 0
    assert segs.chosen_mask(None, None, (60, 80)) is None
    assert segs.chosen_mask(torch.zeros(1, 64, 64), None, (60, 80)) is None, "Load Image without transparency"
    assert segs.chosen_mask(torch.zeros(1, 60, 80), None, (60, 80)).max() == 0
