"""Gender and age by a network of genderage's form, and the choice of faces by them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from gender_age_network import write_genderage

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.gender_age import FILE, GenderAgeModel, load_gender_age
from styleswap_core.faces.packs import DEMO_PACK


@pytest.fixture
def pack(tmp_path):
    folder = tmp_path / "pack"
    shutil.copytree(DEMO_PACK, folder)
    write_genderage(folder / FILE)
    return folder


def face(box):
    return DetectedFace(0, 0.9, np.float32(box), np.zeros((5, 2), np.float32))


def painted():
    """Two plain heads on one canvas: dark red with 30 % green, light red with 60 % green."""
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[:, :200, :2] = 51, 77
    picture[:, 200:, :2] = 204, 153
    return picture, [face((50, 50, 150, 150)), face((250, 50, 350, 150))]


def test_gender_and_age_are_read_from_the_region_of_each_face(pack):
    picture, faces = painted()
    found = load_gender_age(pack).describe(picture, faces)
    assert [(one.gender, one.age) for one in found] == [("female", 30), ("male", 60)]
    assert found[0].box is faces[0].box


class UprightOnly:
    """In place of insightface's `Attribute`: male if the upper half of the face's box is the brighter one."""

    def get(self, picture, face):
        x0, y0, x1, y1 = (face.bbox + 0.5).round().astype(int)
        middle = (y0 + y1) // 2
        return int(picture[y0:middle, x0:x1].mean() > picture[middle:y1, x0:x1].mean()), 30


@pytest.mark.parametrize("turns", range(4))
def test_turned_faces_are_shown_upright(turns):
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[60:100, 60:140] = 255
    turned = replace(face((60, 60, 140, 140)), angle=90.0 * turns - (360 if turns > 2 else 0))
    (found,) = GenderAgeModel(UprightOnly()).describe(np.ascontiguousarray(np.rot90(picture, -turns)), [turned])
    assert found.gender == "male"


def test_analysis_describes_faces_only_on_request(pack):
    picture, faces = painted()
    analysis = load_face_analysis(pack)
    assert [one.gender for one in faces] == ["", ""]
    assert [one.gender for one in analysis.with_gender_age(picture, faces)] == ["female", "male"]


def test_pack_without_the_network():
    picture, faces = painted()
    analysis = load_face_analysis()
    assert analysis.with_gender_age(picture, faces) == faces
    with pytest.raises(StyleSwapError, match="genderage.onnx, such as insightface's buffalo_l"):
        analysis.with_gender_age(picture, faces, required=True)


def test_another_network_under_that_name(pack):
    write_genderage(pack / FILE, outputs=5)
    with pytest.raises(StyleSwapError, match="expected a network for gender and age"):
        load_gender_age(pack)


def described(gender, age, side=10.0):
    return DetectedFace(0, 0.9, np.float32([0, 0, side, side]), np.zeros((5, 2), np.float32), gender=gender, age=age)


PEOPLE = [described("male", 50, 30), described("female", 30, 20), described("female", 8)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gender": "female"}, [1, 2]),
        ({"ages": (20, 60)}, [0, 1]),
        ({"gender": "female", "ages": (20, 60)}, [1]),
        ({}, [0, 1, 2]),
    ],
)
def test_choice_is_restricted(options, expected):
    picked, problems = FaceChoice("all", **options).pick(PEOPLE)
    assert [PEOPLE.index(one) for _, one in picked] == expected and not problems


def test_largest_of_the_wanted_faces():
    ((_, one),), problems = FaceChoice("largest", gender="female").pick(PEOPLE)
    assert one is PEOPLE[1] and not problems


def test_nobody_is_wanted():
    picked, problems = FaceChoice("all", gender="male", ages=(0, 10)).pick(PEOPLE)
    assert picked == [] and problems == ["no face is male and 0 to 10 years old, 3 faces found"]


@pytest.mark.parametrize("options", [{"gender": "woman"}, {"ages": (40, 20)}])
def test_invalid_restriction(options):
    with pytest.raises(StyleSwapError, match="expected a (gender|range of ages)"):
        FaceChoice("all", **options)
