"""Drawing of numbered boxes."""

import numpy as np

from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.overlay import COLORS, draw_faces


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
