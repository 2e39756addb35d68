"""Training configurations: every mistake is reported in one line, before anything runs."""

import dataclasses
import math
import sys

import pytest
import torch
from training_toys import ToySource, losses_by_step, tiny_config

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.training.config_values import read_values
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_config import (
    RENAMED_SETTINGS,
    TrainingConfig,
    config_from_dict,
    config_to_dict,
    override,
    save_config,
)
from styleswap_core.training.training_loop import RunContext, train

DEFAULT = TrainingConfig()
NUMBERS = [
    entry.name for entry in dataclasses.fields(TrainingConfig) if type(getattr(DEFAULT, entry.name)) in (int, float)
]
TEXTS = [entry.name for entry in dataclasses.fields(TrainingConfig) if isinstance(getattr(DEFAULT, entry.name), str)]
WEIGHTS = [entry.name for entry in dataclasses.fields(LossWeights)]
ONLY_LAZY = LossWeights(**(dict.fromkeys(WEIGHTS, 0.0) | {"identity": 1.0}))
ONLY_ADVERSARIAL = LossWeights(**(dict.fromkeys(WEIGHTS, 0.0) | {"adversarial": 1.0}))


def refuse(values):
    with pytest.raises(StyleSwapError) as caught:
        config_from_dict(values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -(10**30), 10**400, "many", None, [], True])
def test_numbers_out_of_range_or_of_another_type(name, value):
    assert name in refuse({name: value})


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "much", None, {}])
def test_weights_out_of_range_or_of_another_type(name, value):
    assert f"weights.{name}" in refuse({"weights": {name: value}}).replace(": ", ".")


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_another_type(name):
    assert name in refuse({name: 5})


@pytest.mark.parametrize(
    "values",
    [{"sped": 1}, {"weights": {"fun": 1}}, {"weights": 3}, {"generator_betas": [1.0, 0.9]}, {"generator_betas": [0.5]}],
)
def test_unknown_settings_and_malformed_tables(values):
    refuse(values)


def test_removed_settings_are_ignored():
    assert config_from_dict({"recoloured": True, "steps": 7}) == TrainingConfig(steps=7)


@pytest.mark.parametrize(
    ("former", "name", "value"),
    [
        ("accumulate", "gradient_accumulation", 4),
        ("hidden_share", "occluded_share", 0.25),
        ("agreeing_share", "consistency_share", 0.25),
        ("agreeing_start", "consistency_start", 50),
    ],
)
def test_renamed_settings_load_under_their_former_names(former, name, value):
    config = TrainingConfig(**{name: value})
    assert config != DEFAULT
    assert config_from_dict({former: value}) == config
    assert config_from_dict(override({name: 0}, [f"{former}={value}"])) == config
    assert config_from_dict(override({former: 0}, [f"{name}={value}"])) == config
    assert refuse({former: value, name: value}).endswith(f"and both are set; remove {former}")


def test_every_renamed_setting_names_a_setting():
    names = {entry.name for entry in dataclasses.fields(TrainingConfig)}
    assert set(RENAMED_SETTINGS.values()) <= names and not names & set(RENAMED_SETTINGS)


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("learning_rate=.002", "learning_rate", 0.002),
        ("learning_rate=2e-3", "learning_rate", 0.002),
        ("learning_rate=1.", "learning_rate", 1.0),
        ("steps=+5", "steps", 5),
        ("compile=True", "compile", True),
        ("compile=true", "compile", True),
        ("data=2024", "data", "2024"),
        ("data=runs/a b", "data", "runs/a b"),
        ('data="quoted"', "data", "quoted"),
    ],
)
def test_assignments_accept_the_usual_notations(assignment, name, value):
    assert getattr(config_from_dict(override({}, [assignment])), name) == value


@pytest.mark.parametrize(
    "assignment", ["learning_rate=nan", "learning_rate=fast", "steps=1.5", "seed=-1", "steps=" + "[" * 9000]
)
def test_invalid_assignments(assignment):
    refuse(override({}, [assignment]))


def test_configuration_round_trip_through_plain_values():
    config = tiny_config(precision="auto")
    assert config_from_dict(config_to_dict(config)) == config
    assert DEFAULT.precision == "auto"


def test_configuration_files_and_refusals(tmp_path):
    config = tiny_config(model_overrides={"attribute_masking": "mean"}, generator_betas=(0.5, 0.9))
    save_config(config, tmp_path / "config.json")
    assert config_from_dict(read_values(tmp_path / "config.json")) == config
    changed = config_from_dict(override(config_to_dict(config), ["weights.identity=5", "steps=3", "data=a folder"]))
    assert (changed.weights.identity, changed.steps, changed.data) == (5.0, 3, "a folder")
    for values, message in (
        ({"step": 1}, "unknown setting step"),
        ({"steps": "many"}, "steps: expected int"),
        ({"weights": {"idenity": 1}}, "unknown setting idenity"),
        ({"batch": 0}, "at least 1"),
        ({"steps": True}, "expected int"),
        ({"generator_betas": [0.9]}, "expected 2 numbers"),
    ):
        with pytest.raises(StyleSwapError, match=message):
            config_from_dict(values)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(StyleSwapError, match="not valid JSON"):
        read_values(tmp_path / "broken.json")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib of Python 3.11")
def test_configuration_from_toml(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('model = "tiny"\nsteps = 12\n[weights]\nidentity = 3\n')
    config = config_from_dict(read_values(path))
    assert (config.model, config.steps, config.weights.identity) == ("tiny", 12, 3.0)


def run(tmp_path, recognizer, **settings):
    folder = RunFolder(tmp_path / "run")
    state = train(tiny_config(**settings), folder, RunContext(ToySource(), torch.device("cpu"), recognizer))
    return folder, state


def test_lazy_terms_alone_train_when_they_are_due(tmp_path, recognizer):
    folder, state = run(tmp_path, recognizer, steps=5, weights=ONLY_LAZY, identity_every=2)
    assert state.step == 5 and sorted(losses_by_step(folder)) == [1, 3, 5]


def test_the_adversarial_term_alone_trains_from_its_start(tmp_path, recognizer):
    folder, state = run(tmp_path, recognizer, steps=4, weights=ONLY_ADVERSARIAL, adversarial_start=2)
    assert state.step == 4 and sorted(losses_by_step(folder)) == [3, 4]


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": LossWeights(**dict.fromkeys(WEIGHTS, 0.0))},
        {"weights": ONLY_ADVERSARIAL, "adversarial_start": 4, "steps": 4},
        {
            "weights": LossWeights(**(dict.fromkeys(WEIGHTS, 0.0) | {"mask": 1.0})),
            "model_overrides": {"mask_branch": False, "attribute_masking": "none"},
        },
    ],
)
def test_a_run_without_any_loss_term_is_refused_before_it_starts(tmp_path, recognizer, settings):
    with pytest.raises(StyleSwapError, match="expected a term of the generator's loss"):
        run(tmp_path, recognizer, **settings)
    assert not (tmp_path / "run").exists()
