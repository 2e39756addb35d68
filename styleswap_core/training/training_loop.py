"""Training loop: turns batches into checkpoints, metrics and a finished generator."""

import math
import sys
from collections.abc import Mapping, Sized
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from ..checkpoints.native import save_generator
from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..io.folder_lock import lock_folder
from ..io.read_ahead import map_ahead
from .batches import READ_AHEAD, DataSource
from .bottlenecks import StepWatch, advise
from .loss_terms import check_terms, uses_recognizer
from .micro_batches import check_division
from .process_group import SINGLE_PROCESS, ProcessGroup
from .run_folder import Clock, Recorder, RunFolder, RunningMeans
from .schedule import is_due, learning_rate_factor
from .training_config import TrainingConfig, save_config
from .training_state import (
    TrainingState,
    create_state,
    generator_config,
    newest_checkpoint,
    restore_state,
    save_checkpoint,
)
from .training_step import train_step
from .validation import sample_sheet, validate
from .warm_start import initialize_discriminator, initialize_generator

FORECAST_AFTER_MINUTES = 0.5


@dataclass(frozen=True)
class RunContext:
    """Everything a run needs besides its configuration; none of it is stored in checkpoints.

    Attributes:
        source: Training batches.
        device: Device of the networks.
        recognizer: Recognizer of the identity and perceptual terms, on `device`; None if there are no such terms.
        validation: Batches of held-out identities with exact swaps; None for no validation.
        metadata: Metadata of the generator file.
        process_group: Group of processes that share the run.
        echo: Whether to print metrics as JSON lines on stdout.
        max_minutes: Time after which to stop at a checkpoint, to be resumed; 0 for no limit.
    """

    source: DataSource
    device: torch.device
    recognizer: TorchRecognizer | None = None
    validation: DataSource | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    process_group: ProcessGroup = SINGLE_PROCESS
    echo: bool = False
    max_minutes: float = 0.0


def train(config: TrainingConfig, folder: RunFolder, context: RunContext) -> TrainingState:
    """Train up to `config.steps`, starting from the newest checkpoint in `folder` if there is one.

    A run that is killed at any moment and started again computes the same results as an uninterrupted one (bit for bit
    on a CPU with the same number of threads): batches and schedules are functions of the step, and everything else is
    stored in checkpoints.

    Raises:
        StyleSwapError: A loss is no longer finite (the last checkpoint is kept), a checkpoint does not fit the
            configuration, the recognizer is missing, or another process is training in the folder.
    """
    if uses_recognizer(config) and context.recognizer is None:
        raise StyleSwapError(
            "expected a recognizer for the identity and perceptual terms, got none; name its ONNX file as `recognizer`"
        )
    check_terms(config, generator_config(config).mask_branch)
    check_division(config, context.process_group.world_size)
    with ExitStack() as stack:
        recorder: Recorder | None = None
        if context.process_group.is_main:
            folder.root.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_folder(folder.root, folder.root))
            folder.create()
            save_config(config, folder.config)
        state = _initial_state(config, folder, context)
        if state.step < config.steps:
            if context.process_group.is_main:
                recorder = stack.enter_context(Recorder(folder, state.step, context.echo))
            _TrainingLoop(config, folder, context, state, recorder).run()
    return state


def _initial_state(config: TrainingConfig, folder: RunFolder, context: RunContext) -> TrainingState:
    # Only the main process reads files, since the machines of a run need not share a disk.
    process_group = context.process_group
    content = process_group.run_on_main(lambda: newest_checkpoint(folder.checkpoints))
    if content is not None:
        return restore_state(content, config, context.device)
    state = create_state(config, context.device)
    process_group.run_on_main(lambda: _load_trained_networks(config, state))
    process_group.broadcast(state.tensors())
    return state


def _load_trained_networks(config: TrainingConfig, state: TrainingState) -> None:
    if config.init_from:
        fresh = initialize_generator(state.generator, config.init_from)
        state.generator_ema.load_state_dict(state.generator.state_dict())
        _report_loaded(state.generator, fresh, config.init_from)
    if config.init_discriminator_from and state.discriminator is not None:
        fresh = initialize_discriminator(state.discriminator, config.init_discriminator_from)
        _report_loaded(state.discriminator, fresh, config.init_discriminator_from)


def _report_loaded(network: nn.Module, fresh: Sized, origin: str) -> None:
    total = len(network.state_dict())
    print(f"loaded {total - len(fresh)} of {total} tensors from {origin}", file=sys.stderr)


class _TrainingLoop:
    """Loop of one process, and the reports and checkpoints at its intervals; only the main process has a recorder."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: RunFolder,
        context: RunContext,
        state: TrainingState,
        recorder: Recorder | None,
    ) -> None:
        self.config, self.folder, self.context = config, folder, context
        self.state, self.recorder = state, recorder
        self.process_group = context.process_group
        self.means = RunningMeans()
        self.clock = Clock(state.step, config.batch)
        self.finite = torch.ones((), dtype=torch.bool, device=context.device)
        self.forecast_pending = True
        self.watch, self.advice_pending = StepWatch(context.device), True
        # The compiled function shares the generator's parameters.
        self.forward = torch.compile(state.generator) if config.compile else state.generator

    def run(self) -> None:
        """Run the remaining steps, or as many as the time limit allows.

        Raises:
            StyleSwapError: A loss is no longer finite.
        """
        config, state, context = self.config, self.state, self.context
        steps = range(state.step, config.steps)
        with map_ahead(context.source.batch, steps, depth=READ_AHEAD) as batches, self._progress() as progress:
            for batch in self.watch.over(batches):
                report = train_step(
                    config,
                    state,
                    batch.to(context.device),
                    context.recognizer,
                    self.forward,
                    self.process_group,
                )
                self.means.add(report.scalars)
                self.finite &= report.finite
                # Reading the flag from an accelerator would wait for it, so there it is read with the reports.
                if context.device.type == "cpu":
                    self._check_finite()
                progress.update()
                if self._after_step(progress):
                    return

    def _after_step(self, progress: tqdm) -> bool:
        """Report, save and synchronize as due; returns whether the time limit is reached."""
        config, step, is_main = self.config, self.state.step, self.process_group.is_main
        last = step == config.steps
        out_of_time = not last and self._out_of_time()
        save = last or out_of_time or is_due(step, config.checkpoint_every)
        # A report precedes every checkpoint, so that means never span one and a resumed run reports the same figures.
        if save or is_due(step, config.log_every):
            self._check_finite()
            self._report(progress)
        if self.advice_pending and self.watch.done:
            self.advice_pending = False
            if is_main:
                for sentence in advise(config, self.context.source, self.context.device, self.watch.times):
                    progress.write(f"speed: {sentence}", file=sys.stderr)
        if self.forecast_pending and self.clock.minutes() > FORECAST_AFTER_MINUTES:
            self.forecast_pending = False
            if is_main:
                progress.write(self.clock.forecast(step, config.steps), file=sys.stderr)
        if save:
            # Different processors round differently; this keeps the processes from drifting apart.
            self.process_group.broadcast(self.state.tensors())
        if self.recorder is not None and (last or is_due(step, config.sample_every)):
            self._record_samples(self.recorder)
        if is_main and save:
            self._save()
        if is_main and out_of_time:
            progress.write(
                f"stopped at step {step} of {config.steps} by the time limit; continue with --resume", file=sys.stderr
            )
        return out_of_time

    def _out_of_time(self) -> bool:
        limit = self.context.max_minutes
        if limit == 0:
            return False
        # With several processes the decision costs a message.
        if self.process_group.world_size > 1 and not is_due(self.state.step, self.config.log_every):
            return False
        return self.process_group.run_on_main(lambda: limit < self.clock.minutes())

    def _check_finite(self) -> None:
        if not bool(self.finite):
            affected = [name for name, value in self.means.take().items() if not math.isfinite(value)]
            raise StyleSwapError(
                f"training diverged by step {self.state.step}: {', '.join(affected) or 'a loss'} is no longer finite; "
                f"lower the learning rate and resume from the checkpoints in {self.folder.checkpoints}"
            )

    def _report(self, progress: tqdm) -> None:
        means = self.means.take()
        if not means:
            return
        step = self.state.step
        # While the generator is frozen, there is only the discriminator's loss.
        loss = means.get("loss/total", means.get("discriminator/loss"))
        if loss is not None:
            progress.set_postfix_str(f"loss {loss:.3f}")
        if self.recorder is not None:
            means["learning_rate"] = self.config.learning_rate * learning_rate_factor(self.config, step - 1)
            self.recorder.scalars(step, {**means, "images_per_second": round(self.clock.rate(step), 2)})

    def _record_samples(self, recorder: Recorder) -> None:
        config, context, state = self.config, self.context, self.state
        source = context.validation or context.source
        if config.sample_images:
            sheet = sample_sheet(state.generator_ema, source, config.sample_images, context.device)
            recorder.sheet(state.step, sheet)
        if context.validation is not None and config.validation_images:
            metrics = validate(
                state.generator_ema, context.validation, config.validation_images, context.recognizer, context.device
            )
            recorder.scalars(state.step, metrics)

    def _save(self) -> None:
        save_checkpoint(self.folder.checkpoints, self.state, self.config, self.context.device)
        metadata = {**self.context.metadata, "training_steps": self.state.step}
        save_generator(self.folder.generator, self.state.generator_ema, metadata)

    def _progress(self) -> tqdm:
        interactive = sys.stderr.isatty()
        return tqdm(
            total=self.config.steps,
            initial=self.state.step,
            unit="step",
            desc="training",
            mininterval=0.5 if interactive else 60,
            disable=not self.process_group.is_main,
        )
