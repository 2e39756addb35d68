"""Ordering and selection of faces."""

import itertools

import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import select_faces
from styleswap_core.faces.detected import FACE_ORDERS, DetectedFace, order_faces


def face(x, y, side, score=0.9, index=0):
    return DetectedFace(index, score, np.float32([x, y, x + side, y + side]), np.zeros((5, 2), dtype=np.float32))


FACES = [face(10, 50, 20, 0.7), face(60, 5, 40, 0.8), face(200, 90, 30, 0.95)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("largest", [60, 200, 10]),
        ("left-right", [10, 60, 200]),
        ("right-left", [200, 60, 10]),
        ("top-bottom", [60, 10, 200]),
        ("bottom-top", [200, 10, 60]),
        ("confidence", [200, 60, 10]),
        ("smallest", [10, 200, 60]),
    ],
)
def test_orders(order, expected):
    ordered = order_faces(FACES, order)
    assert [found.box[0] for found in ordered] == expected
    assert [found.index for found in ordered] == [0, 1, 2]


@pytest.mark.parametrize("order", FACE_ORDERS)
def test_ties_do_not_depend_on_the_order_of_detection(order):
    same = [face(0, 30, 10, 0.5), face(30, 0, 10, 0.5), face(0, 0, 10, 0.5), face(0, 0, 10, 0.6)]
    results = {
        tuple((found.box[0], found.box[1], found.score) for found in order_faces(arrangement, order))
        for arrangement in itertools.permutations(same)
    }
    assert len(results) == 1


def test_unknown_order():
    with pytest.raises(StyleSwapError, match="left-right"):
        order_faces(FACES, "by age")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("largest", [60]),
        ("all", [10, 60, 200]),
        ("0,2", [10, 200]),
        (" 2 , 0,", [200, 10]),
        ([1], [60]),
        (np.array([2, 0]), [200, 10]),
        ((np.uint8(1), 2), [60, 200]),
        ("1,1", [60]),
    ],
)
def test_selection(choice, expected):
    assert [found.box[0] for found in select_faces(order_faces(FACES, "left-right"), choice)] == expected


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("3", "no face 3, 3 faces found; use indices 0..2"),
        ([-1], "no face -1, 3 faces found"),
        ("biggest", "largest, all, or indices"),
        ("", "largest, all, or indices"),
        ("1.5", "largest, all, or indices"),
        ("-1", "largest, all, or indices"),
        ([], "largest, all, or indices"),
        ([np.True_], "largest, all, or indices"),
        ([1.0], "largest, all, or indices"),
        ([True], "largest, all, or indices"),
    ],
)
def test_invalid_selections_are_refused(choice, words):
    with pytest.raises(StyleSwapError, match=words):
        select_faces(order_faces(FACES), choice)


@pytest.mark.parametrize("choice", ["largest", "all", "0"])
def test_no_face(choice):
    with pytest.raises(StyleSwapError, match="no face found"):
        select_faces([], choice)
