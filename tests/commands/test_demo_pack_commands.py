"""`styleswap train-detector`, `train-recognizer` and `train-regressors`: arguments, configuration, wrong input."""

import argparse
from pathlib import Path

import pytest

from styleswap_core.cli import main
from styleswap_core.commands import train_detector_command, train_recognizer_command
from styleswap_core.demo_pack.detector.detector_config import DetectorConfig
from styleswap_core.demo_pack.recognizer.recognizer_config import RecognizerConfig


def _config(command, words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.config_from(parser.parse_args(words))


def test_detector_configuration_comes_from_the_arguments():
    config = _config(train_detector_command, ["--pictures", "a", "b", "--steps", "9"])
    assert config == DetectorConfig(config.output, (Path("a"), Path("b")), steps=9, device=config.device)
    assert config.output.name == "det_demo.onnx" and config.output.parent.name == "demo_pack"
    assert config.steps == 9 and len(config.pictures) == 2


def test_judge_differs_from_the_demo_recognizer():
    words = ["--judge", "--columns", "a", "b", "--identity-range", "5", "9", "--steps", "7"]
    judge = _config(train_recognizer_command, words)
    assert judge.architecture == "plain" and judge.output.name == "judge.onnx"
    assert judge.identity_range == (5, 9) and judge.steps == 7 and len(judge.columns) == 2
    demo = _config(train_recognizer_command, ["--columns", "a"])
    assert demo.architecture == "residual" and demo.output.parent.name == "demo_pack"
    assert demo == RecognizerConfig(demo.output, (Path("a"),), device=demo.device)


def test_output_is_another_name_of_out():
    for command, data in ((train_detector_command, "--pictures"), (train_recognizer_command, "--columns")):
        assert _config(command, [data, "a", "--output", "b.onnx"]).output == Path("b.onnx")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train-detector", "--pictures", "absent", "--steps", "0"], "at least 1"),
        (["train-detector", "--pictures", "absent"], "absent"),
        (["train-recognizer", "--columns", "absent", "--learning-rate", "-1"], "from 0 to 1"),
        (["train-recognizer", "--columns", "absent", "--seed", "-1"], "from 0"),
        (["train-recognizer", "--columns", "absent"], "absent"),
        (["train-recognizer", "--columns", "absent", "--device", "abacus"], "abacus"),
        (["train-detector", "--pictures", "absent", "--device", "abacus"], "abacus"),
        (["train-regressors", "--columns", "absent", "--batch", "1"], "at least 2"),
        (["train-regressors", "--columns", "absent", "--minutes", "0"], "from 0.01"),
        (["train-regressors", "--columns", "absent", "--device", "abacus"], "abacus"),
        (["train-regressors", "--columns", "absent"], "absent"),
    ],
)
def test_wrong_input_is_one_line(words, part, capsys, tmp_path):
    assert main([*words, "--out", str(tmp_path / "network.file")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert part in lines[0]
    assert list(tmp_path.iterdir()) == []
