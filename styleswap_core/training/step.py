"""One optimization step: generator, averaged weights, and the discriminator where the run has one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import losses
from ..devices import choose_precision
from ..faces.arcface import TorchRecognizer
from .augmentation import Purpose
from .batches import Batch
from .micro_batches import Share, passes
from .optimizers import Optimizer, set_learning_rate
from .process_group import Replica
from .schedule import adversarial_factor, discriminator_learns, due, ema_decay, generator_learns, learning_rate_factor
from .state import TrainingState, update_ema
from .terms import Output, critic_terms, has_terms, pixel_terms, recognizer_terms, weighted_sum
from .training_config import TrainingConfig
from .unpaired import teach_unpaired


@dataclass(frozen=True)
class StepReport:
    """What a step computed over the whole batch, as detached scalar tensors on its device."""

    scalars: dict[str, Tensor]  # loss terms unweighted, totals, gradient norms
    finite: Tensor  # bool: losses and gradient norms are all finite


def autocast(config: TrainingConfig, device: torch.device) -> torch.autocast:
    """Precision of forward passes: bfloat16 convolutions, or everything in float32."""
    dtype = choose_precision(device, "training", config.precision).dtype
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def run_generator(generator: Callable, batch: Batch) -> Output:
    """One forward pass with mask logits, its pictures in float32."""
    result = generator(batch.target, batch.id_embedding)
    return Output(
        image=result.image.float(),
        rgb=result.rgb.float(),
        mask=result.mask.float(),
        mask_logits=result.mask_logits,
    )


def train_step(
    config: TrainingConfig,
    state: TrainingState,
    batch: Batch,
    recognizer: TorchRecognizer | None,
    forward: Callable | None = None,
    replica: Replica = Replica(),
) -> StepReport:
    """Advance `state` by one step, in place.

    A step at which no term of the generator's loss is due (lazy terms alone, or the adversarial term before its start)
    leaves its weights as they are. The generator runs once; the discriminator is not run at all before `adversarial_start`, unless the generator waits
    for it.

    Args:
        batch: of `state.step`, on the networks' device.
        recognizer: frozen, see `recognizer_terms`; None in a run without recognizer terms.
        forward: stands in for `state.generator` (its compiled form).
        replica: of several processes, `batch` being its share.
    """
    step, shares = state.step, passes(config, batch, replica)
    forward = state.generator if forward is None else forward
    learns = generator_learns(config, step)
    if learns and has_terms(config, step, state.generator.config.mask_branch, recognizer is not None):
        scalars, fakes = _generator_step(config, state, shares, recognizer, forward, replica)
    else:
        scalars, fakes = {}, _paint(config, shares, forward)
    if state.discriminator is not None and discriminator_learns(config, step):
        scalars |= _discriminator_step(config, state, shares, fakes, replica)
    if learns:
        update_ema(state, ema_decay(config, step))
    state.step = step + 1
    values = [value.float() for value in scalars.values()] or [torch.zeros((), device=batch.target.device)]
    return StepReport(scalars=scalars, finite=torch.isfinite(torch.stack(values)).all())


def _generator_step(
    config: TrainingConfig,
    state: TrainingState,
    shares: Sequence[Share],
    recognizer: TorchRecognizer | None,
    forward: Callable,
    replica: Replica,
) -> tuple[dict[str, Tensor], list[Tensor]]:
    # Returns the figures, and the pictures of every share as they were painted before the step.
    step, figures, fakes = state.step, [], []
    critic = state.discriminator if adversarial_factor(config, step) > 0 else None
    state.generator_optimizer.zero_grad(set_to_none=True)
    if critic is not None:
        # The generator's gradient passes through the discriminator and leaves none there.
        critic.requires_grad_(False)
    for batch, rows in shares:
        with autocast(config, batch.target.device):
            batch = teach_unpaired(config, step, batch, forward, rows)
            output = run_generator(forward, batch)
            terms = pixel_terms(config, batch, output)
            if recognizer is not None:
                terms += recognizer_terms(config, step, batch, output.image, recognizer)
            if critic is not None:
                seen = _seen(config, state, Purpose.GENERATOR, rows)
                terms += critic_terms(config, step, batch, output.image, critic, seen)
        total = weighted_sum(terms)
        (total / len(shares)).backward()
        figures.append({f"loss/{term.name}": term.value.detach() for term in terms} | {"loss/total": total.detach()})
        fakes.append(output.image.detach())
    scalars = _descend(
        state.generator,
        state.generator_optimizer,
        learning_rate_factor(config, step),
        config.gradient_clip,
        replica,
        _mean(figures),
        "gradient/generator",
    )
    return scalars, fakes


@torch.no_grad()
def _paint(config: TrainingConfig, shares: Sequence[Share], forward: Callable) -> list[Tensor]:
    with autocast(config, shares[0].batch.target.device):
        return [run_generator(forward, batch).image for batch, _ in shares]


def _discriminator_step(
    config: TrainingConfig, state: TrainingState, shares: Sequence[Share], fakes: Sequence[Tensor], replica: Replica
) -> dict[str, Tensor]:
    discriminator, step, figures = state.discriminator, state.step, []
    discriminator.requires_grad_(True)
    for layer in discriminator.nearest_picture(config.freeze_discriminator_blocks):
        layer.requires_grad_(False)
    state.discriminator_optimizer.zero_grad(set_to_none=True)
    for (batch, rows), fake in zip(shares, fakes, strict=True):
        # Where the truth is not known, the target: a real picture either way.
        real = _seen(config, state, Purpose.REAL, rows)(batch.truth)
        fake = _seen(config, state, Purpose.FAKE, rows)(fake)
        with autocast(config, real.device):
            real_logits, fake_logits = discriminator(real).logits, discriminator(fake).logits
        total = losses.discriminator_loss(real_logits, fake_logits)
        scalars = {
            "discriminator/loss": total.detach(),
            "discriminator/real": real_logits.detach().float().mean(),
            "discriminator/fake": fake_logits.detach().float().mean(),
        }
        if state.augmentation is not None:
            scalars["discriminator/real_sign"] = real_logits.detach().float().sign().mean()
        if config.weights.r1 and due(step, config.r1_interval):
            # In float32: a gradient of a gradient loses too much in half precision. At what the discriminator sees:
            # a resampling has no second derivative.
            watched = real.detach().clone().requires_grad_(True)
            penalty = losses.r1_penalty(discriminator(watched).logits, watched)
            total = total + config.weights.r1 * config.r1_interval * penalty
            scalars["discriminator/r1"] = penalty.detach()
        (total / len(shares)).backward()
        figures.append(scalars)
    scalars = _descend(
        discriminator,
        state.discriminator_optimizer,
        learning_rate_factor(config, step),
        0.0,
        replica,
        _mean(figures),
        "gradient/discriminator",
    )
    if state.augmentation is not None:
        probability = scalars["discriminator/real_sign"].new_tensor(state.augmentation.probability)
        scalars["augment/probability"] = probability
        state.augmentation.observe(config, scalars["discriminator/real_sign"])
    return scalars


def _seen(config: TrainingConfig, state: TrainingState, purpose: Purpose, rows: slice) -> Callable[[Tensor], Tensor]:
    # What the discriminator sees of pictures.
    if state.augmentation is None:
        return lambda pictures: pictures
    return state.augmentation.transform(config, state.step, purpose, rows)


def _mean(figures: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    # Over the shares, which have the same names.
    if len(figures) == 1:
        return dict(figures[0])
    return {name: torch.stack([each[name] for each in figures]).mean() for name in figures[0]}


def _descend(
    network: nn.Module,
    optimizer: Optimizer,
    rate_factor: float,
    clip: float,
    replica: Replica,
    figures: Mapping[str, Tensor],
    norm_name: str,
) -> dict[str, Tensor]:
    # Returns the figures of the whole batch, and the gradient's norm before clipping.
    figures = replica.average_gradients(network.parameters(), figures)
    limit = clip if clip > 0 else float("inf")
    norm = nn.utils.clip_grad_norm_(network.parameters(), limit, foreach=True)
    set_learning_rate(optimizer, rate_factor)
    optimizer.step()
    return figures | {norm_name: norm.detach()}
