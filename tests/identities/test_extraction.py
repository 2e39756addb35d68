"""Extraction of identities from pictures in memory: one from several faces, or one per face."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import recognizer_crop
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities import extraction
from styleswap_core.identities.extraction import (
    CROP_SIZE,
    average_sources,
    extract_identities,
    extract_identity,
    find_source_faces,
    separate_sources,
)
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import from_uint8, save_image


def vector(*weights):
    values = np.zeros(512, np.float32)
    values[: len(weights)] = weights
    return values / np.linalg.norm(values)


class ScriptedAnalysis:
    """Face analysis that returns given embeddings; the first pixel of a picture is its index."""

    recognizer = RecognizerId("known", "b" * 64)

    def __init__(self, *pictures):
        self.pictures = pictures

    def detect(self, picture, order="largest", embed=True):
        faces = []
        for place, embedding in enumerate(self.pictures[picture[0, 0, 0]]):
            points = np.float32([[20, 20], [40, 20], [30, 30], [22, 42], [38, 42]]) + np.float32([60 * place, 0])
            box = np.float32([10 + 60 * place, 10, 50 + 60 * place, 50 - place])
            faces.append(DetectedFace(0, 0.9, box, np.float32(points), embedding))
        return order_faces(faces, order)

    def with_gender_age(self, picture, faces, required=False):
        genders = {ANNA.tobytes(): "female", BERT.tobytes(): "male"}
        return [replace(face, gender=genders[face.id_embedding.tobytes()]) for face in faces]

    def embed(self, picture, points):
        raise AssertionError("the faces have embeddings")


def pictures(count):
    made = [np.full((64, 128, 3), 100, np.uint8) for _ in range(count)]
    for number, picture in enumerate(made):
        picture[0, 0, 0] = number
    return made


ANNA, ANNA_TOO, BERT = vector(1, 0.1), vector(1, -0.1), vector(0, 0, 1)


def test_average_of_several_pictures():
    analyzer = ScriptedAnalysis([ANNA], [], [ANNA_TOO, BERT])
    seen = []
    faces, problems = find_source_faces(pictures(3), analyzer, FaceChoice("largest"), seen.append)
    assert seen == [0, 1, 2] and problems == ["image 1: no face found"]
    assert [(source.picture, source.face.index) for source in faces] == [(0, 0), (2, 0)]
    assert all(source.crop.shape == (3, CROP_SIZE, CROP_SIZE) for source in faces)
    identity, similarities, outliers = average_sources(faces, analyzer)
    assert torch.allclose(identity.id_embedding, torch.from_numpy(vector(1)), atol=1e-6)
    assert (
        identity.recognizer == RecognizerId("known", "b" * 64)
        and len(identity.sources) == 2
        and outliers == [False, False]
    )
    assert similarities[0] == pytest.approx(float(ANNA @ ANNA_TOO), abs=1e-5)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (-25, -15), (310, 200)])
def test_crops_are_cut_from_the_surroundings_of_the_face(monkeypatch, x, y):
    points = np.float32([[30, 30], [52, 31], [41, 42], [33, 55], [50, 54]]) + np.float32([x, y])
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    whole = recognizer_crop(from_uint8(picture), torch.from_numpy(points)[None], CROP_SIZE)[0]
    sizes = []
    monkeypatch.setattr(extraction, "from_uint8", lambda part: sizes.append(part.shape) or from_uint8(part))
    crop = extraction._cut_crop(picture, points)
    assert torch.allclose(crop, whole, atol=2e-3) and max(sizes[0]) < 120


def test_outliers_are_found_and_dropped_on_request():
    analyzer = ScriptedAnalysis([ANNA], [ANNA_TOO], [ANNA], [BERT])
    faces, _ = find_source_faces(pictures(4), analyzer, FaceChoice("largest"))
    kept, _, outliers = average_sources(faces, analyzer)
    assert outliers == [False, False, False, True] and kept.id_embedding[2] > 0.1
    assert average_sources(faces, analyzer, drop_outliers=True)[0].id_embedding[2] == 0


def test_one_identity_per_face():
    analyzer = ScriptedAnalysis([ANNA, BERT])
    faces, _ = find_source_faces(pictures(1), analyzer, FaceChoice("all", "right-left"))
    first, second = separate_sources(faces, analyzer)
    assert np.allclose(first.id_embedding, BERT) and np.allclose(second.id_embedding, ANNA)
    assert first.sources == second.sources, "the hash is that of the picture"


def test_pictures_without_faces_and_packs_without_recognizer_are_refused():
    with pytest.raises(StyleSwapError, match="image 0: no face found"):
        find_source_faces(pictures(2), ScriptedAnalysis([], []), FaceChoice("all"))
    with pytest.raises(StyleSwapError, match="there are no pictures"):
        find_source_faces([], ScriptedAnalysis(), FaceChoice("all"))
    with pytest.raises(StyleSwapError, match="no recognizer"):
        find_source_faces(pictures(1), ScriptedAnalysis([None]), FaceChoice("all"))


@pytest.fixture
def files(tmp_path):
    """Picture files whose numbers `ScriptedAnalysis` reads."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, picture in zip(paths, pictures(4), strict=True):
        save_image(path, picture)
    return paths


def test_files_and_arrays_give_the_same_average(files):
    analyzer = ScriptedAnalysis([ANNA], [], [ANNA_TOO, BERT], [BERT])
    of_files, of_arrays = extract_identities(files, analyzer), extract_identities(pictures(4), analyzer)
    assert torch.equal(of_files.identities[0].id_embedding, of_arrays.identities[0].id_embedding)
    assert of_files.identities[0].sources == tuple(file_sha256(files[number]) for number in (0, 2, 3))
    assert of_files.summary()[1].startswith(f"{files[0]}: face 0, likeness to the others 0.")
    assert of_arrays.summary()[2].startswith("image 2: face 0 of 2, likeness")
    assert of_files.summary()[-1] == f"{files[1]}: no face found, skipped"


def test_summary_of_an_average():
    analyzer = ScriptedAnalysis([ANNA], [ANNA_TOO], [ANNA], [BERT], [])
    found = extract_identities(pictures(5), analyzer, outliers="leave out")
    assert found.averaged and found.summary() == [
        "1 identity from 3 faces",
        "image 0: face 0, likeness to the others 0.89",
        "image 1: face 0, likeness to the others 0.88",
        "image 2: face 0, likeness to the others 0.89",
        "image 3: face 0, likeness to the others 0.00, outlier (possibly another person), left out",
        "image 4: no face found, skipped",
    ]
    assert extract_identities(pictures(1), analyzer).summary() == ["1 identity from 1 face", "image 0: face 0"]


def test_summary_of_one_identity_per_face():
    analyzer = ScriptedAnalysis([ANNA, BERT], [BERT])
    found = extract_identities(pictures(2), analyzer, FaceChoice("all", "right-left"), "one per face")
    assert not found.averaged and [int(one.id_embedding.argmax()) for one in found.identities] == [2, 0, 2]
    assert found.summary() == [
        "3 identities",
        "identity 0: image 0, face 0 of 2",
        "identity 1: image 0, face 1 of 2",
        "identity 2: image 1, face 0",
    ]
    assert found.summary(["a", "b", "c"])[1] == "a: image 0, face 0 of 2"
    for choice in ({"combine": "sum"}, {"outliers": "drop"}):
        with pytest.raises(StyleSwapError, match="out of"):
            extract_identities(pictures(2), analyzer, **choice)


@pytest.mark.parametrize(
    ("face", "person"),
    [
        (FaceChoice("by index", "right-left", (0,)), BERT),
        (FaceChoice("by index", "left-right", (0,)), ANNA),
        (FaceChoice("largest", gender="male"), BERT),
        (FaceChoice("largest"), ANNA),
        ("largest", ANNA),
        ([1], BERT),
    ],
)
def test_one_face_of_each_file_by_order_and_gender(files, face, person):
    identity, (report,) = extract_identity(files[:1], ScriptedAnalysis([ANNA, BERT]), face)
    assert np.allclose(identity.id_embedding, person) and report.faces_found == 2


def test_a_face_that_is_not_there_is_named(files):
    with pytest.raises(StyleSwapError, match=r"0\.png: no face is male, 1 face found; choose another face"):
        extract_identity(files[:1], ScriptedAnalysis([ANNA]), FaceChoice("largest", gender="male"))
    _, reports = extract_identity(files, ScriptedAnalysis([ANNA], [ANNA], [ANNA], [BERT]), drop_outliers=True)
    assert [report.left_out for report in reports] == [False, False, False, True]
