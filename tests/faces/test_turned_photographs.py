"""Photographs of heads on their side, upside down, and small in a large picture."""

import cv2
import numpy as np
import pytest
from real_faces import PACK, PORTRAITS, needs_real_faces

from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.close_looks import angle_between
from styleswap_core.io.images import load_image


@pytest.fixture(scope="module")
def analyzer():
    return load_face_analysis(PACK)


@pytest.fixture(scope="module")
def portraits(analyzer):
    """Every second picture, at a quarter of its size, with the points of its upright face."""
    pictures = [cv2.resize(load_image(path), (512, 512)) for path in sorted(PORTRAITS.iterdir())[::2]]
    return [(picture, analyzer.detect(picture, embed=False)[0]) for picture in pictures]


def turned(points, quarters, side):
    """Points of a square picture that is turned clockwise by quarters."""
    for _ in range(quarters):
        points = np.stack([side - points[:, 1], points[:, 0]], 1)
    return points


@needs_real_faces
@pytest.mark.parametrize("quarters", range(4))
def test_heads_turned_by_quarters(analyzer, portraits, quarters):
    for picture, upright in portraits:
        found = analyzer.detect(np.ascontiguousarray(np.rot90(picture, -quarters)), "confidence", embed=False)
        assert not found[0].doubtful and angle_between(found[0].angle, upright.angle + 90 * quarters) < 20
        error = np.abs(found[0].points - turned(upright.points, quarters, 512)).mean()
        assert error < 0.12 * np.linalg.norm(upright.points[1] - upright.points[0])


@needs_real_faces
def test_upright_portraits_are_not_doubted(portraits):
    assert not any(face.doubtful for _, face in portraits)


@needs_real_faces
def test_heads_in_a_large_picture_are_found_once_each(analyzer, portraits):
    picture, side = np.full((2160, 3840, 3), 90, np.uint8), 90
    corners = [(100 + 620 * column, 150 + 1000 * row) for row in range(2) for column in range(6)]
    for (x, y), (portrait, _) in zip(corners, portraits, strict=True):
        picture[y : y + side, x : x + side] = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    found = [face.points.mean(0) for face in analyzer.detect(picture, embed=False) if not face.doubtful]
    for (x, y), (_, upright) in zip(corners, portraits, strict=True):
        middle = upright.points.mean(0) * side / 512 + [x, y]
        assert sum(float(np.linalg.norm(one - middle)) < 12 for one in found) == 1
