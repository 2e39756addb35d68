"""Extraction of identities from pictures in memory: one from several faces, or one per face."""

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.extraction import CROP_SIZE, average_sources, find_source_faces, separate_sources


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
