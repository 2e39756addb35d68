"""The forecast is made of the run's own steps, each kind weighted by how often it comes."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent))

from training_toys import ToySource, tiny_config, write_recognizer

from styleswap_core import cli
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.training import measurement
from styleswap_core.training.training_loop import RunContext


def test_kinds_of_steps_and_how_often_they_come():
    config = tiny_config(
        r1_interval=4,
        identity_every=1,
        perceptual_every=2,
        adversarial_start=8,
        adversarial_ramp=8,
        back_translation_start=0,
    )
    assert measurement.step_kinds(config) == {16: 1, 17: 2, 18: 1}


def test_forecast_follows_from_the_time_of_a_step(tmp_path):
    recognizer = TorchRecognizer(write_recognizer(tmp_path / "toy.onnx"))
    config = tiny_config(steps=1000, accumulate=2, batch=4, stddev_group=2, adversarial_start=0, adversarial_ramp=0)
    found = measurement.measure(config, RunContext(ToySource(), torch.device("cpu"), recognizer), seconds=0.1)
    assert found.images_per_second == pytest.approx(4 / found.seconds_per_step)
    assert found.hours == pytest.approx(1000 * 4 / found.images_per_second / 3600)
    assert found.as_dict()["images"] == 4000 and found.processes == 1
    assert 50e6 < found.peak_bytes < 50e9
    assert "2 pictures at once, 4 for each step" in found.lines() and "4000 pictures" in found.lines()


def test_a_run_folder_is_needed_to_train_and_not_to_measure(capsys):
    assert cli.main(["train"]) == 2
    assert "add --out RUN" in capsys.readouterr().err
    assert cli.main(["train", "--measure", "1"]) == 2
    assert "set data=" in capsys.readouterr().err
