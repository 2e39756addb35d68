"""Masks of faces at their places in frames."""

import numpy as np
import pytest
import torch
from marked_frames import SIDE, MarkDetector, frames_with

from styleswap_core.errors import StyleSwapError
from styleswap_core.pipeline.face_aligner import align_faces
from styleswap_core.pipeline.masked_faces import MaskOptions, mask_faces, mask_placed


def middle(mask):
    rows, columns = np.nonzero(mask.numpy() > 0.5)
    return columns.mean(), rows.mean()


def test_masks_lie_on_their_faces_in_frames_of_their_own():
    frames = frames_with((0, 30, 40), (2, 90, 40), (2, 25, 30))
    found = mask_faces(frames, MarkDetector())
    assert [face.frame for face in found.faces] == [0, 2, 2] and found.problems == ((), ("no face found",), ())
    together, apart = found.together(), found.apart()
    assert together.shape == (3, 80, 120) and apart.shape == (3, 80, 120)
    assert together[1].max() == 0 and torch.equal(together[2], apart[1:].amax(0)) and together.max() <= 1
    assert middle(apart[0]) == pytest.approx((30, 40 + 0.05 * SIDE), abs=2)
    for face, mask in zip(found.faces, apart, strict=True):
        x0, y0, x1, y1 = face.box
        assert torch.equal(mask[y0:y1, x0:x1], face.values) and int((mask > 0).sum()) == int((face.values > 0).sum())
        assert face.values[:, 0].max() > 0 and face.values[-1].max() > 0, "boxes are tight"


def test_grow_and_feather_are_shares_of_the_face():
    frames = frames_with((0, 60, 40), count=1)
    areas = {
        grow: float(mask_faces(frames, MarkDetector(), options=MaskOptions(grow=grow)).together().sum())
        for grow in (-0.1, 0.0, 0.1)
    }
    assert areas[-0.1] < 0.75 * areas[0.0] < areas[0.0] < 0.75 * areas[0.1]
    plain, soft = (
        mask_faces(frames, MarkDetector(), options=MaskOptions(feather=feather)).together()[0] for feather in (0.0, 0.2)
    )
    assert soft.sum() == pytest.approx(float(plain.sum()), rel=0.1)
    gray = [int(((mask > 0.1) & (mask < 0.9)).sum()) for mask in (plain, soft)]
    assert gray[1] > 2 * gray[0]
    # The same share of a face of twice the size.
    large = torch.nn.functional.interpolate(frames.permute(0, 3, 1, 2), scale_factor=2, mode="nearest")

    class Twice(MarkDetector):
        def detect(self, picture, order="largest", embed=True, quick=False):
            (face,) = super().detect(picture[::2, ::2], order)
            return [type(face)(0, 0.5, face.box * 2, face.points * 2)]

    twice = mask_faces(large.permute(0, 2, 3, 1), Twice(), options=MaskOptions(grow=0.1))
    assert twice.together().sum() == pytest.approx(4 * areas[0.1], rel=0.05) and twice.faces[0].score == 0.5


def test_known_faces_are_masked_without_detection():
    frames = frames_with((0, 30, 40), (2, 90, 40))
    placed = align_faces(frames, MarkDetector(), size=64, template="arcface_112").placed
    known = mask_placed(frames, placed, MaskOptions("eyes"))
    found = mask_faces(frames, MarkDetector(), options=MaskOptions("eyes"))
    assert torch.allclose(known.together(), found.together(), atol=1e-4)
    with pytest.raises(StyleSwapError, match="frame 0 is not the picture in which the faces were found"):
        mask_placed(1 - frames, placed)
    with pytest.raises(StyleSwapError, match="expected 3 frames, in which the faces were found, got 2"):
        mask_placed(frames[:2], placed)


def test_faces_at_the_edge_and_outside():
    frames = frames_with((0, 1, 40), count=1)
    (face,) = mask_faces(frames, MarkDetector()).faces
    assert face.box[0] == 0 and face.box[2] < 25

    class Outside(MarkDetector):
        def detect(self, picture, order="largest", embed=True, quick=False):
            (face,) = super().detect(picture, order)
            return [type(face)(0, 0.9, face.box - 500, face.points - 500)]

    found = mask_faces(frames, Outside())
    assert found.faces[0].box is None and found.apart().shape == (1, 80, 120) and found.together().max() == 0


def test_the_smallest_and_most_faces():
    class Tiny(MarkDetector):
        def detect(self, picture, order="largest", embed=True, quick=False):
            (face,) = super().detect(picture, order)
            middle = face.points.mean(0)
            return [type(face)(k, 0.9, face.box, middle + (face.points - middle) / SIDE + k / 40) for k in range(100)]

    found = mask_faces(frames_with((0, 30, 40), count=1), Tiny())
    assert len(found.faces) == 100 and 0 < found.together().sum() < 60
    one = mask_faces(torch.zeros(1, 1, 1, 3), MarkDetector())
    assert one.together().shape == (1, 1, 1) and one.apart().shape == (0, 1, 1)
    many = type(found)(found.faces * 8000, 1, (80, 120), ((),))
    with pytest.raises(StyleSwapError, match="expected at most 111848 faces in frames of 120 x 80 for one mask per"):
        many.apart()


def test_options_out_of_range_are_refused():
    for wrong in ({"grow": 0.31}, {"grow": -0.4}, {"feather": -0.01}, {"feather": float("nan")}):
        with pytest.raises(StyleSwapError, match=f"expected {next(iter(wrong))} from"):
            MaskOptions(**wrong)
    with pytest.raises(StyleSwapError, match="hair needs a face parsing network"):
        mask_faces(frames_with(), MarkDetector(), options=MaskOptions("hair"))
    with pytest.raises(StyleSwapError, match="at least one frame"):
        mask_faces(torch.zeros(0, 4, 4, 3), MarkDetector())
