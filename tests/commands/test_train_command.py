"""`styleswap train`: settings, run folders, and one line for each mistake."""

import argparse
import json

import pytest
from training_toys import write_recognizer

from styleswap_core.checkpoints.native import load_generator
from styleswap_core.cli import main
from styleswap_core.commands import train_command as command
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.synthetic.columns import ColumnPlan, ColumnSet, build_columns
from styleswap_core.training.photograph_defaults import PHOTOGRAPH_DEFAULTS, with_photograph_defaults
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_config import (
    RENAMED_SETTINGS,
    TrainingConfig,
    config_from_dict,
    config_to_dict,
    save_config,
)

SIZE = 32


@pytest.fixture(scope="module")
def columns(tmp_path_factory) -> ColumnSet:
    return build_columns(
        tmp_path_factory.mktemp("columns"),
        ColumnPlan(columns=12, members=3, size=SIZE, identities=9),
        lambda points: estimate_similarity(points, template_points("ffhq", SIZE)),
    )


def test_train_command(columns, tmp_path, capsys):
    recognizer = write_recognizer(tmp_path / "toy.onnx")
    run = tmp_path / "run"
    words = ["train", "--out", str(run), "--json", "--device", "cpu"]
    settings = {
        "model": "tiny",
        "data": str(columns.folder),
        "validation_data": str(columns.folder),
        "steps": 3,
        "batch": 4,
        "recognizer": str(recognizer),
        "log_every": 1,
        "sample_images": 2,
        "validation_images": 4,
    }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert main([*words, "--config", str(tmp_path / "config.json"), "--set", "weights.adversarial=0"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines if "loss/total" in line] == [1, 2, 3]
    generator, metadata = load_generator(run / "generator_ema.safetensors")
    assert generator.config.size == 32 and generator.config.recognizer_sha256 == metadata["recognizer_sha256"]
    assert metadata["domain"] == "synthetic" and metadata["training"]["weights"]["adversarial"] == 0
    # A run folder in use is not overwritten; resuming uses the stored settings and reports changes.
    assert main(words) == 2
    assert "already contains a run" in capsys.readouterr().err
    assert main([*words, "--resume", "--set", "steps=5", "--set", "recoloured=true"]) == 0
    notices = capsys.readouterr().err
    assert "steps 3 -> 5" in notices
    assert "note: the setting recoloured no longer exists and is ignored\n" in notices
    assert load_generator(run / "generator_ema.safetensors")[1]["training_steps"] == 5


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data=nowhere", "holds no columns"),
        ("recognizer=missing.onnx", "missing.onnx"),
        ("stepz=3", "unknown setting stepz"),
        ("model=huge", "unknown generator preset"),
        ("weights.mask=much", "weights: mask: expected float"),
    ],
)
def test_mistakes_are_reported_in_one_line(columns, tmp_path, capsys, setting, message):
    recognizer = write_recognizer(tmp_path / "toy.onnx")
    settings = ["model=tiny", f"data={columns.folder}", f"recognizer={recognizer}", setting]
    words = [word for assignment in settings for word in ("--set", assignment)]
    assert main(["train", "--out", str(tmp_path / "run"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [["--threads", "-1"], ["--max-minutes", "-5"], ["--measure", "nan"]])
def test_numbers_out_of_range_are_refused(tmp_path, capsys, words):
    assert main(["train", "--out", str(tmp_path / "run"), *words]) == 2
    assert f"{words[0]}: expected a" in capsys.readouterr().err


def arguments(*assignments):
    return argparse.Namespace(config=None, assignments=list(assignments), resume=False)


@pytest.fixture
def prepared(monkeypatch):
    monkeypatch.setattr(command, "is_prepared", lambda folder: folder.name == "photographs")
    monkeypatch.setattr(command, "has_teacher", lambda folder: False)


def test_defaults_for_photographs_yield_to_the_users_settings(prepared):
    config = command._configuration(arguments("data=data/photographs"), None)
    assert not config.exact_swap
    assert config.occluded_share == PHOTOGRAPH_DEFAULTS["occluded_share"]
    assert config.weights.identity == PHOTOGRAPH_DEFAULTS["weights"]["identity"]
    own = command._configuration(arguments("data=data/photographs", "occluded_share=0", "weights.identity=5"), None)
    assert own.occluded_share == 0 and own.weights.identity == 5
    assert own.weights.mask == PHOTOGRAPH_DEFAULTS["weights"]["mask"]


def test_columns_keep_the_general_defaults(prepared):
    assert command._configuration(arguments("data=data/columns"), None) == TrainingConfig(data="data/columns")


def test_a_resumed_run_keeps_its_settings(prepared, tmp_path):
    folder = RunFolder(tmp_path)
    save_config(TrainingConfig(data="data/photographs", exact_swap=False), folder.config)
    resumed = argparse.Namespace(config=None, assignments=["data=data/photographs"], resume=True)
    assert command._configuration(resumed, folder).occluded_share == 0


def test_a_run_with_former_names_of_settings_can_be_resumed(tmp_path, capsys):
    folder = RunFolder(tmp_path)
    former = {new: old for old, new in RENAMED_SETTINGS.items()}
    values = config_to_dict(TrainingConfig(occluded_share=0.25, gradient_accumulation=2))
    folder.config.write_text(json.dumps({former.get(name, name): value for name, value in values.items()}))
    resumed = argparse.Namespace(config=None, assignments=["hidden_share=0.5"], resume=True)
    assert command._configuration(resumed, folder) == TrainingConfig(occluded_share=0.5, gradient_accumulation=2)
    assert capsys.readouterr().err == "changed for the rest of the run: occluded_share 0.25 -> 0.5\n"


def test_the_defaults_for_photographs_are_a_configuration():
    values = config_to_dict(config_from_dict(with_photograph_defaults({})))
    weights = values["weights"] | PHOTOGRAPH_DEFAULTS["weights"]
    assert values == values | PHOTOGRAPH_DEFAULTS | {"weights": weights} and values["weights"] == weights
