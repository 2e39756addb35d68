"""Preparation and training with a pack for photographs, whose recognizer has operators that ArcFace's graphs lack."""

from pathlib import Path

import pytest
from real_faces import PACK, PORTRAITS, RECOGNIZER, needs_real_faces

from styleswap_core.checkpoints.native import load_generator
from styleswap_core.cli import main
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.io.files import file_sha256

RECIPE = Path(__file__).resolve().parents[2] / "docs" / "recipes" / "portraits-256.json"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A set of four portraits of four people, made as docs/portraits.md says, but small."""
    folder, prepared = tmp_path_factory.mktemp("portraits"), tmp_path_factory.mktemp("prepared") / "set"
    for path in sorted(PORTRAITS.glob("*.jpg"))[:4]:
        (folder / path.name).symlink_to(path)
    words = ["--size", "32", "--people", "folders", "--pack", str(PACK)]
    assert main(["prepare", str(folder), str(prepared), *words]) == 0
    return prepared


def train(run, prepared, *words, **settings):
    settings = {"data": prepared, "recognizer": RECOGNIZER, "model": "tiny", "sample_images": 0, **settings}
    given = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    assert main(["train", "--out", str(run), "--device", "cpu", *words, *given]) == 0
    return load_generator(run / "generator_ema.safetensors")


@needs_real_faces
def test_a_tiny_model_trains_on_photographs(tmp_path, prepared):
    generator, _ = train(tmp_path / "run", prepared, steps=1, batch=2)
    config = generator.config
    trained = RecognizerId(config.recognizer, config.recognizer_sha256, config.style_dim)
    assert trained.matches(RecognizerId(RECOGNIZER.stem, file_sha256(RECOGNIZER), 512))


@needs_real_faces
def test_the_recipe_for_portraits_runs_on_portraits(tmp_path, prepared):
    """All rows and terms of docs/recipes/portraits-256.json, at once."""
    starts = {"consistency_start": 0, "back_translation_start": 0, "adversarial_start": 0, "adversarial_ramp": 1}
    generator, metadata = train(
        tmp_path / "run", prepared, "--config", str(RECIPE), steps=2, batch=4, warmup_steps=1, **starts
    )
    assert generator.config.template == "ffhq" and metadata["domain"] == "photographs"
    assert metadata["training"]["occluded_share"] == 0.35
