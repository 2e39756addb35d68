"""A chain without insightface: prepare, train and swap with networks of the form of OpenCV Zoo's."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from guest_forms import write_inswapper
from zoo_networks import write_demo_zoo, write_sface

from styleswap_core import Swapper, extract_identity, load_face_analysis, load_model
from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.opencv_zoo import SFACE
from styleswap_core.identities.averaging import blend_identities
from styleswap_core.identities.identity_format import load_identity, save_identity
from styleswap_core.io.images import load_image, save_image, to_uint8
from styleswap_core.preparation.preparation_settings import PreparationSettings
from styleswap_core.preparation.prepare import prepare
from styleswap_core.preparation.prepared_set import PreparedSet
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

PEOPLE, PICTURES, SIDE = 3, 2, 128


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return write_demo_zoo(tmp_path_factory.mktemp("zoo") / "opencv_zoo")


@pytest.fixture(scope="module")
def pictures():
    """PEOPLE * PICTURES rendered pictures, ordered by person."""
    people = [seed for seed in range(PEOPLE) for _ in range(PICTURES)]
    return to_uint8(render(Identities.from_seeds(people), Attributes.from_seeds(range(len(people))), size=SIDE).image)


@pytest.fixture(scope="module")
def people(pictures, tmp_path_factory):
    """Folder with person0/0.png and so on."""
    folder = tmp_path_factory.mktemp("people")
    for number, picture in enumerate(pictures):
        (folder / f"person{number // PICTURES}").mkdir(exist_ok=True)
        save_image(folder / f"person{number // PICTURES}" / f"{number % PICTURES}.png", picture)
    return folder


@pytest.fixture(scope="module")
def prepared(zoo, people, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "set"
    kept = {"max_blur": 1.0, "max_yaw": 90.0, "max_pitch": 90.0, "max_outside": 1.0, "duplicate_distance": -1}
    settings = PreparationSettings(size=32, min_side=16, pack=str(zoo), people="folders", image_format="png", **kept)
    prepare(people, out, settings)
    return out


@pytest.fixture(scope="module")
def model(prepared, tmp_path_factory):
    """A tiny model, trained for two steps on the set."""
    folder = tmp_path_factory.mktemp("run")
    # Training finds the recognizer in the pack of the preparation.
    settings = {"model": "tiny", "data": str(prepared), "steps": 2, "batch": 2}
    settings |= {"sample_images": 0, "exact_swap": False, "weights": {"adversarial": 0.0}}
    (folder / "config.json").write_text(json.dumps(settings))
    words = ["train", "--out", str(folder / "run"), "--config", str(folder / "config.json"), "--device", "cpu"]
    assert main(words) == 0
    return folder / "run" / "generator_ema.safetensors"


def test_a_prepared_set_holds_embeddings_of_128_numbers(zoo, prepared, people):
    opened = PreparedSet.open(prepared)
    analyzer = load_face_analysis(zoo)
    assert opened.recognizer == analyzer.recognizer and opened.manifest["dimension"] == 128
    assert opened.embeddings.shape == (6, 128) and len(set(opened.people)) == 3
    np.testing.assert_allclose(np.linalg.norm(opened.embeddings, axis=1), 1, atol=1e-5)
    expected = [analyzer.detect(load_image(path))[0].id_embedding for path in sorted(people.rglob("*.png"))]
    np.testing.assert_allclose(opened.embeddings, expected, atol=1e-5)
    assert (prepared / "embeddings.bin").stat().st_size == 6 * 128 * 4


def test_the_model_takes_the_recognizers_embeddings_and_swaps(zoo, model, people, pictures, tmp_path):
    network, analyzer = load_model(model, "cpu"), load_face_analysis(zoo)
    assert network.recognizer == analyzer.recognizer and network.recognizer.dimension == 128
    identity, _ = extract_identity([people / "person0" / "0.png", people / "person0" / "1.png"], analyzer)
    assert identity.id_embedding.shape == (128,) and identity.recognizer == analyzer.recognizer
    result = Swapper(network, analyzer).swap(pictures[2], identity)
    (face,) = result.faces
    assert face.similarity is not None and face.similarity_before is not None
    assert np.abs(np.asarray(result.image).astype(int) - pictures[2]).max() > 0
    # Saved, loaded, and averaged with another person.
    save_identity(tmp_path / "a.safetensors", identity)
    loaded = load_identity(tmp_path / "a.safetensors")
    assert loaded.recognizer == analyzer.recognizer and torch.equal(loaded.id_embedding, identity.id_embedding)
    other, _ = extract_identity([people / "person2" / "0.png"], analyzer)
    mean = blend_identities([loaded, other])
    assert mean.recognizer == analyzer.recognizer
    assert len(Swapper(network, analyzer).swap(pictures[2], mean).faces) == 1


def test_the_command_swaps_and_names_the_licenses(zoo, model, people, tmp_path, capsys):
    source, target = str(people / "person0" / "0.png"), str(people / "person1" / "0.png")
    words = ["swap", "--model", str(model), "--pack", str(zoo), "--source", source, "--target", target, "--json"]
    assert main([*words, "--out", str(tmp_path / "out.png"), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert (tmp_path / "out.png").is_file() and '"similarity"' in printed.out
    assert "license of the face analysis pack: YuNet MIT, SFace Apache-2.0" in printed.err


def test_inversion_takes_the_recognizer(zoo, model, people, tmp_path):
    words = ["invert", "--model", str(model), "--pack", str(zoo), "--source", str(people / "person0" / "0.png")]
    assert main([*words, "--out", str(tmp_path / "a.safetensors"), "--steps", "2", "--device", "cpu"]) == 0
    inverted = load_identity(tmp_path / "a.safetensors")
    assert inverted.w_plus is not None and inverted.recognizer.dimension == 128


def test_embeddings_of_another_length_are_refused(zoo, people, pictures):
    analyzer = load_face_analysis(zoo)
    identity, _ = extract_identity([people / "person0" / "0.png"], analyzer)
    demo = load_model(device="cpu")
    with pytest.raises(StyleSwapError, match="arcface_demo.*128 numbers instead of 512"):
        Swapper(demo, analyzer).swap(pictures[2], identity)
    # Also where the model does not name its recognizer.
    nameless = dataclasses.replace(demo.generator.config, recognizer="", recognizer_sha256="")
    demo.generator.config = nameless
    with pytest.raises(StyleSwapError, match="takes embeddings of 512 numbers, and this identity has 128"):
        Swapper(demo, analyzer).swap(pictures[2], identity)


def test_inswapper_refuses_the_embeddings(zoo, people, pictures, tmp_path):
    """It takes those of w600k_r50, 512 numbers."""
    analyzer = load_face_analysis(zoo)
    identity, _ = extract_identity([people / "person0" / "0.png"], analyzer)
    path = write_inswapper(tmp_path / "inswapper_128.onnx")
    with pytest.raises(StyleSwapError, match=r"w600k_r50.*face_recognition_sface_2021dec.*128 numbers instead of 512"):
        Swapper(load_model(path, "cpu"), analyzer).swap(pictures[2], identity)
    with pytest.raises(StyleSwapError, match="takes embeddings of 512 numbers, and this identity has 128"):
        Swapper(load_model(path, "cpu", any_recognizer=True), analyzer).swap(pictures[2], identity)


def test_training_refuses_another_length(zoo, prepared, tmp_path, capsys):
    write_sface(tmp_path / "other.onnx", seed=1)
    words = ["train", "--out", str(tmp_path / "run"), "--set", "model=tiny", "--set", f"data={prepared}"]
    assert main([*words, "--set", f"recognizer={tmp_path / 'other.onnx'}", "--device", "cpu"]) == 2
    assert "was prepared with the recognizer face_recognition_sface_2021dec" in capsys.readouterr().err
    words += ["--set", f"recognizer={zoo / SFACE.name}", "--set", "model_overrides.style_dim=512"]
    assert main([*words, "--device", "cpu"]) == 2
    assert "expected model_overrides.style_dim=128" in capsys.readouterr().err
