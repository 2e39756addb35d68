"""Checkpoints of a run folder with missing and bent parts."""

import pytest
import torch
from training_toys import tiny_config

from styleswap_core.errors import StyleSwapError
from styleswap_core.training.training_state import create_state, read_checkpoint, restore_state, save_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("run"), tiny_config()
    return torch.load(save_checkpoint(folder, create_state(config, CPU), config, CPU), weights_only=True)


@pytest.mark.parametrize("part", ["generator", "generator_optimizer", "config", "random", "step", "kind"])
@pytest.mark.parametrize("value", [None, -1, float("nan"), 1 << 70, "x", [], torch.zeros(3), (1, 2)])
def test_a_part_of_another_kind_is_one_sentence(tmp_path, content, part, value):
    torch.save({**content, part: value}, tmp_path / "a.pt")
    with pytest.raises(StyleSwapError):
        restore_state(read_checkpoint(tmp_path / "a.pt"), tiny_config(), CPU)


@pytest.mark.parametrize("state", [torch.zeros(3, dtype=torch.uint8), torch.zeros(5056), None, "x"])
def test_a_random_state_of_another_size_is_one_sentence(tmp_path, content, state):
    torch.save({**content, "random": {"cpu": state}}, tmp_path / "a.pt")
    with pytest.raises(StyleSwapError, match="the checkpoint's random state is damaged"):
        restore_state(read_checkpoint(tmp_path / "a.pt"), tiny_config(), CPU)
