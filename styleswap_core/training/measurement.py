"""Forecast of the time and memory of a training run on this machine, from its own steps; no run folder is written."""

import dataclasses
import math
import statistics
import sys
import time
from dataclasses import dataclass
from itertools import count

import torch

from ..io.read_ahead import map_ahead
from .batches import READ_AHEAD
from .bottlenecks import StepTime, advise, processes_of
from .loss_terms import uses_recognizer
from .micro_batches import check_division
from .schedule import is_due
from .training_config import TrainingConfig
from .training_loop import RunContext
from .training_state import create_state
from .training_step import train_step

MIN_ROUNDS = 2  # of timed steps of every kind


@dataclass(frozen=True)
class Measurement:
    """Measured speed and memory, and the forecast that follows from them."""

    images_per_second: float  # over all processes
    seconds_per_step: float
    peak_bytes: int  # of one process: GPU memory on a GPU, otherwise main memory; 0 if not known
    processes: int
    threads: int  # per process
    batch: int
    gradient_accumulation: int
    steps: int  # of the whole run
    waiting_share: float  # of a step, for its pictures
    advice: tuple[str, ...]  # what limits the speed, and what to set

    @property
    def hours(self) -> float:
        """Duration of the whole run, without validation and sample sheets."""
        return self.steps * self.seconds_per_step / 3600

    def as_dict(self) -> dict[str, float]:
        """Plain values, including the forecast."""
        return dataclasses.asdict(self) | {"hours": self.hours, "images": self.steps * self.batch}

    def summary(self) -> str:
        """Human-readable summary: three lines, and the advice."""
        micro_batch = self.batch // (self.processes * self.gradient_accumulation)
        memory = f"{self.peak_bytes / 2**30:.2f} GiB" if self.peak_bytes else "unknown"
        return (
            f"{self.images_per_second:.2f} pictures per second; {processes_of(self.processes, self.threads)}, "
            f"micro-batches of {micro_batch}, steps of {self.batch} pictures in {self.seconds_per_step:.3f} s\n"
            f"peak memory of a process: {memory}\n"
            f"{self.hours:.1f} h for {self.steps} steps, {self.steps * self.batch} pictures"
        ) + "".join(f"\nspeed: {sentence}" for sentence in self.advice)


def measure(config: TrainingConfig, context: RunContext, seconds: float) -> Measurement:
    """Time steps of a run in its steady state, in which everything that the configuration ever turns on is active.

    Steps differ in what is due (R1, lazy terms). Each kind of step is timed in turn, at least twice and for `seconds`
    in total; medians are weighted by how often each kind occurs.

    Raises:
        StyleSwapError: The batch cannot be divided among processes and micro-batches.
    """
    check_division(config, context.process_group.world_size)
    frequencies = step_frequencies(config)
    times = _time_steps(config, context, list(frequencies), seconds)
    total = sum(frequencies.values())
    waiting, computing = (
        sum(
            number / total * statistics.median(getattr(time, part) for time in times[step])
            for step, number in frequencies.items()
        )
        for part in ("waiting", "computing")
    )
    per_step = waiting + computing
    return Measurement(
        images_per_second=config.batch / per_step,
        seconds_per_step=per_step,
        peak_bytes=_peak_bytes(context.device),
        processes=context.process_group.world_size,
        threads=torch.get_num_threads(),
        batch=config.batch,
        gradient_accumulation=config.gradient_accumulation,
        steps=config.steps,
        waiting_share=waiting / per_step,
        advice=tuple(advise(config, context.source, context.device, [StepTime(waiting, computing)])),
    )


def step_frequencies(config: TrainingConfig) -> dict[int, int]:
    """Kinds of steps in the steady state: the first step of each kind, and how many there are in one period."""
    intervals = [config.r1_interval if config.uses_discriminator and config.weights.r1 else 1]
    intervals += [config.identity_every, config.perceptual_every] if uses_recognizer(config) else []
    start = max(
        config.adversarial_start + config.adversarial_ramp,
        config.back_translation_start,
        config.consistency_start if config.consistency_share else 0,
        config.freeze_generator_steps,
        config.freeze_discriminator_steps,
        config.warmup_steps,
    )
    first_steps: dict[tuple[bool, ...], int] = {}
    frequencies: dict[int, int] = {}
    for step in range(start, start + math.lcm(*intervals)):
        first = first_steps.setdefault(tuple(is_due(step, interval) for interval in intervals), step)
        frequencies[first] = frequencies.get(first, 0) + 1
    return frequencies


def _time_steps(
    config: TrainingConfig, context: RunContext, steps: list[int], seconds: float
) -> dict[int, list[StepTime]]:
    # The steps may lie beyond the end of the run, where a decaying learning rate would be negative.
    config = dataclasses.replace(config, schedule="constant")
    state = create_state(config, context.device)
    forward = torch.compile(state.generator) if config.compile else state.generator
    times: dict[int, list[StepTime]] = {step: [] for step in steps}
    with map_ahead(context.source.batch, count(), depth=READ_AHEAD) as batches:

        def timed_step(step: int) -> StepTime:
            state.step = step
            start = time.perf_counter()
            batch = next(batches)
            arrived = time.perf_counter()
            train_step(config, state, batch.to(context.device), context.recognizer, forward, context.process_group)
            if context.device.type == "cuda":
                torch.cuda.synchronize(context.device)
            return StepTime(arrived - start, time.perf_counter() - arrived)

        # An untimed round, which allocates buffers and selects kernels.
        for step in steps:
            timed_step(step)
        end = time.perf_counter() + seconds
        rounds = 0
        while rounds < MIN_ROUNDS or context.process_group.run_on_main(lambda: time.perf_counter() < end):
            for step in steps:
                times[step].append(timed_step(step))
            rounds += 1
    return times


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource  # not available on Windows
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
