"""Extraction from picture files: averaging, outliers, and errors that name the file."""

import numpy as np
import pytest
import torch
from toy_identities import vector

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.extraction import extract_identity
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import save_image


class PaintedFaces:
    """Face analysis that reads the number of faces and their person from a picture's first pixel."""

    recognizer = RecognizerId("painted", "b" * 64)

    def detect(self, picture, order="largest", embed=True):
        count, person, variation = (int(value) for value in picture[0, 0])
        embedding = vector(1000 + variation, near=vector(person))
        box = np.float32([0, 0, 16, 16])
        points = np.float32([[6, 6], [12, 6], [9, 9], [7, 12], [11, 12]])
        return [DetectedFace(i, 0.9, box, points, embedding) for i in range(count)]

    def embed(self, picture, points):
        return self.detect(picture)[0].id_embedding


@pytest.fixture
def paint(tmp_path):
    def make(name, count, person, variation=0):
        picture = np.zeros((20, 20, 3), dtype=np.uint8)
        picture[0, 0] = (count, person, variation)
        save_image(tmp_path / name, picture)
        return tmp_path / name

    return make


def test_extraction_records_its_sources(paint):
    paths = [paint(f"{i}.png", 1, 5, i) for i in range(3)]
    made, reports = extract_identity(paths, PaintedFaces())
    assert made.recognizer == RecognizerId("painted", "b" * 64)
    assert made.sources == tuple(file_sha256(path) for path in paths)
    assert float(made.id_embedding @ torch.from_numpy(vector(5))) > 0.9
    assert [report.faces_found for report in reports] == [1, 1, 1] and not any(report.outlier for report in reports)


def test_outliers_are_kept_unless_dropped(paint):
    paths = [paint(f"{i}.png", 1, 5, i) for i in range(4)] + [paint("stranger.png", 1, 77)]
    kept, reports = extract_identity(paths, PaintedFaces())
    dropped, _ = extract_identity(paths, PaintedFaces(), drop_outliers=True)
    assert [report.outlier for report in reports] == [False] * 4 + [True]
    assert len(kept.sources) == 5 and len(dropped.sources) == 4
    person = torch.from_numpy(vector(5))
    assert dropped.id_embedding @ person > kept.id_embedding @ person


def test_extraction_errors_name_the_picture(paint, tmp_path):
    for name, count, face, words in [
        ("no.png", 0, "largest", "no face"),
        ("two.png", 2, "all", "one source face"),
        ("far.png", 1, "3", "1 face found"),
    ]:
        with pytest.raises(StyleSwapError, match=rf"{name}.*{words}"):
            extract_identity([paint(name, count, 1)], PaintedFaces(), face)
    with pytest.raises(StyleSwapError, match="at least one"):
        extract_identity([], PaintedFaces())
