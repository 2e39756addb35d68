"""One optimisation step: generator, averaged weights, and the discriminator where the run has one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import losses
from ..faces.arcface import TorchRecognizer
from .back_translation import back_translate
from .config import TrainingConfig
from .data import Batch
from .optimizers import Optimizer, set_learning_rate
from .replica import Replica
from .schedule import adversarial_factor, due, ema_decay, learning_rate_factor
from .state import TrainingState, update_ema
from .terms import Output, critic_terms, pixel_terms, recognizer_terms, weighted_sum


@dataclass(frozen=True)
class StepReport:
    """What a step computed, as detached scalar tensors on its device."""

    scalars: dict[str, Tensor]  # loss terms unweighted, totals, gradient norms
    finite: Tensor  # bool: losses and gradient norms are all finite


def autocast(config: TrainingConfig, device: torch.device) -> torch.autocast:
    """The precision of forward passes: bfloat16 convolutions, or everything in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


def run_generator(generator: Callable, batch: Batch) -> Output:
    """One forward pass with mask logits, its pictures in float32."""
    result = generator(batch.target, batch.id_embedding, return_mask_logits=True)
    return Output(
        image=result.image.float(),
        rgb=result.rgb.float(),
        mask=result.mask.float(),
        mask_logits=result.mask_logits,
    )


def train_step(config: TrainingConfig, state: TrainingState, batch: Batch, recognizer: TorchRecognizer | None,
               forward: Callable | None = None, replica: Replica = Replica()) -> StepReport:
    """Advance `state` by one step, in place.

    The generator runs once; the discriminator is not run at all before `adversarial_start`.

    Args:
        batch: of `state.step`, on the networks' device.
        recognizer: frozen, see `recognizer_terms`; None in a run without recogniser terms.
        forward: stands in for `state.generator` (its compiled form).
        replica: of several processes, `batch` being its share.
    """
    step, device = state.step, batch.target.device
    critic = state.discriminator if adversarial_factor(config, step) > 0 else None
    generator = state.generator if forward is None else forward
    with autocast(config, device):
        batch = back_translate(config, step, batch, generator)
        output = run_generator(generator, batch)
        terms = pixel_terms(config, batch, output)
        if recognizer is not None:
            terms += recognizer_terms(config, step, batch, output.image, recognizer)
        if critic is not None:
            # The generator's gradient passes through the discriminator and leaves none there.
            critic.requires_grad_(False)
            terms += critic_terms(config, step, batch, output.image, critic)
            critic.requires_grad_(True)
    if not terms:
        raise ValueError(f"no loss term applies at step {step}: all weights are 0")
    total = weighted_sum(terms)
    norm = _descend(total, state.generator, state.generator_optimizer,
                    learning_rate_factor(config, step), config.gradient_clip, replica)
    scalars = {f"loss/{term.name}": term.value.detach() for term in terms}
    scalars |= {"loss/total": total.detach(), "gradient/generator": norm}
    if critic is not None:
        scalars |= _discriminator_step(config, state, batch, output.image.detach(), replica)
    update_ema(state, ema_decay(config, step))
    state.step = step + 1
    finite = torch.isfinite(torch.stack([value.float() for value in scalars.values()])).all()
    return StepReport(scalars=scalars, finite=finite)


def _discriminator_step(config: TrainingConfig, state: TrainingState, batch: Batch, fake: Tensor,
                        replica: Replica) -> dict[str, Tensor]:
    discriminator, step = state.discriminator, state.step
    real = batch.truth  # where it is not known, the target: a real picture either way
    with autocast(config, real.device):
        real_logits, fake_logits = discriminator(real), discriminator(fake)
    total = losses.discriminator_loss(real_logits, fake_logits)
    scalars = {"discriminator/loss": total.detach(), "discriminator/real": real_logits.detach().float().mean(),
               "discriminator/fake": fake_logits.detach().float().mean()}
    if config.weights.r1 and due(step, config.r1_interval):
        # In float32: a gradient of a gradient loses too much in half precision.
        watched = real.detach().clone().requires_grad_(True)
        penalty = losses.r1_penalty(discriminator(watched), watched)
        total = total + config.weights.r1 * config.r1_interval * penalty
        scalars["discriminator/r1"] = penalty.detach()
    scalars["gradient/discriminator"] = _descend(total, discriminator, state.discriminator_optimizer,
                                                learning_rate_factor(config, step), 0.0, replica)
    return scalars


def _descend(total: Tensor, network: nn.Module, optimizer: Optimizer, rate_factor: float, clip: float,
             replica: Replica) -> Tensor:
    # Returns the gradient's norm before clipping.
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    replica.average_gradients(network.parameters())
    limit = clip if clip > 0 else float("inf")
    norm = nn.utils.clip_grad_norm_(network.parameters(), limit, foreach=True)
    set_learning_rate(optimizer, rate_factor)
    optimizer.step()
    return norm.detach()
