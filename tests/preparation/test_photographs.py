"""From photographs to a swap, by the commands of docs/photographs.md; and the recognizer that training finds itself."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from styleswap_core.checkpoints import load_generator
from styleswap_core.cli import main
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.io.images import load_image
from styleswap_core.preparation.prepared_set import PreparedSet

REAL_FACES = Path(os.environ.get("STYLESWAP_REAL_FACES", Path(__file__).parents[3] / "shared/real_faces"))
PORTRAITS = 4


def train_words(data, run):
    settings = {"data": data, "model": "tiny", "steps": 1, "batch": 2, "precision": "fp32", "sample_images": 0}
    words = ["train", "--device", "cpu", "--threads", "1", "--out", str(run)]
    return words + [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


@pytest.mark.skipif(not REAL_FACES.is_dir(), reason="the photographs are not there")
def test_portraits_become_a_model_that_swaps(tmp_path, capsys):
    pack, photos, model = REAL_FACES / "insightface_form", tmp_path / "photos", tmp_path / "mine.safetensors"
    photos.mkdir()
    for file in sorted((REAL_FACES / "portraits").iterdir())[:PORTRAITS]:
        shutil.copy(file, photos)
    data, run = tmp_path / "data", tmp_path / "run"
    words = ["--size", "64", "--pack", str(pack), "--people", "folders", "--workers", "1"]
    assert main(["prepare", str(photos), str(data), *words]) == 0
    prepared = PreparedSet.open(data)
    # Files outside of any folder are people of their own, however similar they are.
    assert len(prepared) == PORTRAITS and prepared.manifest["people"] == PORTRAITS
    assert main(train_words(data, run)) == 0
    assert load_generator(run / "generator_ema.safetensors")[1]["domain"] == "photographs"
    assert main(["export", str(run), str(model)]) == 0
    source, target = sorted(photos.iterdir())[:2]
    swap = ["--model", str(model), "--pack", str(pack), "--source", str(source), "--target", str(target)]
    assert main(["swap", *swap, "--out", str(tmp_path / "swapped.png")]) == 0
    assert not np.array_equal(load_image(tmp_path / "swapped.png"), load_image(target))


def test_training_finds_the_recognizer_of_the_pack(people_folder, tmp_path, capsys):
    pack, data = shutil.copytree(DEMO_PACK, tmp_path / "pack"), tmp_path / "data"
    words = ["--size", "64", "--pack", str(pack), "--people", "folders", "--workers", "1", "--max-outside", "0.6"]
    assert main(["prepare", str(people_folder), str(data), *words]) == 0
    (recognizer,) = pack.glob("arcface*.onnx")
    assert main(train_words(data, tmp_path / "run")) == 0
    metadata = load_generator(tmp_path / "run" / "generator_ema.safetensors")[1]
    assert metadata["recognizer"] == recognizer.stem and metadata["training"]["recognizer"] == recognizer.name
    recognizer.write_bytes(recognizer.read_bytes() + b"\0")
    assert main(train_words(data, tmp_path / "other")) == 2
    assert "name its file with --set recognizer=FILE.onnx" in capsys.readouterr().err
    shutil.rmtree(pack)
    assert main(train_words(data, tmp_path / "other")) == 2
    error = capsys.readouterr().err
    assert f"prepared with the recognizer {recognizer.stem} of the pack {pack}" in error
    assert not (tmp_path / "other").exists()
