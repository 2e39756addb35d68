"""One optimization step of the generator, of its averaged weights, and of the discriminator if the run has one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import losses
from ..devices import choose_precision
from ..faces.arcface import TorchRecognizer
from ..model.discriminator import Discriminator
from .augmentation import Purpose
from .batches import Batch
from .loss_terms import discriminator_terms, has_active_terms, pixel_terms, recognizer_terms, weighted_sum
from .micro_batches import MicroBatch, split_batch
from .optimizers import Optimizer, set_learning_rate
from .process_group import SINGLE_PROCESS, ProcessGroup
from .schedule import (
    adversarial_factor,
    ema_decay,
    is_due,
    learning_rate_factor,
    trains_discriminator,
    trains_generator,
)
from .training_config import TrainingConfig
from .training_state import TrainingState, update_ema
from .unpaired import GeneratorFunction, supervise_unpaired_rows


@dataclass(frozen=True)
class StepReport:
    """Results of a step over the whole batch, as detached scalar tensors on its device."""

    scalars: dict[str, Tensor]  # unweighted loss terms, totals, gradient norms
    finite: Tensor  # bool: all scalars are finite


def train_step(
    config: TrainingConfig,
    state: TrainingState,
    batch: Batch,
    recognizer: TorchRecognizer | None,
    forward: GeneratorFunction | None = None,
    process_group: ProcessGroup = SINGLE_PROCESS,
) -> StepReport:
    """Advance `state` by one step, in place.

    The generator runs once. It is not changed at a step without an active loss term (lazy terms between their
    intervals, the adversarial term before its start). The discriminator does not run before `adversarial_start`, unless
    the generator is frozen to let it catch up.

    Args:
        config: Configuration of the run.
        state: Networks and optimizers.
        batch: Batch of step `state.step`, on the device of the networks; with several processes, the rows of this one.
        recognizer: Frozen recognizer; None if the run has no recognizer terms.
        forward: Forward function of the generator if it differs from `state.generator`, such as a compiled one.
        process_group: Group that shares the step.
    """
    step, micro_batches = state.step, split_batch(config, batch, process_group)
    forward = state.generator if forward is None else forward
    updates_generator = trains_generator(config, step)
    scalars: dict[str, Tensor] = {}
    if updates_generator and has_active_terms(config, step, state.generator.config.mask_branch, recognizer is not None):
        scalars, fakes = _generator_step(config, state, micro_batches, recognizer, forward, process_group)
    else:
        fakes = _generate(config, micro_batches, forward)
    discriminator, optimizer = state.discriminator, state.discriminator_optimizer
    if discriminator is not None and optimizer is not None and trains_discriminator(config, step):
        scalars |= _discriminator_step(config, state, discriminator, optimizer, micro_batches, fakes, process_group)
    if updates_generator:
        update_ema(state, ema_decay(config, step))
    state.step = step + 1
    values = [value.float() for value in scalars.values()] or [torch.zeros((), device=batch.target.device)]
    return StepReport(scalars=scalars, finite=torch.isfinite(torch.stack(values)).all())


def _generator_step(
    config: TrainingConfig,
    state: TrainingState,
    micro_batches: Sequence[MicroBatch],
    recognizer: TorchRecognizer | None,
    forward: GeneratorFunction,
    process_group: ProcessGroup,
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Update the generator; returns the scalars, and the pictures generated before the update."""
    step, scalars, fakes = state.step, [], []
    discriminator = state.discriminator if adversarial_factor(config, step) > 0 else None
    state.generator_optimizer.zero_grad(set_to_none=True)
    if discriminator is not None:
        # The generator's gradient passes through the discriminator without accumulating there.
        discriminator.requires_grad_(False)
    for batch, rows in micro_batches:
        with _autocast(config, batch.target.device):
            batch = supervise_unpaired_rows(config, step, batch, forward, rows)
            output = forward(batch.target, batch.id_embedding)
            terms = pixel_terms(config, batch, output)
            if recognizer is not None:
                terms += recognizer_terms(config, step, batch, output.image, recognizer)
            if discriminator is not None:
                augment = _augmentation(config, state, Purpose.GENERATOR, rows)
                terms += discriminator_terms(config, step, batch, output.image, discriminator, augment)
        total = weighted_sum(terms)
        (total / len(micro_batches)).backward()
        scalars.append({f"loss/{term.name}": term.value.detach() for term in terms} | {"loss/total": total.detach()})
        fakes.append(output.image.detach())
    means = _update(
        config,
        step,
        state.generator,
        state.generator_optimizer,
        process_group,
        _mean(scalars),
        "gradient/generator",
        config.gradient_clip,
    )
    return means, fakes


@torch.no_grad()
def _generate(config: TrainingConfig, micro_batches: Sequence[MicroBatch], forward: GeneratorFunction) -> list[Tensor]:
    with _autocast(config, micro_batches[0].batch.target.device):
        return [forward(batch.target, batch.id_embedding).image for batch, _ in micro_batches]


def _discriminator_step(
    config: TrainingConfig,
    state: TrainingState,
    discriminator: Discriminator,
    optimizer: Optimizer,
    micro_batches: Sequence[MicroBatch],
    fakes: Sequence[Tensor],
    process_group: ProcessGroup,
) -> dict[str, Tensor]:
    discriminator.requires_grad_(True)
    for layer in discriminator.first_layers(config.freeze_discriminator_blocks):
        layer.requires_grad_(False)
    optimizer.zero_grad(set_to_none=True)
    per_micro_batch = []
    for (batch, rows), fake in zip(micro_batches, fakes, strict=True):
        scalars, total = _discriminator_loss(config, state, discriminator, batch, rows, fake)
        (total / len(micro_batches)).backward()
        per_micro_batch.append(scalars)
    scalars = _update(
        config,
        state.step,
        discriminator,
        optimizer,
        process_group,
        _mean(per_micro_batch),
        "gradient/discriminator",
    )
    if state.augmentation is not None:
        scalars["augment/probability"] = scalars["discriminator/real_sign"].new_tensor(state.augmentation.probability)
        state.augmentation.observe(config, scalars["discriminator/real_sign"])
    return scalars


def _discriminator_loss(
    config: TrainingConfig,
    state: TrainingState,
    discriminator: Discriminator,
    batch: Batch,
    rows: slice,
    fake: Tensor,
) -> tuple[dict[str, Tensor], Tensor]:
    """Scalars to report, and the loss of a micro-batch."""
    # Rows without a known truth hold the target, which is a real picture as well.
    real = _augmentation(config, state, Purpose.REAL, rows)(batch.truth)
    fake = _augmentation(config, state, Purpose.FAKE, rows)(fake)
    with _autocast(config, real.device):
        real_logits, fake_logits = discriminator(real).logits, discriminator(fake).logits
    loss = losses.discriminator_loss(real_logits, fake_logits)
    scalars = {
        "discriminator/loss": loss.detach(),
        "discriminator/real": real_logits.detach().float().mean(),
        "discriminator/fake": fake_logits.detach().float().mean(),
    }
    if state.augmentation is not None:
        scalars["discriminator/real_sign"] = real_logits.detach().float().sign().mean()
    if config.weights.r1 and is_due(state.step, config.r1_interval):
        # In float32, since second derivatives lose too much precision in bfloat16. The gradient is that with respect to
        # the augmented pictures, since resampling has no second derivative.
        inputs = real.detach().clone().requires_grad_(True)
        penalty = losses.r1_penalty(discriminator(inputs).logits, inputs)
        loss = loss + config.weights.r1 * config.r1_interval * penalty
        scalars["discriminator/r1"] = penalty.detach()
    return scalars, loss


def _augmentation(
    config: TrainingConfig, state: TrainingState, purpose: Purpose, rows: slice
) -> Callable[[Tensor], Tensor]:
    """Transform of the pictures that the discriminator sees; without augmentation it returns them unchanged."""
    if state.augmentation is None:
        return lambda pictures: pictures
    return state.augmentation.transform(config, state.step, purpose, rows)


def _autocast(config: TrainingConfig, device: torch.device) -> torch.autocast:
    return choose_precision(device, "training", config.precision).autocast(device)


def _mean(scalars: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Means over micro-batches, which have the same names."""
    if len(scalars) == 1:
        return dict(scalars[0])
    return {name: torch.stack([each[name] for each in scalars]).mean() for name in scalars[0]}


def _update(
    config: TrainingConfig,
    step: int,
    network: nn.Module,
    optimizer: Optimizer,
    process_group: ProcessGroup,
    scalars: Mapping[str, Tensor],
    norm_name: str,
    max_norm: float = 0.0,
) -> dict[str, Tensor]:
    """Average gradients over the processes, clip them and step the optimizer.

    Args:
        config: Configuration of the run.
        step: Number of the step, from 0.
        network: Network with gradients.
        optimizer: Optimizer of the network.
        process_group: Group that shares the step.
        scalars: Scalars of this process.
        norm_name: Name under which to report the norm of the gradient before clipping.
        max_norm: Maximum norm of the gradient; 0: no limit.

    Returns:
        Scalars of the whole batch, including the gradient norm.
    """
    means = process_group.average_gradients(network.parameters(), scalars)
    norm = nn.utils.clip_grad_norm_(network.parameters(), max_norm or float("inf"), foreach=True)
    set_learning_rate(optimizer, learning_rate_factor(config, step))
    optimizer.step()
    return means | {norm_name: norm.detach()}
