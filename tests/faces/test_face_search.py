"""Search for faces: passes, borders, finer levels, whole pictures turned, doubles and doubts."""

import numpy as np
import pytest

from styleswap_core.faces import face_search
from styleswap_core.faces.alignment import TEMPLATES
from styleswap_core.faces.detailed_parts import Searched
from styleswap_core.faces.face_networks import Detection
from styleswap_core.faces.face_search import FaceSearch
from styleswap_core.faces.turned_faces import SettledFace

UPRIGHT = np.array(TEMPLATES["arcface_112"])


def detection(x, y, side, score=0.9):
    """An upright face with the center of its box at (x, y)."""
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], dtype=np.float64)
    return Detection(box, score, box[:2] + UPRIGHT * side)


class Scripted:
    """Detector that finds given faces, by the size at which it runs, in pictures of one shape only."""

    any_shape = False

    def __init__(self, shape, by_size):
        self.shape, self.by_size, self.runs = shape, by_size, []

    def detect(self, picture, size):
        self.runs.append((picture.shape[:2], size))
        if picture.shape[:2] == self.shape:
            return list(self.by_size.get(size, []))
        return []


@pytest.fixture
def as_found(monkeypatch):
    """No close looks."""
    keep = lambda detector, picture, found: [SettledFace(face, 0.0, True) for face in found]  # noqa: E731
    monkeypatch.setattr(face_search, "settle_turns", keep)


def scores(detector, height=480, width=640, size=None):
    """Scores of the faces that are found in a black picture."""
    return sorted(
        face.detection.score for face in FaceSearch(detector, size).find(np.zeros((height, width, 3), np.uint8))
    )


def test_a_second_size_adds_faces_that_the_first_missed(as_found):
    first, again, large = detection(100, 100, 80, 0.7), detection(104, 100, 80, 0.9), detection(400, 250, 300, 0.8)
    # Of the same face the larger size has the better points.
    assert scores(Scripted((480, 640), {640: [first], 256: [again, large]})) == [0.7, 0.8]


def test_of_a_face_and_a_part_of_it_the_better_is_kept(as_found):
    whole, part = detection(300, 240, 300, 0.9), detection(320, 260, 120, 0.6)
    assert (
        scores(Scripted((480, 640), {640: [whole, part]}))
        == scores(Scripted((480, 640), {640: [part, whole]}))
        == [0.9]
    )


def test_a_chosen_size_is_the_only_one(as_found):
    detector = Scripted((480, 640), {})
    assert scores(detector, size=320) == []
    # Then with a border around it.
    assert detector.runs == [((480, 640), 320), ((320, 320), 320)]


def test_a_picture_in_which_nothing_is_found_is_looked_at_with_a_border_turned_and_finely(as_found):
    detector = Scripted((512, 512), {512: [detection(380, 386, 60)]})
    (found,) = FaceSearch(detector).find(np.zeros((1080, 1920, 3), np.uint8))
    whole, looks = (1080, 1920), (512, 512)
    assert detector.runs == [(whole, 640), (whole, 256), (looks, 512), (whole, 1280)]
    # In the fourth cut, where a face turned to the left is upright and 1920 px are 256: its center is 4 px left of the
    # center of the cut and 2 px below, in the picture 2 px to the right and 4 px below.
    middle = found.detection.box.reshape(2, 2).mean(0)
    np.testing.assert_allclose(middle, [960 + 2 * 7.5, 540 + 4 * 7.5], atol=1e-6)
    assert (found.detection.points.mean(0) - middle)[0] > 0


def test_a_face_that_fills_the_picture_is_found_with_a_border(as_found):
    detector = Scripted((512, 512), {512: [detection(128, 128, 120)]})
    (found,) = FaceSearch(detector).find(np.zeros((480, 640, 3), np.uint8))
    # In the first cut, 1280 px are 256.
    np.testing.assert_allclose(found.detection.box, [20, -60, 620, 540], atol=1e-6)


def test_a_quick_search_ends_after_the_passes_over_the_whole_picture(as_found):
    nothing = Scripted((1080, 1920), {})
    assert FaceSearch(nothing).find(np.zeros((1080, 1920, 3), np.uint8), quick=True) == []
    assert nothing.runs == [((1080, 1920), 640), ((1080, 1920), 256)]
    # A small face, which may not be alone.
    some = Scripted((1080, 1920), {640: [detection(300, 300, 40)]})
    assert len(FaceSearch(some).find(np.zeros((1080, 1920, 3), np.uint8), quick=True)) == 1
    assert some.runs[1:] == [((1080, 1920), 1280)]


@pytest.mark.parametrize(("side", "sizes"), [(60, [256]), (40, [640])])
def test_small_faces_in_parts_of_a_picture_have_the_whole_searched(as_found, monkeypatch, side, sizes):
    near, far = detection(100, 100, side), detection(500, 250, side)
    monkeypatch.setattr(face_search, "search_details", lambda detector, picture, size: Searched([near], False))
    detector = Scripted((360, 640), {640: [near, far]})
    found = FaceSearch(detector)._passes(np.zeros((360, 640, 3), np.uint8))
    assert [size for _, size in detector.runs] == sizes and len(found) == 1 + (side < 48)


def test_a_second_pass_over_a_frame_is_for_doubtful_faces_and_shapes_that_hold_larger_ones(as_found):
    good, mirrored = detection(300, 240, 90), detection(300, 240, 90)
    mirrored = mirrored._replace(points=mirrored.points[[1, 0, 2, 4, 3]])
    for shape, face, sizes in [
        ((360, 640), good, [640]),
        ((640, 360), good, [640]),
        ((360, 640), mirrored, [640, 256]),
        ((480, 640), good, [640, 256]),
    ]:
        detector = Scripted(shape, {640: [face]})
        FaceSearch(detector).find(np.zeros((*shape, 3), np.uint8))
        assert [size for _, size in detector.runs] == sizes


def test_a_quick_search_ends_if_all_faces_are_doubtful(monkeypatch):
    unseen = lambda detector, picture, found: [SettledFace(face, 0.0, False) for face in found]  # noqa: E731
    monkeypatch.setattr(face_search, "settle_turns", unseen)
    detector = Scripted((1080, 1920), {640: [detection(300, 300, 40)]})
    (face,) = FaceSearch(detector).find(np.zeros((1080, 1920, 3), np.uint8), quick=True)
    assert face.doubtful and [size for _, size in detector.runs] == [640]


def test_large_pictures_are_always_looked_at_finely(as_found):
    detector = Scripted((1152, 2048), {640: [detection(900, 500, 400)]})
    assert scores(detector, 2160, 3840) == [0.9]
    assert detector.runs == [((1152, 2048), 640), ((2160, 3840), 1280)]


def test_doubts_are_stated(monkeypatch):
    good = detection(100, 100, 80)
    mirrored = detection(300, 100, 80)
    mirrored = mirrored._replace(points=mirrored.points[[1, 0, 2, 4, 3]])
    unseen = detection(500, 300, 80)
    turned = lambda detector, picture, found: [SettledFace(face, 90.0, face.box[1] < 200) for face in found]  # noqa: E731
    monkeypatch.setattr(face_search, "settle_turns", turned)
    found = FaceSearch(Scripted((480, 640), {640: [good, mirrored, unseen]})).find(np.zeros((480, 640, 3), np.uint8))
    doubts = [face.doubtful for face in sorted(found, key=lambda face: face.detection.box[0])]
    assert doubts[0] == "" and "mirrored" in doubts[1] and "closer look" in doubts[2]
    assert {face.angle for face in found} == {90.0}


def test_detections_that_become_the_same_face_are_one(monkeypatch):
    """Both show a turned head, as the close looks tell."""
    head = detection(200, 200, 150, 0.95)
    monkeypatch.setattr(
        face_search, "settle_turns", lambda detector, picture, found: [SettledFace(head, 90.0, True) for _ in found]
    )
    assert scores(Scripted((480, 640), {640: [detection(160, 200, 100), detection(260, 200, 90, 0.5)]})) == [0.95]
