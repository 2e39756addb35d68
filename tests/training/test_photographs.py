"""What `train` takes as its settings on prepared photographs."""

import argparse
import dataclasses

import pytest

from styleswap_core.training import train_command as command
from styleswap_core.training.photographs import SETTINGS, on_photographs
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_config import TrainingConfig, config_from_dict, save_config


def arguments(*assignments):
    return argparse.Namespace(config=None, assignments=list(assignments), resume=False)


@pytest.fixture
def prepared(monkeypatch):
    monkeypatch.setattr(command, "is_prepared", lambda folder: folder.name == "photographs")


def test_photographs_are_taught_without_exact_swaps_unless_the_user_says_otherwise(prepared):
    config = command._configuration(arguments("data=data/photographs"), None)
    assert not config.exact_swap
    assert config.hidden_share == SETTINGS["hidden_share"]
    assert config.weights.identity == SETTINGS["weights"]["identity"]
    own = command._configuration(arguments("data=data/photographs", "hidden_share=0", "weights.identity=5"), None)
    assert own.hidden_share == 0 and own.weights.identity == 5
    assert own.weights.mask == SETTINGS["weights"]["mask"]


def test_columns_keep_their_settings(prepared):
    assert command._configuration(arguments("data=data/columns"), None) == TrainingConfig(data="data/columns")


def test_a_run_that_is_gone_on_with_keeps_what_it_began_with(prepared, tmp_path):
    folder = RunFolder(tmp_path)
    begun = dataclasses.replace(TrainingConfig(), data="data/photographs", exact_swap=False)
    save_config(begun, folder.config)
    resumed = argparse.Namespace(config=None, assignments=["data=data/photographs"], resume=True)
    assert command._configuration(resumed, folder).hidden_share == 0


def test_the_settings_are_a_configuration():
    config_from_dict(on_photographs({}))
