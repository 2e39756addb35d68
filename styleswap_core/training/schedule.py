"""Figures that change over a run. All are functions of the step alone, so that a resumed run needs no memory."""

import math

from .config import TrainingConfig


def learning_rate_factor(config: TrainingConfig, step: int) -> float:
    """Factor of the learning rates at `step` (0-based): linear warm-up, then decay to 0 at the end."""
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "constant":
        return warmup
    progress = step / config.steps
    decay = 1 - progress if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return warmup * decay


def adversarial_factor(config: TrainingConfig, step: int) -> float:
    """Factor of the adversarial and feature-matching weights: 0 before the start, then a ramp to 1."""
    begun = step - config.adversarial_start + 1
    if begun <= 0:
        return 0.0
    return min(1.0, begun / (config.adversarial_ramp + 1))


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
