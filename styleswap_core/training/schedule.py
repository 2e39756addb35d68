"""Schedules of a training run. All are functions of the step alone, so that a checkpoint need not store them."""

import math

from .training_config import TrainingConfig


def learning_rate_factor(config: TrainingConfig, step: int) -> float:
    """Factor of the learning rates at `step` (from 0): linear warm-up, then decay to 0 at the end."""
    if config.schedule == "cosine":
        return warmup_cosine(step, config.steps, config.warmup_steps)
    return _warmup(step, config.warmup_steps) * (1 - step / config.steps if config.schedule == "linear" else 1.0)


def warmup_cosine(step: int, steps: int, warmup_steps: int) -> float:
    """Linear warm-up times a half cosine from 1 at the first step (0) to 0 after the last."""
    return _warmup(step, warmup_steps) * 0.5 * (1 + math.cos(math.pi * step / steps))


def adversarial_factor(config: TrainingConfig, step: int) -> float:
    """Factor of the adversarial and feature-matching weights: 0 before `adversarial_start`, then a ramp to 1."""
    ramp_steps = step - config.adversarial_start + 1
    if ramp_steps <= 0:
        return 0.0
    return min(1.0, ramp_steps / (config.adversarial_ramp + 1))


def trains_generator(config: TrainingConfig, step: int) -> bool:
    """Whether the generator is trained at `step`."""
    return step >= config.freeze_generator_steps


def trains_discriminator(config: TrainingConfig, step: int) -> bool:
    """Whether the discriminator, if there is one, is trained at `step`.

    It is trained while the adversarial loss is in use, and before that while the generator is frozen to let it catch
    up.
    """
    in_use = adversarial_factor(config, step) > 0 or not trains_generator(config, step)
    return in_use and step >= config.freeze_discriminator_steps


def ema_decay(config: TrainingConfig, step: int) -> float:
    """Decay of the exponential moving average of the weights at `step`: 0.5 ** (batch / half-life in images).

    Early in a run the half-life is limited to a share of the images seen so far (the ramp-up of StyleGAN2-ADA);
    otherwise the average would retain the random initial weights for a long time.
    """
    half_life = config.ema_half_life_images
    if config.ema_ramp_up > 0:
        half_life = min(half_life, max(step, 1) * config.batch * config.ema_ramp_up)
    return 0.5 ** (config.batch / half_life)


def is_due(step: int, interval: int) -> bool:
    """Whether an event that recurs every `interval` steps takes place at `step`."""
    return step % interval == 0


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / (warmup_steps + 1))
