"""Runs that start from trained networks: which network is trained when, and what is copied."""

import pytest
import torch
from training_toys import ToySource, losses_by_step, tiny_config

from styleswap_core.errors import StyleSwapError
from styleswap_core.losses import LossWeights
from styleswap_core.model.discriminator import Discriminator
from styleswap_core.model.generator_config import preset
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_loop import RunContext, train
from styleswap_core.training.training_state import create_state
from styleswap_core.training.training_step import train_step
from styleswap_core.training.warm_start import initialize_discriminator

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, recognizer) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("trained") / "run")
    train(tiny_config(steps=4), folder, RunContext(ToySource(), CPU, recognizer))
    return folder


def changed(network: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def copy_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_frozen_generator_while_the_discriminator_catches_up(recognizer):
    config = tiny_config(freeze_generator_steps=2, adversarial_start=2, adversarial_ramp=0)
    state = create_state(config, CPU)
    for step in range(3):
        networks = {name: getattr(state, name) for name in ("generator", "generator_ema", "discriminator")}
        before = {name: copy_of(network) for name, network in networks.items()}
        scalars = train_step(config, state, ToySource().batch(step), recognizer).scalars
        frozen = step < 2
        assert bool(changed(networks["generator"], before["generator"])) != frozen
        assert bool(changed(networks["generator_ema"], before["generator_ema"])) != frozen
        assert changed(networks["discriminator"], before["discriminator"])
        assert ("loss/total" in scalars) != frozen and "discriminator/loss" in scalars


def test_a_run_that_starts_with_a_frozen_generator_reports_and_resumes(tmp_path, recognizer):
    config = tiny_config(steps=4, freeze_generator_steps=3, checkpoint_every=2)
    uninterrupted, interrupted = RunFolder(tmp_path / "uninterrupted"), RunFolder(tmp_path / "interrupted")
    context = RunContext(ToySource(), CPU, recognizer)
    train(config, uninterrupted, context)
    train(config, interrupted, RunContext(ToySource(), CPU, recognizer, max_minutes=1e-9))
    train(config, interrupted, context)
    assert losses_by_step(interrupted) == losses_by_step(uninterrupted) != {}


def test_frozen_discriminator_is_used_before_it_is_trained_and_keeps_its_first_blocks(trained, recognizer):
    config = tiny_config(
        adversarial_start=0,
        init_discriminator_from=str(trained.root),
        freeze_discriminator_steps=1,
        freeze_discriminator_blocks=1,
    )
    state = create_state(config, CPU)
    assert initialize_discriminator(state.discriminator, trained.root) == []
    before = copy_of(state.discriminator)
    scalars = train_step(config, state, ToySource().batch(0), recognizer).scalars
    assert "loss/adversarial" in scalars and not changed(state.discriminator, before)
    train_step(config, state, ToySource().batch(1), recognizer)
    names = changed(state.discriminator, before)
    assert any(name.startswith("blocks.16") for name in names) and any(name.startswith("final") for name in names)
    assert not any(name.startswith(("from_rgb", "blocks.32")) for name in names)


def test_the_loop_starts_from_a_run_folder(tmp_path, trained, recognizer, capsys):
    config = tiny_config(steps=1, adversarial_start=1, init_discriminator_from=str(trained.root))
    state = train(config, RunFolder(tmp_path / "run"), RunContext(ToySource(), CPU, recognizer))
    source = torch.load(max(trained.checkpoints.glob("*.pt")), weights_only=True)["discriminator"]
    assert all(torch.equal(value, source[name]) for name, value in state.discriminator.state_dict().items())
    assert f"tensors from {trained.root}" in capsys.readouterr().err


def test_doubled_discriminator_has_a_new_first_block(trained):
    channels = {4: 16, 8: 16, 16: 12, 32: 8, 64: 8}
    grown = Discriminator(preset("tiny", size=64, channels=channels))
    fresh = initialize_discriminator(grown, trained.root)
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in fresh} == {
        "from_rgb.weight",
        "from_rgb.bias",
        "blocks.64",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_discriminator_blocks": 1}, "set init_discriminator_from"),
        ({"freeze_generator_steps": 2, "adversarial_start": 3}, "expected an adversarial_start of at most 2, got 3"),
        (
            {"freeze_generator_steps": 2, "weights": LossWeights(adversarial=0.0)},
            "freeze_generator_steps: this run has no discriminator",
        ),
        (
            {"freeze_generator_steps": 2, "freeze_discriminator_steps": 2, "init_discriminator_from": "x"},
            "neither network would be trained",
        ),
    ],
)
def test_contradictory_settings_are_refused(settings, message):
    with pytest.raises(StyleSwapError, match=message):
        tiny_config(**settings)


def test_unsuitable_discriminators_are_refused(tmp_path, recognizer, trained):
    folder = RunFolder(tmp_path / "plain")
    train(tiny_config(steps=1, weights=LossWeights(adversarial=0.0)), folder, RunContext(ToySource(), CPU, recognizer))
    discriminator = Discriminator(preset("tiny"))
    with pytest.raises(StyleSwapError, match="had no discriminator"):
        initialize_discriminator(discriminator, folder.root)
    with pytest.raises(StyleSwapError, match="run folder with checkpoints"):
        initialize_discriminator(discriminator, tmp_path)
    with pytest.raises(StyleSwapError, match="no block"):
        initialize_discriminator(Discriminator(preset("tiny"), channel_scale=0.5), trained.root)
    with pytest.raises(StyleSwapError, match="has 3 blocks, got 4"):
        discriminator.first_layers(4)
