"""Frames without faces: which of them are searched thoroughly."""

from dataclasses import replace

import numpy as np

from styleswap_core.faces.detected import DetectedFace
from styleswap_core.pipeline.empty_frames import INTERVAL, EmptyFrames

GRAY = np.full((180, 320, 3), 100, np.uint8)
FIVE = np.zeros((5, 2), np.float32)
FACE = [DetectedFace(0, 0.9, np.zeros(4, np.float32), FIVE)]
DOUBTFUL = [replace(FACE[0], doubtful="a closer look finds no face here")]


def searches(frames, found=lambda number, quick: [], numbers=None, **settings):
    """Whether each frame is searched quickly."""
    empty, quickly = EmptyFrames(**settings), []

    def detect(number, quick):
        quickly.append(quick)
        return found(number, quick)

    for number, frame in zip(numbers or range(len(frames)), frames, strict=True):
        empty.search(number, frame, lambda quick, number=number: detect(number, quick))
    return quickly


def test_empty_frames_are_searched_thoroughly_from_time_to_time():
    noise = np.random.default_rng(0).integers(-3, 4, (2 * INTERVAL, *GRAY.shape))
    frames = [np.uint8(GRAY + one) for one in noise]
    assert searches(frames) == 2 * [False, *[True] * (INTERVAL - 1)]


def test_frames_that_are_left_out_count():
    assert searches([GRAY] * 4, numbers=[0, INTERVAL - 1, INTERVAL, 2 * INTERVAL]) == [False, True, False, False]


def test_frames_with_faces_are_searched_thoroughly_and_so_is_the_first_without():
    found = lambda number, quick: FACE if number in (1, 2, 5) else []  # noqa: E731
    assert searches([GRAY] * 8, found) == [False, True, False, False, True, True, False, True]


def test_another_picture_is_searched_thoroughly():
    other = GRAY.copy()
    other[40:140, 100:220] = 200
    assert searches([GRAY, other, GRAY, GRAY[:90], GRAY[:90]]) == [False, False, False, False, True]


def test_doubtful_faces_count_only_if_they_are_swapped():
    found = lambda number, quick: DOUBTFUL  # noqa: E731
    assert searches([GRAY] * 3, found) == [False, True, True]
    assert searches([GRAY] * 3, found, count_doubtful=True) == [False, False, False]
