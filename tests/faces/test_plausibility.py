"""Plausibility of five points: what is doubted, and what is not."""

import numpy as np
import pytest

from styleswap_core.faces.face_networks import Detection
from styleswap_core.faces.plausibility import doubt_about
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import five_points

from .drawn_faces import face_points

CENTER = np.array([200.0, 150.0])
BOX = np.array([150.0, 100.0, 250.0, 200.0])


def doubt(points, box=BOX):
    return doubt_about(Detection(box, 0.9, points))


@pytest.mark.parametrize("roll", [0, 30, 90, 180, -135])
def test_a_face_is_plausible_in_every_turn(roll):
    assert doubt(face_points(CENTER, 100, roll)) == ""


@pytest.mark.parametrize("yaw", [-42.0, 0.0, 42.0, 60.0])
def test_faces_of_the_face_world_are_plausible(yaw):
    points = five_points(Identities.from_seeds(range(200)), Attributes.from_seeds(range(200), yaw=yaw), 256).numpy()
    for five in points.astype(np.float64):
        center = five.mean(0)
        box = np.concatenate([center - 50, center + 50])
        scaled = center + (five - center) * 25 / np.linalg.norm(five - center, axis=1).mean()
        assert doubt(scaled, box) == ""


@pytest.mark.parametrize("roll", [0, 70])
def test_what_is_doubted(roll):
    points = face_points(CENTER, 100, roll)
    swapped = points.copy()
    swapped[[0, 1, 3, 4]] = points[[1, 0, 4, 3]]
    assert "mirrored" in doubt(swapped)
    crossed = points.copy()
    crossed[[3, 4]] = points[[4, 3]]
    assert "wrong order" in doubt(crossed)
    flung = points.copy()
    flung[2] += [90, 0]
    assert "form of a face" in doubt(flung)
    assert "box" in doubt(CENTER + (points - CENTER) * 0.3)
    assert "box" in doubt(CENTER + (points - CENTER) * 3.0)
    assert "middle of the box" in doubt(points + 45)
    assert "coincide" in doubt(np.tile(CENTER, (5, 1)))
    assert doubt(np.full((5, 2), np.nan)) != ""


def test_a_mouth_beside_the_eyes_is_doubted():
    points = np.array([[180, 150], [220, 150], [200, 160], [184, 152], [216, 152]], dtype=np.float64)
    assert "mouth is not below" in doubt(points)
