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
    forward = state.generator if forward is None else forward
    return _Step(config, state, recognizer, forward, process_group).run(batch)


@dataclass(frozen=True, eq=False)
class _Step:
    """One step of a run; arguments of `train_step`."""

    config: TrainingConfig
    state: TrainingState
    recognizer: TorchRecognizer | None
    forward: GeneratorFunction
    process_group: ProcessGroup

    def run(self, batch: Batch) -> StepReport:
        """Update the networks that are trained at this step."""
        config, state, step = self.config, self.state, self.state.step
        micro_batches = split_batch(config, batch, self.process_group)
        updates_generator = trains_generator(config, step)
        mask_branch, has_recognizer = state.generator.config.mask_branch, self.recognizer is not None
        scalars: dict[str, Tensor] = {}
        if updates_generator and has_active_terms(config, step, mask_branch, has_recognizer):
            scalars, fakes = self._update_generator(micro_batches)
        else:
            fakes = self._generate(micro_batches)
        discriminator, optimizer = state.discriminator, state.discriminator_optimizer
        if discriminator is not None and optimizer is not None and trains_discriminator(config, step):
            scalars |= self._update_discriminator(discriminator, optimizer, micro_batches, fakes)
        if updates_generator:
            update_ema(state, ema_decay(config, step))
        state.step = step + 1
        values = [value.float() for value in scalars.values()] or [torch.zeros((), device=batch.target.device)]
        return StepReport(scalars=scalars, finite=torch.isfinite(torch.stack(values)).all())

    def _update_generator(self, micro_batches: Sequence[MicroBatch]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Update the generator; returns the scalars, and the pictures generated before the update."""
        config, state, step = self.config, self.state, self.state.step
        scalars, fakes = [], []
        discriminator = state.discriminator if adversarial_factor(config, step) > 0 else None
        state.generator_optimizer.zero_grad(set_to_none=True)
        if discriminator is not None:
            # The generator's gradient passes through the discriminator without accumulating there.
            discriminator.requires_grad_(False)
        for batch, rows in micro_batches:
            with self._autocast(batch.target.device):
                batch = supervise_unpaired_rows(config, step, batch, self.forward, rows)
                output = self.forward(batch.target, batch.id_embedding)
                terms = pixel_terms(config, batch, output)
                if self.recognizer is not None:
                    terms += recognizer_terms(config, step, batch, output.image, self.recognizer)
                if discriminator is not None:
                    augment = self._augmentation(Purpose.GENERATOR, rows)
                    terms += discriminator_terms(config, step, batch, output.image, discriminator, augment)
            total = weighted_sum(terms)
            (total / len(micro_batches)).backward()
            scalars.append(
                {f"loss/{term.name}": term.value.detach() for term in terms} | {"loss/total": total.detach()}
            )
            fakes.append(output.image.detach())
        optimizer = state.generator_optimizer
        means = self._update("generator", state.generator, optimizer, _mean(scalars), max_norm=config.gradient_clip)
        return means, fakes

    @torch.no_grad()
    def _generate(self, micro_batches: Sequence[MicroBatch]) -> list[Tensor]:
        with self._autocast(micro_batches[0].batch.target.device):
            return [self.forward(batch.target, batch.id_embedding).image for batch, _ in micro_batches]

    def _update_discriminator(
        self,
        discriminator: Discriminator,
        optimizer: Optimizer,
        micro_batches: Sequence[MicroBatch],
        fakes: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        discriminator.requires_grad_(True)
        for layer in discriminator.first_layers(self.config.freeze_discriminator_blocks):
            layer.requires_grad_(False)
        optimizer.zero_grad(set_to_none=True)
        per_micro_batch = []
        for micro_batch, fake in zip(micro_batches, fakes, strict=True):
            scalars, total = self._discriminator_loss(discriminator, micro_batch, fake)
            (total / len(micro_batches)).backward()
            per_micro_batch.append(scalars)
        scalars = self._update("discriminator", discriminator, optimizer, _mean(per_micro_batch))
        augmentation = self.state.augmentation
        if augmentation is not None:
            real_sign = scalars["discriminator/real_sign"]
            scalars["augment/probability"] = real_sign.new_tensor(augmentation.probability)
            augmentation.observe(self.config, real_sign)
        return scalars

    def _discriminator_loss(
        self, discriminator: Discriminator, micro_batch: MicroBatch, fake: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Scalars to report, and the loss of a micro-batch."""
        config, (batch, rows) = self.config, micro_batch
        # Rows without a known truth hold the target, which is a real picture as well.
        real = self._augmentation(Purpose.REAL, rows)(batch.truth)
        fake = self._augmentation(Purpose.FAKE, rows)(fake)
        with self._autocast(real.device):
            real_logits, fake_logits = discriminator(real).logits, discriminator(fake).logits
        loss = losses.discriminator_loss(real_logits, fake_logits)
        scalars = {
            "discriminator/loss": loss.detach(),
            "discriminator/real": real_logits.detach().float().mean(),
            "discriminator/fake": fake_logits.detach().float().mean(),
        }
        if self.state.augmentation is not None:
            scalars["discriminator/real_sign"] = real_logits.detach().float().sign().mean()
        if config.weights.r1 and is_due(self.state.step, config.r1_interval):
            # In float32, since second derivatives lose too much precision in bfloat16. The gradient is with respect to
            # the augmented pictures, since resampling has no second derivative.
            inputs = real.detach().clone().requires_grad_(True)
            penalty = losses.r1_penalty(discriminator(inputs).logits, inputs)
            loss = loss + config.weights.r1 * config.r1_interval * penalty
            scalars["discriminator/r1"] = penalty.detach()
        return scalars, loss

    def _augmentation(self, purpose: Purpose, rows: slice) -> Callable[[Tensor], Tensor]:
        """Transform of the pictures that the discriminator sees; without augmentation it returns them unchanged."""
        if self.state.augmentation is None:
            return lambda pictures: pictures
        return self.state.augmentation.transform(self.config, self.state.step, purpose, rows)

    def _autocast(self, device: torch.device) -> torch.autocast:
        return choose_precision(device, "training", self.config.precision).autocast(device)

    def _update(
        self,
        name: str,
        network: nn.Module,
        optimizer: Optimizer,
        scalars: Mapping[str, Tensor],
        max_norm: float = 0.0,
    ) -> dict[str, Tensor]:
        """Average gradients over the processes, clip them and step the optimizer.

        Args:
            name: Name of the network, under which the norm of its gradient before clipping is reported.
            network: Network with gradients.
            optimizer: Optimizer of the network.
            scalars: Scalars of this process.
            max_norm: Maximum norm of the gradient; 0: no limit.

        Returns:
            Scalars of the whole batch, including the gradient norm.
        """
        means = self.process_group.average_gradients(network.parameters(), scalars)
        norm = nn.utils.clip_grad_norm_(network.parameters(), max_norm or float("inf"), foreach=True)
        set_learning_rate(optimizer, learning_rate_factor(self.config, self.state.step))
        optimizer.step()
        return means | {f"gradient/{name}": norm.detach()}


def _mean(scalars: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Means over micro-batches, which have the same names."""
    if len(scalars) == 1:
        return dict(scalars[0])
    return {name: torch.stack([each[name] for each in scalars]).mean() for name in scalars[0]}
