"""Fine search of large pictures: tiles, levels, doubles, and when it pays."""

import itertools

import numpy as np
import pytest

from styleswap_core.faces.face_networks import Detection
from styleswap_core.faces.tiles import merge, search_finely, tile_starts, without_doubles

from .drawn_faces import UprightDetector, draw_face, face_points


@pytest.mark.parametrize(("length", "count"), [(600, 1), (1280, 1), (1281, 2), (2432, 2), (2433, 3), (5000, 5)])
def test_tiles_cover_a_length_and_overlap(length, count):
    tiles = tile_starts(length, 1280, 128)
    assert len(tiles) == count and tiles[0][0] == 0 and tiles[-1][1] == length
    assert all(end - start <= 1280 for start, end in tiles)
    assert all(first[1] - second[0] >= 127 for first, second in itertools.pairwise(tiles))


def crowd(width, height, side, columns, rows):
    """A picture with a grid of faces, and their points."""
    picture = np.zeros((height, width, 3), np.uint8)
    points = [
        face_points(np.array([(column + 0.5) * width / columns, (row + 0.5) * height / rows]), side)
        for row in range(rows)
        for column in range(columns)
    ]
    for five in points:
        draw_face(picture, five)
    return picture, np.array(points)


def test_small_faces_are_found_once_each_across_tiles():
    # 60 faces of 40 px, of which a pass at 640 px sees 6.7 px.
    picture, points = crowd(3840, 2160, 40, 10, 6)
    detector = UprightDetector(smallest=12)
    assert detector.detect(picture, 640) == []
    found = search_finely(detector, picture, [], 640, always=False)
    assert len(found) == 60
    centers = sorted(tuple(face.points.mean(0).round().astype(int).tolist()) for face in found)
    assert np.abs(np.array(centers) - sorted(points.mean(1).round().tolist())).max() <= 2


def test_finer_levels_leave_out_what_has_no_detail():
    picture, _ = crowd(3840, 2160, 40, 10, 6)
    # Of six tiles of the second level, those on the right show nothing.
    picture[:, 1920:] = 0
    detector = UprightDetector(smallest=12, any_shape=True)
    assert len(search_finely(detector, picture, [], 640, always=False)) == 30
    everywhere = UprightDetector(smallest=12)
    assert len(search_finely(everywhere, picture, [], 640, always=False)) == 30
    assert 0 < len(detector.runs) < len(everywhere.runs)


def test_faces_on_the_seam_of_tiles_are_whole():
    detector, picture = UprightDetector(smallest=12), np.zeros((1440, 2560, 3), np.uint8)
    # Two tiles of 1344 px, from 0 and from 1216.
    true = [face_points(np.array([x, 700.0]), 60) for x in (1216.0, 1280.0, 1344.0)]
    for points in true:
        draw_face(picture, points)
    found = search_finely(detector, picture, [], 1280, always=False)
    assert len(found) == 3
    for points in true:
        assert min(np.abs(face.points - points).max() for face in found) < 1.5


@pytest.mark.parametrize(
    ("side", "always", "sizes"),
    [
        (300, False, []),  # 50 px at 640: no reason to look more closely
        (300, True, [1280]),  # found nothing new, so no further level
        (100, False, [1280]),  # 17 px at 640
    ],
)
def test_finer_levels_are_searched_only_where_they_pay(side, always, sizes):
    picture, _ = crowd(3840, 2160, side, 3, 2)
    detector = UprightDetector()
    found = detector.detect(picture, 640)
    detector.runs.clear()
    assert len(search_finely(detector, picture, found, 640, always)) == 6
    assert [size for _, size in detector.runs] == sizes


def test_no_level_enlarges_a_picture():
    detector = UprightDetector()
    assert search_finely(detector, np.zeros((300, 500, 3), np.uint8), [], 640, always=True) == []
    assert detector.runs == []
    search_finely(detector, np.zeros((500, 1000, 3), np.uint8), [], 640, always=True)
    assert [size for _, size in detector.runs] == [1000]


def square(x, y, side, score=0.9):
    return Detection(np.array([x, y, x + side, y + side], dtype=np.float64), score, np.full((5, 2), float(x)))


def test_large_faces_come_from_the_coarse_level_and_small_ones_from_the_fine_one():
    coarse = [square(0, 0, 400), square(1000, 0, 60)]
    fine = [square(10, 10, 400), square(1004, 0, 60), square(2000, 0, 60)]
    merged = merge(coarse, fine, coarse_scale=0.5)
    assert sorted(face.points[0, 0] for face in merged) == [0, 1004, 2000]


def test_a_face_and_a_part_of_it_are_one():
    whole, part, other = square(0, 0, 100), square(20, 20, 40, 0.6), square(300, 0, 100)
    assert without_doubles([part, whole, other]) == [whole, other]
    assert without_doubles([whole, part, other]) == [whole, other]
