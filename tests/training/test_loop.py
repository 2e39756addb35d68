"""Training loop with real networks on toy batches: what runs when, what is written, and what stops it."""

import dataclasses

import pytest
import torch
from training_toys import ToySource, losses_by_step, tiny_config

from styleswap_core.errors import StyleSwapError
from styleswap_core.io.images import load_image
from styleswap_core.losses import LossWeights
from styleswap_core.training.config_values import read_values
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.schedule import adversarial_factor, ema_decay, learning_rate_factor
from styleswap_core.training.training_config import TrainingConfig, config_from_dict
from styleswap_core.training.training_loop import RunContext, train
from styleswap_core.training.training_state import checkpoint_paths, create_state, update_ema
from styleswap_core.training.training_step import train_step

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_loss_falls_and_everything_is_written(tmp_path, recognizer, precision):
    weights = LossWeights(adversarial=0.0)
    config = tiny_config(
        steps=60,
        precision=precision,
        weights=weights,
        learning_rate=5e-3,
        perceptual_every=1,
        checkpoint_every=60,
        sample_every=60,
        sample_images=3,
        validation_images=6,
        log_every=10,
    )
    folder = RunFolder(tmp_path / "run")
    train(config, folder, RunContext(ToySource(), CPU, recognizer, validation=ToySource()))
    losses = losses_by_step(folder)
    assert losses[60]["loss/total"] < 0.8 * losses[10]["loss/total"]
    assert config_from_dict(read_values(folder.config)) == config
    assert load_image(folder.samples / "step_000000060.png").shape[2] == 3
    assert list(folder.tensorboard.glob("events.*"))
    text = folder.metrics.read_text(encoding="utf-8")
    assert "validation/face_psnr" in text and "validation/id_cos" in text


def test_discriminator_is_not_run_before_its_start(recognizer):
    config = tiny_config(adversarial_start=2, adversarial_ramp=0)
    state = create_state(config, CPU)
    runs = []
    state.discriminator.register_forward_hook(lambda *_: runs.append(state.step))
    reports = [train_step(config, state, ToySource().batch(step), recognizer) for step in range(3)]
    assert runs and set(runs) == {2}
    assert "loss/adversarial" not in reports[1].scalars and "discriminator/loss" not in reports[1].scalars
    assert "loss/adversarial" in reports[2].scalars and "discriminator/r1" in reports[2].scalars
    assert all(value.requires_grad for value in state.discriminator.parameters())


def test_no_discriminator_without_its_terms(recognizer):
    assert create_state(tiny_config(weights=LossWeights(adversarial=0.0)), CPU).discriminator is None


def test_one_generator_pass_and_two_recognizer_passes_per_step(recognizer, monkeypatch):
    config = tiny_config(perceptual_every=1)
    state, passes, walk = create_state(config, CPU), [], recognizer.graph.walk

    def counted_walk(crop):
        passes.append("recognizer")
        return walk(crop)

    monkeypatch.setattr(recognizer.graph, "walk", counted_walk)
    state.generator.encoder.register_forward_hook(lambda *_: passes.append("generator"))
    train_step(config, state, ToySource().batch(0), recognizer)
    assert passes == ["generator", "recognizer", "recognizer"]


def test_recognizer_does_not_run_between_lazy_steps(recognizer):
    config = tiny_config(identity_every=3, perceptual_every=2, adversarial_start=100)
    state = create_state(config, CPU)
    names = [set(train_step(config, state, ToySource().batch(step), recognizer).scalars) for step in range(4)]
    assert ["loss/identity" in step for step in names] == [True, False, False, True]
    assert ["loss/swap_perceptual" in step for step in names] == [True, False, True, False]


def test_a_withheld_exact_swap_has_no_effect(recognizer):
    config = tiny_config(adversarial_start=100, perceptual_every=1)
    batch = ToySource(exact_swap=False).batch(0)
    assert 0 < batch.truth_known.sum() < len(batch.truth)
    other_truth = torch.where(batch.truth_known[:, None, None, None], batch.truth, -batch.truth)
    reports = [
        train_step(config, create_state(config, CPU), dataclasses.replace(batch, truth=truth), recognizer).scalars
        for truth in (batch.truth, other_truth)
    ]
    assert reports[0] == reports[1]


def test_nan_stops_training_and_keeps_the_last_checkpoint(tmp_path, recognizer):
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(steps=8, checkpoint_every=2, log_every=100)
    with pytest.raises(StyleSwapError, match="diverged by step 6.*loss/reconstruction"):
        train(config, folder, RunContext(ToySource(poison_step=5), CPU, recognizer))
    assert [path.stem for path in checkpoint_paths(folder.checkpoints)] == ["step_000000004", "step_000000002"]
    train(config, folder, RunContext(ToySource(), CPU, recognizer))


def test_time_limit_stops_at_a_checkpoint(tmp_path, recognizer):
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(steps=6, checkpoint_every=100)
    state = train(config, folder, RunContext(ToySource(), CPU, recognizer, max_minutes=1e-9))
    assert state.step == 1 and checkpoint_paths(folder.checkpoints)[0].stem == "step_000000001"
    assert train(config, folder, RunContext(ToySource(), CPU, recognizer)).step == 6


def test_missing_recognizer_is_refused_before_training(tmp_path):
    with pytest.raises(StyleSwapError, match="recognizer"):
        train(tiny_config(), RunFolder(tmp_path / "run"), RunContext(ToySource(), CPU))


def test_averaged_weights_move_half_way_in_a_half_life():
    config = tiny_config(batch=10, ema_half_life_images=20.0, ema_ramp_up=0.0)
    state = create_state(config, CPU)
    start = [value.clone() for value in state.generator_ema.parameters()]
    with torch.no_grad():
        for value in state.generator.parameters():
            value.add_(1.0)
    for _ in range(2):  # 20 images
        update_ema(state, ema_decay(config, 1000))
    for before, after in zip(start, state.generator_ema.parameters(), strict=True):
        assert torch.allclose(after, before + 0.5, atol=1e-5)


def test_schedules():
    config = TrainingConfig(steps=1000, warmup_steps=9, adversarial_start=100, adversarial_ramp=99)
    assert learning_rate_factor(config, 0) == pytest.approx(0.1)
    assert learning_rate_factor(config, 500) == pytest.approx(0.5)
    assert learning_rate_factor(config, 999) < 1e-5
    assert learning_rate_factor(TrainingConfig(steps=1000, schedule="linear", warmup_steps=0), 250) == pytest.approx(
        0.75
    )
    assert [adversarial_factor(config, step) for step in (99, 100, 149, 199, 900)] == [0.0, 0.01, 0.5, 1.0, 1.0]
    # Ramp-up: after 1000 images the half-life is 5 % of them.
    assert ema_decay(TrainingConfig(batch=10), 100) == pytest.approx(0.5 ** (10 / 50))
