"""Photographs of heads before a background that is out of focus: one that is large, and small ones beside it."""

import cv2
import numpy as np
import pytest
from real_faces import PACK, PORTRAITS, needs_real_faces

from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.detailed_parts import detailed_parts
from styleswap_core.io.images import load_image

# Left and top edge, side, and blur of each picture of a head in a frame of 1920 x 1080.
PLACES = ((120, 200, 700, 0.0), (1100, 80, 110, 0.0), (1700, 900, 130, 1.5), (1250, 700, 180, 3.0))


def frame_with(places):
    coarse = np.random.default_rng(1).integers(80, 180, (5, 8, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    for (x, y, side, blur), path in zip(places, sorted(PORTRAITS.iterdir())[::5], strict=False):
        head = cv2.resize(load_image(path), (side, side), interpolation=cv2.INTER_AREA)
        picture[y : y + side, x : x + side] = cv2.GaussianBlur(head, (0, 0), blur) if blur else head
    return picture


@needs_real_faces
@pytest.mark.parametrize("count", [1, 4])
def test_heads_are_found_as_in_the_whole_picture(count):
    frame, analyzer = frame_with(PLACES[:count]), load_face_analysis(PACK)
    found = analyzer.detect(frame, "left-right", embed=False)
    analyzer._search.detector.any_shape = False
    expected = analyzer.detect(frame, "left-right", embed=False)
    assert len(found) == len(expected) == count
    for face, other in zip(found, expected, strict=True):
        eye_distance = np.linalg.norm(other.points[1] - other.points[0])
        assert np.abs(face.points - other.points).mean() < 0.06 * eye_distance and not face.doubtful


@needs_real_faces
def test_parts_leave_out_the_background():
    parts = detailed_parts(cv2.resize(frame_with(PLACES[:1]), (640, 360)))
    assert sum((part.right - part.left) * (part.bottom - part.top) for part in parts) < 0.6 * 640 * 360
