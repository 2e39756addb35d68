"""Files with the places of faces."""

import json

import numpy as np
import pytest
import torch

from styleswap_core.compositing.placed_faces import PlacedFaces, frame_mark, place_points
from styleswap_core.compositing.places_file import PicturePlaces, load_places, read_places, save_places, write_places
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points


def placed_in(size, *frames):
    """Places in frames (H, W); each is a list of centers (x, y) of faces."""
    generator = torch.Generator().manual_seed(0)
    faces, marks = [], []
    for number, centers in enumerate(frames):
        for row, center in enumerate(centers):
            points = (template_points("ffhq", 1).numpy() - 0.5) * (30.1 + row) + np.float32(center)
            faces.append(place_points(number, points.astype(np.float32), "ffhq_512@512", 64))
        marks.append(frame_mark(torch.rand(*size, 3, generator=generator)) if centers else None)
    return PlacedFaces(tuple(faces), size, tuple(marks))


def same(one, other):
    return (
        one.frame_size == other.frame_size
        and len(one.faces) == len(other.faces)
        and all(
            (a.frame, a.size, a.template) == (b.frame, b.size, b.template)
            and np.array_equal(a.points, b.points)
            and torch.equal(a.matrix, b.matrix)
            for a, b in zip(one.faces, other.faces, strict=True)
        )
        and all(a is b is None or np.array_equal(a, b) for a, b in zip(one.marks, other.marks, strict=True))
    )


@pytest.fixture
def placed():
    return placed_in((80, 120), [(30, 40), (90.3, 41.7)], [], [(60, 30)])


def test_places_come_back_exactly(placed, tmp_path):
    save_places(path := tmp_path / "places.json", placed)
    assert same(load_places(path), placed)
    rows = read_places(path)
    assert [row.picture for row in rows] == ["frame00000.png", "frame00001.png", "frame00002.png"]
    assert rows[0].crops == ("frame00000_face0.png", "frame00000_face1.png") and rows[1].crops == ()
    assert [row.placed.faces[0].frame for row in rows if row.placed.faces] == [0, 0]


def test_pictures_have_names_and_sizes_of_their_own(placed, tmp_path):
    save_places(path := tmp_path / "places.json", placed, ["a.jpg", "day 1/b.png", "é.webp"])
    assert read_places(path)[2].crops == ("é_face0.png",)
    assert same(load_places(path, "a.jpg"), placed.split_frames()[0])
    other = PicturePlaces("c.png", ("c_face0.png",), placed_in((50, 70), [(20, 20)]))
    write_places(path, [*read_places(path), other])
    assert same(load_places(path, "c.png"), other.placed)
    with pytest.raises(StyleSwapError, match="pictures of several sizes"):
        load_places(path)
    with pytest.raises(StyleSwapError, match="no picture named 'd.png'"):
        load_places(path, "d.png")
    with pytest.raises(StyleSwapError, match="a name for each of 3 frames, got 1"):
        save_places(path, placed, ["a.jpg"])
    with pytest.raises(StyleSwapError, match="expected names of pictures"):
        save_places(path, placed, ["/etc/a.jpg", "b", "c"])


def edits(value):
    """Damaged copies of a file's value, by what is said about them."""
    picture, face = value["pictures"][0], value["pictures"][0]["faces"][0]
    long = "ffhq@" + "9" * 5000

    def with_face(**entries):
        return {**value, "pictures": [{**picture, "faces": [{**face, **entries}]}]}

    def with_picture(**entries):
        return {**value, "pictures": [{**picture, **entries}]}

    return [
        ([], "is damaged"),
        ({**value, "format": "styleswap-identity"}, "does not contain places of faces"),
        ({**value, "format_version": 2}, "has version 2; update this program"),
        ({**value, "format_version": "1"}, "format_version is of the kind str"),
        ({**value, "pictures": {}}, "pictures is of the kind dict"),
        ({**value, "pictures": [3]}, "damaged in picture 0"),
        (with_picture(width=0), "width is not from 1"),
        (with_picture(height=True), "height"),
        (with_picture(mark="AAAA"), "mark cannot be read"),
        (with_picture(mark=["A"]), "mark cannot be read"),
        (with_picture(mark=None), "mark is missing"),
        (with_picture(picture="../a.png"), "no path below a folder"),
        (with_picture(faces=[face, face]), "two faces have one crop"),
        (with_face(crop="/a.png"), "no path below a folder"),
        (with_face(crop=""), "no path below a folder"),
        (with_face(size=100_000), "size is not from 1 to 8192"),
        (with_face(template="square"), "template"),
        (with_face(template=long), "template"),
        (with_face(points=face["points"][:4]), "points are no 5 x 2 numbers"),
        (with_face(points=[["x", 0]] * 5), "points are no 5 x 2 numbers"),
        (with_face(points=[[1e30, 0]] * 5), "points are no 5 x 2 numbers"),
        (with_face(matrix=[[1, 0, float("nan")], [0, 1, 0]]), "matrix are no 2 x 3 numbers"),
        (with_face(matrix=[[0, 0, 0], [0, 0, 0]]), "turned and scaled"),
        (with_face(matrix=[[1, 0, 0], [1, 0, 0]]), "turned and scaled"),
        (with_face(matrix=[[-1, 0, 0], [0, 1, 0]]), "turned and scaled"),
        (with_face(matrix=[[100, 0, 0], [0, 100, 0]]), "turned and scaled"),
        (with_face(matrix=[[1e-4, 0, 0], [0, 1e-4, 0]]), "turned and scaled"),
    ]


def test_damaged_files_are_refused_in_one_sentence(placed, tmp_path):
    save_places(path := tmp_path / "places.json", placed)
    text = path.read_text(encoding="utf-8")
    for value, message in edits(json.loads(text)):
        path.write_text(json.dumps(value), encoding="utf-8")
        with pytest.raises(StyleSwapError, match=message) as error:
            load_places(path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 400 + len(str(path))
    for part in ("", text[: len(text) // 2], "\x00" * 100):
        path.write_text(part, encoding="utf-8")
        with pytest.raises(StyleSwapError, match="is damaged"):
            load_places(path)
    with pytest.raises(StyleSwapError, match="does not exist"):
        load_places(tmp_path / "missing.json")
    path.write_text(json.dumps({**json.loads(text), "pictures": []}), encoding="utf-8")
    with pytest.raises(StyleSwapError, match="lists no pictures"):
        load_places(path)
