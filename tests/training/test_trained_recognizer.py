"""A newly trained model accepts identities of its recognizer from any source, including ReActor's face models."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from training_toys import write_recognizer

from styleswap_core.checkpoints.native import load_generator, save_generator
from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.reactor_files import load_any_identity, save_face_model
from styleswap_core.io.files import file_sha256
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.model_files import load_model
from styleswap_core.synthetic.columns import ColumnPlan, build_columns

SIZE = 32


class OneFace:
    """A face analysis with one face in every picture."""

    def __init__(self, recognizer: RecognizerId) -> None:
        self.recognizer = recognizer

    def detect(self, picture, order="largest", embed=True, quick=False):
        points = template_points("ffhq", SIZE).numpy()
        return [DetectedFace(0, 0.9, np.float32([0, 0, SIZE, SIZE]), points, None)]

    def embed(self, picture, points):
        return np.eye(512, dtype=np.float32)[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Model trained with a recognizer called w600k_r50, and the id of that recognizer."""
    folder = tmp_path_factory.mktemp("trained")
    recognizer = write_recognizer(folder / "w600k_r50.onnx")
    columns = build_columns(
        folder / "columns",
        ColumnPlan(columns=4, members=3, size=SIZE, identities=9),
        lambda points: estimate_similarity(points, template_points("ffhq", SIZE)),
    )
    settings = {"model": "tiny", "data": str(columns.folder), "steps": 1, "batch": 2, "sample_images": 0}
    settings |= {"recognizer": str(recognizer), "weights": {"adversarial": 0.0}}
    (folder / "config.json").write_text(json.dumps(settings))
    words = ["train", "--out", str(folder / "run"), "--config", str(folder / "config.json"), "--device", "cpu"]
    assert main(words) == 0
    return folder / "run" / "generator_ema.safetensors", RecognizerId("w600k_r50", file_sha256(recognizer))


@pytest.fixture
def face_model(tmp_path):
    path = tmp_path / "anna.safetensors"
    save_face_model(path, Identity(torch.arange(1.0, 513.0), RecognizerId("w600k_r50")))
    return load_any_identity(path)


PICTURE = np.full((SIZE, SIZE, 3), 90, dtype=np.uint8)


def test_a_reactor_face_model_fits_a_freshly_trained_model(trained, face_model):
    path, recognizer = trained
    model = load_model(path, "cpu")
    assert model.recognizer == recognizer and face_model.recognizer == RecognizerId("w600k_r50")
    assert len(Swapper(model, OneFace(recognizer)).swap(PICTURE, face_model).faces) == 1
    # The name decides where one side has no hash.
    assert len(Swapper(model, OneFace(RecognizerId("another", "0" * 64))).swap(PICTURE, face_model).faces) == 1
    stranger = dataclasses.replace(face_model, recognizer=RecognizerId("glintr100"))
    with pytest.raises(StyleSwapError, match="trained with the recognizer w600k_r50 .*made with glintr100"):
        Swapper(model, OneFace(recognizer)).swap(PICTURE, stranger)


def _as_older_version_wrote_it(source, path, with_name):
    """Write the model with the hash in place of the name, and the name in the metadata or nowhere."""
    generator, metadata = load_generator(source)
    sha256 = generator.config.recognizer_sha256
    older = generator.config.to_dict() | {"recognizer": sha256}
    del older["recognizer_sha256"]
    generator.config = _Plain(older)
    save_generator(path, generator, metadata if with_name else {})


class _Plain(dict):
    to_dict = dict.copy


@pytest.mark.parametrize("with_name", [True, False])
def test_an_older_model_that_has_only_the_hash(trained, face_model, tmp_path, with_name):
    source, recognizer = trained
    _as_older_version_wrote_it(source, tmp_path / "old.safetensors", with_name)
    model = load_model(tmp_path / "old.safetensors", "cpu")
    assert model.recognizer == dataclasses.replace(recognizer, name="w600k_r50" if with_name else "")
    # The face analysis in use knows both the name and the hash.
    assert len(Swapper(model, OneFace(recognizer)).swap(PICTURE, face_model).faces) == 1
    other = Swapper(model, OneFace(RecognizerId("another", "0" * 64)))
    if with_name:
        assert len(other.swap(PICTURE, face_model).faces) == 1
    else:
        with pytest.raises(StyleSwapError, match="trained with the recognizer sha256 .*made with w600k_r50"):
            other.swap(PICTURE, face_model)
