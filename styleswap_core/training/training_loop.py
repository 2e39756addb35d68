"""The training loop: batches in, checkpoints, figures and a finished generator out."""

import sys
from collections.abc import Mapping, Sized
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from ..checkpoints.native import save_generator
from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..io.read_ahead import map_ahead
from .batches import READ_AHEAD, DataSource
from .micro_batches import check_shares
from .process_group import Replica
from .run_folder import Averages, Clock, Recorder, RunFolder
from .schedule import due, learning_rate_factor
from .state import TrainingState, create_state, generator_config, newest_checkpoint, restore_state, save_checkpoint
from .step import train_step
from .terms import check_terms, uses_recognizer
from .training_config import TrainingConfig, save_config
from .validation import sample_sheet, validate
from .warm_start import initialize_discriminator, initialize_from

FORECAST_AFTER_MINUTES = 0.5


@dataclass(frozen=True)
class Surroundings:
    """What a run is given from outside: data, judge, place. None of it is in a checkpoint."""

    source: DataSource
    device: torch.device
    recognizer: TorchRecognizer | None = None  # on `device`
    validation: DataSource | None = None  # must show the exact swap
    metadata: Mapping[str, object] = field(default_factory=dict)  # goes into the generator file
    replica: Replica = Replica()
    echo: bool = False  # figures as JSON lines on stdout
    max_minutes: float = 0.0  # stop with a checkpoint after this long, to be resumed; 0: no limit


def train(config: TrainingConfig, folder: RunFolder, surroundings: Surroundings) -> TrainingState:
    """Train until `config.steps`, going on from the newest checkpoint in `folder` if it has one.

    A run that is cut off at any moment and started again computes the same numbers as one that is not (on the CPU and
    with the same number of threads, to the last bit): batches and schedules are functions of the step, everything else
    is in the checkpoint.

    Raises:
        StyleSwapError: a loss is no longer finite, or the checkpoint does not fit the configuration. The last
            checkpoint stays as it is.
    """
    if uses_recognizer(config) and surroundings.recognizer is None:
        raise StyleSwapError(
            "expected a recognizer for the identity and perceptual terms, got none; name its ONNX file as `recognizer`"
        )
    check_terms(config, generator_config(config).mask_branch)
    check_shares(config, surroundings.replica.world)
    if surroundings.replica.is_main:
        folder.create()
        save_config(config, folder.config)
    state = _begin(config, folder, surroundings.device, surroundings.replica)
    if state.step >= config.steps:
        return state
    with Recorder(folder, state.step, surroundings.echo) if surroundings.replica.is_main else nullcontext() as recorder:
        _Run(config, folder, surroundings, state, recorder).until_done()
    return state


def _begin(config: TrainingConfig, folder: RunFolder, device: torch.device, replica: Replica) -> TrainingState:
    # The main replica alone reads files: the run folder need not be on a disk that all machines share.
    content = replica.from_main(lambda: newest_checkpoint(folder.checkpoints))
    if content is not None:
        return restore_state(content, config, device)
    state = create_state(config, device)
    replica.from_main(lambda: _load_priors(config, state))
    replica.synchronise(state.tensors())
    return state


def _load_priors(config: TrainingConfig, state: TrainingState) -> None:
    if config.init_from:
        fresh = initialize_from(state.generator, config.init_from)
        state.generator_ema.load_state_dict(state.generator.state_dict())
        _say_what_came(state.generator, fresh, config.init_from)
    if config.init_discriminator_from:
        fresh = initialize_discriminator(state.discriminator, config.init_discriminator_from)
        _say_what_came(state.discriminator, fresh, config.init_discriminator_from)


def _say_what_came(network: nn.Module, fresh: Sized, origin: str) -> None:
    total = len(network.state_dict())
    print(f"{total - len(fresh)} of {total} tensors come from {origin}", file=sys.stderr)


class _Run:
    """One process's share of a training: the loop and what happens at its intervals."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: RunFolder,
        surroundings: Surroundings,
        state: TrainingState,
        recorder: Recorder | None,
    ):
        self.config, self.folder, self.surroundings = config, folder, surroundings
        self.state, self.recorder = state, recorder  # the main replica alone records
        self.averages = Averages()
        self.clock = Clock(state.step, config.batch)
        self.finite = torch.ones((), dtype=torch.bool, device=surroundings.device)
        self.forecast_due = True
        # The compiled form shares the generator's parameters.
        self.forward = torch.compile(state.generator) if config.compile else state.generator

    def until_done(self) -> None:
        """Take the steps that are left, or as many as the time allows.

        Raises:
            StyleSwapError: a loss is no longer finite.
        """
        config, state, device = self.config, self.state, self.surroundings.device
        steps = range(state.step, config.steps)
        with (
            map_ahead(self.surroundings.source.batch, steps, depth=READ_AHEAD) as batches,
            self._progress() as progress,
        ):
            for batch in batches:
                report = train_step(
                    config,
                    state,
                    batch.to(device),
                    self.surroundings.recognizer,
                    self.forward,
                    self.surroundings.replica,
                )
                self.averages.add(report.scalars)
                self.finite &= report.finite
                # On an accelerator, asking waits for it; there the question is put with the reports.
                if device.type == "cpu":
                    self._check_finite()
                progress.update()
                if self._after_step(progress):
                    return

    def _after_step(self, progress: tqdm) -> bool:
        # Whether the time allowed is up. Reports are also due at checkpoints: averages never span one, so a resumed
        # run writes the same figures.
        config, around, step = self.config, self.surroundings, self.state.step
        last = step == config.steps
        out_of_time = not last and self._out_of_time()
        save = last or out_of_time or due(step, config.checkpoint_every)
        if save or due(step, config.log_every):
            self._check_finite()
            self._report(progress)
        if self.forecast_due and self.clock.minutes() > FORECAST_AFTER_MINUTES:
            self.forecast_due = False
            if around.replica.is_main:
                progress.write(self.clock.forecast(step, config.steps), file=sys.stderr)
        if save:
            # Unequal machines round unequally: what the others computed since is replaced before it can add up.
            around.replica.synchronise(self.state.tensors())
        if around.replica.is_main:
            if last or due(step, config.sample_every):
                self._show()
            if save:
                self._save()
        if out_of_time and around.replica.is_main:
            progress.write(
                f"stopped at step {step} of {config.steps}: the time is up; resume to go on", file=sys.stderr
            )
        return out_of_time

    def _out_of_time(self) -> bool:
        around = self.surroundings
        if around.max_minutes == 0:
            return False
        if around.replica.world > 1 and not due(self.state.step, self.config.log_every):
            return False  # asking costs a message
        return around.replica.from_main(lambda: around.max_minutes < self.clock.minutes())

    def _check_finite(self) -> None:
        if not bool(self.finite):
            bad = [name for name, value in self.averages.take().items() if value != value or abs(value) == float("inf")]
            raise StyleSwapError(
                f"training diverged by step {self.state.step}: {', '.join(bad) or 'a loss'} is no longer finite; the "
                f"checkpoints in {self.folder.checkpoints} are untouched: lower the learning rate and resume"
            )

    def _report(self, progress: tqdm) -> None:
        figures = self.averages.take()
        if not figures:
            return
        step = self.state.step
        # While the generator waits for the discriminator there is no loss but the discriminator's.
        loss = figures.get("loss/total", figures.get("discriminator/loss"))
        if loss is not None:
            progress.set_postfix_str(f"loss {loss:.3f}")
        if self.surroundings.replica.is_main:
            figures["learning_rate"] = self.config.learning_rate * learning_rate_factor(self.config, step - 1)
            self.recorder.scalars(step, {**figures, "images_per_second": round(self.clock.rate(step), 2)})

    def _show(self) -> None:
        config, around, state = self.config, self.surroundings, self.state
        judged = around.validation or around.source
        if config.sample_images:
            self.recorder.sheet(
                state.step, sample_sheet(state.generator_ema, judged, config.sample_images, around.device)
            )
        if around.validation is not None and config.validation_images:
            figures = validate(
                state.generator_ema, around.validation, config.validation_images, around.recognizer, around.device
            )
            self.recorder.scalars(state.step, figures)

    def _save(self) -> None:
        save_checkpoint(self.folder.checkpoints, self.state, self.config, self.surroundings.device)
        metadata = {**self.surroundings.metadata, "training_steps": self.state.step}
        save_generator(self.folder.generator, self.state.generator_ema, metadata)

    def _progress(self) -> tqdm:
        interactive = sys.stderr.isatty()
        return tqdm(
            total=self.config.steps,
            initial=self.state.step,
            unit="step",
            desc="training",
            mininterval=0.5 if interactive else 60,
            disable=not self.surroundings.replica.is_main,
        )
