"""Drawing of numbered boxes."""

from dataclasses import replace

import numpy as np
import pytest

from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.overlay import COLORS, LIKENESS_COLORS, draw_faces, likeness_color


def test_boxes_and_points_are_drawn_where_the_faces_are():
    picture = np.zeros((200, 300, 3), np.uint8)
    points = np.float32([[60, 60], [90, 60], [75, 80], [65, 95], [85, 95]])
    faces = [
        DetectedFace(i, 0.9, np.float32([40 + 120 * i, 30, 110 + 120 * i, 120]), points + np.float32([120 * i, 0]))
        for i in (0, 1)
    ]
    drawn = draw_faces(picture, faces)
    assert not picture.any(), "the picture is not modified"
    for face in faces:
        color = COLORS[face.index]
        x0, _, _, y1 = face.box.astype(int)
        assert tuple(drawn[y1, x0 + 30]) == color and tuple(drawn[60, 60 + 120 * face.index]) == color
    assert not np.array_equal(drawn[0:30, 40:70], drawn[0:30, 160:190]), "the numbers differ"


def test_faces_beyond_the_edge_and_tiny_pictures():
    face = DetectedFace(12, 0.5, np.float32([-30, -40, 500, 900]), np.float32([[0, 0]] * 5))
    assert draw_faces(np.zeros((24, 20, 3), np.uint8), [face]).shape == (24, 20, 3)


def test_doubtful_faces_look_different():
    picture, box = np.zeros((200, 300, 3), np.uint8), np.float32([100, 60, 180, 150])
    points = np.float32([[120, 90], [160, 90], [140, 110], [125, 130], [155, 130]])
    certain = DetectedFace(0, 0.9, box, points)
    drawn = draw_faces(picture, [replace(certain, doubtful="the five points coincide")])
    r, g, b = drawn[149, 140].tolist()
    assert r == g == b > 0 and not np.array_equal(drawn, draw_faces(picture, [certain]))


@pytest.mark.parametrize(
    ("width", "height", "side"), [(3840, 2160, 30), (3840, 2160, 1500), (320, 240, 60), (96, 96, 40)]
)
def test_numbers_are_readable_and_leave_the_face_free(width, height, side):
    """They are 12 px high where a picture fills a screen of 1,080 px, and no higher than a fifth of a large face.

    A small face has a number that can be read where the picture is a third of that size.
    """
    x = y = 100 if side < 200 else 500
    x, y = min(x, width - side), min(y, height - side)
    box = np.float32([x, y, x + side, y + side])
    points = (np.float32([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]]) / 100 * side) + [x, y]
    drawn = draw_faces(
        np.full((height, width, 3), 50, np.uint8), [DetectedFace(8, 0.9, box, points.astype(np.float32))]
    )
    label = (drawn[:, min(int(x) + 3, width - 1)] == COLORS[8 % len(COLORS)]).all(1)
    label_height = int(label[: y + 1].sum())
    assert label_height >= 12 * min(1, height / 1080)
    assert label_height <= max(0.4 * side, 40 * max(1, height / 1080))
    if (width, side) == (3840, 30):
        assert label_height >= 36 * height / 1080
    inside = drawn[y + side // 5 : y + side - side // 10, x + side // 6 : x + side - side // 6]
    assert (inside == 50).all(2).mean() > 0.75


def test_no_number_of_a_crowd_covers_a_face_or_another_number():
    picture = np.full((1080, 1920, 3), 50, np.uint8)
    points = np.float32([[18, 24], [42, 24], [30, 36], [21, 48], [39, 48]])
    boxes = [
        np.float32([0, 0, 60, 60]) + np.tile(np.float32([20 + i % 20 * 94, 30 + i // 20 * 105]), 2) for i in range(200)
    ]
    faces = [DetectedFace(i, 0.9, box, points + box[:2]) for i, box in enumerate(boxes)]
    alone = [(draw_faces(picture, [face]) != 50).any(2).sum() for face in faces[:3]]
    drawn = draw_faces(picture, faces)
    for face, pixels in zip(faces[:3], alone, strict=True):
        x, y = face.box[:2].astype(int)
        around = (drawn[y - 22 : y + 83, x : x + 94] != 50).any(2).sum()
        assert 0.5 * pixels < around <= pixels, "the number is smaller than that of a face alone, and whole"


def test_likeness_is_a_color_and_a_number():
    low, middle, high = (np.float32(likeness_color(value)) for value in (0.0, 0.35, 0.7))
    assert (likeness_color(-1), likeness_color(1)) == (LIKENESS_COLORS[0], LIKENESS_COLORS[-1])
    # Steps in lightness, which everyone sees, whichever hues they can tell apart.
    lightness = np.stack([low, middle, high]) @ np.float32([0.299, 0.587, 0.114])
    assert np.diff(lightness).min() > 60
    picture, points = (
        np.full((200, 300, 3), 50, np.uint8),
        np.float32([[120, 90], [160, 90], [140, 110], [125, 130], [155, 130]]),
    )
    face = DetectedFace(0, 0.9, np.float32([100, 60, 180, 150]), points)
    plain, drawn = (draw_faces(picture, [face], likeness) for likeness in (None, [0.5]))
    assert tuple(drawn[149, 140]) == likeness_color(0.5)
    assert (drawn[:58] != 50).any(2).sum() > 1.5 * (plain[:58] != 50).any(2).sum(), "the label says more"
    assert np.array_equal(draw_faces(picture, [face], [None]), plain)
