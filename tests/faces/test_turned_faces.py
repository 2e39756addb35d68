"""Turned faces: looks at small cuts, the turn that wins, and points in the picture."""

import numpy as np
import pytest

from styleswap_core.faces.close_looks import Place, angle_between, cut_place, look_closely, roll_of
from styleswap_core.faces.turned_faces import settle_turns

from .drawn_faces import UprightDetector, draw_face, face_points


@pytest.mark.parametrize("roll", [-170, -90, -20, 0, 45, 180])
def test_roll_of_a_face(roll):
    points = face_points(np.array([30.0, 70.0]), 50, roll)
    assert angle_between(roll_of(points), roll) < 1e-6
    assert angle_between(170, -170) == pytest.approx(20)


def test_looks_are_in_the_coordinates_of_the_picture():
    true = face_points(np.array([251.3, 180.7]), 90, 90)
    picture = draw_face(np.zeros((400, 500, 3), np.uint8), true)
    place = Place(np.array([240.0, 190.0]), 160.0, 90.0)
    (look,), nothing = look_closely(UprightDetector(), picture, [place, place._replace(center=np.zeros(2))], 96)
    assert nothing == []
    np.testing.assert_allclose(look.points, true, atol=0.8)
    # The box is a square, which keeps its size and center in a quarter turn.
    np.testing.assert_allclose(look.box[2:] - look.box[:2], 90, atol=3)
    np.testing.assert_allclose((look.box[2:] + look.box[:2]) / 2, true.mean(0), atol=0.8)


def test_a_cut_at_the_scale_of_the_picture_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    upright = cut_place(picture, Place(np.array([52.0, 36.0]), 32.0, 0.0), 32)
    np.testing.assert_array_equal(upright, picture[20:52, 36:68])
    quarter = cut_place(picture, Place(np.array([52.0, 36.0]), 32.0, 90.0), 32)
    np.testing.assert_array_equal(quarter, np.rot90(picture[20:52, 36:68]))
    beyond = cut_place(picture, Place(np.array([0.0, 0.0]), 32.0, 0.0), 32)
    assert not beyond[:16].any() and not beyond[:, :16].any() and beyond[16:, 16:].any()


@pytest.mark.parametrize("roll", [60, 90, 135, 180, -90, -120])
def test_turned_faces_get_their_points_and_angle(roll):
    true = face_points(np.array([300.0, 220.0]), 120, roll)
    picture, detector = draw_face(np.zeros((480, 640, 3), np.uint8), true), UprightDetector()
    (found,) = detector.detect(picture, 640)
    assert np.abs(found.points - true).max() > 25
    (settled,) = settle_turns(detector, picture, [found])
    assert angle_between(settled.angle, roll) < 5 and settled.seen
    np.testing.assert_allclose(settled.face.points, true, atol=3)


@pytest.mark.parametrize("roll", [0, 15, -20])
def test_upright_faces_keep_their_points_after_one_run(roll):
    picture = draw_face(np.zeros((480, 640, 3), np.uint8), face_points(np.array([300.0, 220.0]), 120, roll))
    detector = UprightDetector()
    found = detector.detect(picture, 640)
    detector.runs.clear()
    (settled,) = settle_turns(detector, picture, found)
    assert settled.face is found[0] and angle_between(settled.angle, roll) < 2
    assert [shape for shape, _ in detector.runs] == [(128, 192)]


def test_several_faces_share_runs():
    picture, detector = np.zeros((480, 960, 3), np.uint8), UprightDetector()
    rolls = [0, 90, 180, 0, -90]
    for number, roll in enumerate(rolls):
        draw_face(picture, face_points(np.array([100.0 + 180 * number, 240.0]), 90, roll))
    found = detector.detect(picture, 960)
    detector.runs.clear()
    settled = settle_turns(detector, picture, found)
    by_place = sorted(settled, key=lambda face: face.face.points[:, 0].mean())
    assert [angle_between(face.angle, roll) < 5 for face, roll in zip(by_place, rolls, strict=True)] == [True] * 5
    # One for all in six turns, one for the turned ones in twelve, and one for each of these.
    assert len(detector.runs) <= 2 + 2 * 3


def test_detections_that_no_look_confirms_are_not_seen():
    detector, picture = UprightDetector(), np.zeros((200, 200, 3), np.uint8)
    (found,) = UprightDetector().detect(draw_face(picture.copy(), face_points(np.array([90.0, 90.0]), 60)), 200)
    (settled,) = settle_turns(detector, picture, [found])
    assert settled.face is found and not settled.seen


def test_a_false_detection_beside_a_face_becomes_that_face():
    true = face_points(np.array([100.0, 100.0]), 60)
    picture, detector = draw_face(np.zeros((300, 300, 3), np.uint8), true), UprightDetector()
    (found,) = detector.detect(picture, 300)
    beside = found._replace(box=found.box + 40, points=found.points + 40, score=0.5)
    first, second = settle_turns(detector, picture, [found, beside])
    assert first.face is found
    np.testing.assert_allclose(second.face.points, true, atol=2)


def test_without_faces_the_detector_does_not_run():
    detector = UprightDetector()
    assert settle_turns(detector, np.zeros((64, 64, 3), np.uint8), []) == [] and detector.runs == []
