"""Forecast of time and memory: the run's own steps, each kind weighted by its frequency."""

import sys

import pytest
import torch
from training_toys import ToySource, tiny_config

from styleswap_core import cli
from styleswap_core.training import measurement
from styleswap_core.training.training_loop import RunContext


def test_frequencies_of_the_kinds_of_steps():
    config = tiny_config(
        r1_interval=4,
        identity_every=1,
        perceptual_every=2,
        adversarial_start=8,
        adversarial_ramp=8,
        back_translation_start=0,
    )
    assert measurement.step_frequencies(config) == {16: 1, 17: 2, 18: 1}


def test_forecast_follows_from_the_time_of_a_step(recognizer):
    config = tiny_config(
        steps=1000, gradient_accumulation=2, batch=4, stddev_group=2, adversarial_start=0, adversarial_ramp=0
    )
    found = measurement.measure(config, RunContext(ToySource(), torch.device("cpu"), recognizer), seconds=0.1)
    assert found.images_per_second == pytest.approx(4 / found.seconds_per_step)
    assert found.hours == pytest.approx(1000 * 4 / found.images_per_second / 3600)
    assert found.as_dict()["images"] == 4000 and found.processes == 1
    assert found.peak_bytes > 50e6 or sys.platform == "win32"
    assert "micro-batches of 2, steps of 4 pictures" in found.summary() and "4000 pictures" in found.summary()
    assert 0 <= found.waiting_share < 1 and "speed: a step takes" in found.summary()


def test_training_needs_a_run_folder_and_measuring_does_not(capsys):
    assert cli.main(["train"]) == 2
    assert "add --out RUN" in capsys.readouterr().err
    assert cli.main(["train", "--measure", "1"]) == 2
    assert "set data=" in capsys.readouterr().err
