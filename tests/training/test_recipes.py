"""Recipes of docs/recipes are valid configurations; test_photograph_pack runs the one for portraits."""

from pathlib import Path

import pytest

from styleswap_core.training.config_values import read_values
from styleswap_core.training.loss_terms import check_terms
from styleswap_core.training.training_config import config_from_dict, config_to_dict
from styleswap_core.training.training_state import generator_config

RECIPES = sorted((Path(__file__).resolve().parents[2] / "docs" / "recipes").glob("*.json"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_a_configuration(path):
    values = read_values(str(path))
    config = config_from_dict(values, path.name)
    model = generator_config(config)
    check_terms(config, model.mask_branch)
    assert model.size == int(path.stem.split("-")[1])
    written = config_to_dict(config)
    for key, value in values.items():
        stated = written[key]
        assert {**stated, **value} == stated if isinstance(value, dict) else stated == value, key
    # Without a generator to start from, none may be frozen.
    assert config.init_from or path.stem != "portraits-256" or not config.freeze_generator_steps
