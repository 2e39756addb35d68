"""Figures that change over a run. All are functions of the step alone, so that a resumed run needs no memory."""

import math

from .training_config import TrainingConfig


def learning_rate_factor(config: TrainingConfig, step: int) -> float:
    """Factor of the learning rates at `step` (0-based): linear warm-up, then decay to 0 at the end."""
    if config.schedule == "cosine":
        return warmup_cosine(step, config.steps, config.warmup_steps)
    return _warmup(step, config.warmup_steps) * (1 - step / config.steps if config.schedule == "linear" else 1.0)


def warmup_cosine(step: int, steps: int, warmup_steps: int) -> float:
    """Linear warm-up times a half cosine from 1 at the first step (0) to 0 after the last."""
    return _warmup(step, warmup_steps) * 0.5 * (1 + math.cos(math.pi * step / steps))


def adversarial_factor(config: TrainingConfig, step: int) -> float:
    """Factor of the adversarial and feature-matching weights: 0 before the start, then a ramp to 1."""
    begun = step - config.adversarial_start + 1
    if begun <= 0:
        return 0.0
    return min(1.0, begun / (config.adversarial_ramp + 1))


def generator_learns(config: TrainingConfig, step: int) -> bool:
    """Whether the generator is trained at `step`."""
    return step >= config.freeze_generator_steps


def discriminator_learns(config: TrainingConfig, step: int) -> bool:
    """Whether the discriminator, where there is one, is trained at `step`: while it is listened to, and before if it has
    to catch up with a generator that waits for it.
    """
    heard = adversarial_factor(config, step) > 0 or not generator_learns(config, step)
    return heard and step >= config.freeze_discriminator_steps


def ema_decay(config: TrainingConfig, step: int) -> float:
    """What is kept of the averaged weights at `step`: 0.5 ** (batch / half-life in images).

    While the run is young the half-life is a share of the images seen (StyleGAN2-ADA's ramp-up): the average would
    otherwise carry the first, random weights for a long time.
    """
    half_life = config.ema_half_life_images
    if config.ema_ramp_up > 0:
        half_life = min(half_life, max(step, 1) * config.batch * config.ema_ramp_up)
    return 0.5 ** (config.batch / half_life)


def due(step: int, interval: int) -> bool:
    """Whether something that happens every `interval` steps happens at `step`."""
    return step % interval == 0


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / (warmup_steps + 1))
