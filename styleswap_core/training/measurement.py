"""What a training would cost on this machine: its own steps are timed, nothing is kept."""

import dataclasses
import math
import statistics
import sys
import time
from dataclasses import dataclass
from itertools import count, cycle

import torch

from ..io.read_ahead import map_ahead
from .batches import READ_AHEAD
from .micro_batches import check_shares
from .schedule import due
from .state import create_state
from .step import train_step
from .terms import uses_recognizer
from .training_config import TrainingConfig
from .training_loop import Surroundings

LEAST_ROUNDS = 2  # of every kind of step


@dataclass(frozen=True)
class Measurement:
    """What was measured, and what follows from it for the whole run."""

    images_per_second: float  # of all processes together
    seconds_per_step: float
    peak_bytes: int  # of one process: of its GPU's memory, else of its own; 0: not known
    processes: int
    threads: int  # of each process
    batch: int
    accumulate: int
    steps: int  # of the run that is forecast

    @property
    def hours(self) -> float:
        """Of the whole run, without validation and pictures."""
        return self.steps * self.seconds_per_step / 3600

    def as_dict(self) -> dict[str, float]:
        """Plain values, the forecast included."""
        return dataclasses.asdict(self) | {"hours": self.hours, "images": self.steps * self.batch}

    def lines(self) -> str:
        """For people."""
        share = self.batch // (self.processes * self.accumulate)
        memory = f"{self.peak_bytes / 2**30:.2f} GiB" if self.peak_bytes else "unknown memory"
        return (
            f"{self.images_per_second:.2f} pictures per second: {self.processes} processes of {self.threads} threads, "
            f"{share} pictures at once, {self.batch} for each step of {self.seconds_per_step:.3f} s\n"
            f"{memory} at most in one process\n"
            f"{self.hours:.1f} h for {self.steps} steps, {self.steps * self.batch} pictures"
        )


def measure(config: TrainingConfig, surroundings: Surroundings, seconds: float) -> Measurement:
    """Time steps of a run in full swing: everything that the settings ever turn on is on.

    Steps differ in what is due at them (R1, lazy terms). Each kind is run in turn, at least twice and for `seconds` in all;
    their medians are weighted by how often each comes.

    Raises:
        StyleSwapError: the batch cannot be shared out.
    """
    replica, device = surroundings.replica, surroundings.device
    check_shares(config, replica.world)
    kinds = _kinds(config)
    # The steps of full swing may lie beyond the end, where a schedule would go below 0.
    config = dataclasses.replace(config, schedule="constant")
    state = create_state(config, device)
    forward = torch.compile(state.generator) if config.compile else state.generator
    times: dict[int, list[float]] = {first: [] for first in kinds}
    begun = time.perf_counter()
    with map_ahead(surroundings.source.batch, count(), depth=READ_AHEAD) as batches:
        for number, first in enumerate(cycle(kinds)):
            rounds, place = divmod(number, len(kinds))
            if (
                rounds > LEAST_ROUNDS
                and place == 0
                and replica.from_main(lambda: time.perf_counter() - begun > seconds)
            ):
                break
            state.step = first
            start = time.perf_counter()
            train_step(config, state, next(batches).to(device), surroundings.recognizer, forward, replica)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            # The first round does not count: buffers are made, kernels chosen.
            if rounds:
                times[first].append(time.perf_counter() - start)
            else:
                begun = time.perf_counter()
    total = sum(kinds.values())
    per_step = sum(count / total * statistics.median(times[first]) for first, count in kinds.items())
    return Measurement(
        images_per_second=config.batch / per_step,
        seconds_per_step=per_step,
        peak_bytes=_peak_bytes(device),
        processes=replica.world,
        threads=torch.get_num_threads(),
        batch=config.batch,
        accumulate=config.accumulate,
        steps=config.steps,
    )


def _kinds(config: TrainingConfig) -> dict[int, int]:
    # The first step of every kind -> how many of its kind there are in one period, all in full swing.
    intervals = [config.r1_interval if config.uses_discriminator and config.weights.r1 else 1]
    intervals += [config.identity_every, config.perceptual_every] if uses_recognizer(config) else []
    start = max(
        config.adversarial_start + config.adversarial_ramp,
        config.back_translation_start,
        config.agreeing_start if config.agreeing_share else 0,
        config.freeze_generator_steps,
        config.freeze_discriminator_steps,
        config.warmup_steps,
    )
    firsts: dict[tuple[bool, ...], int] = {}
    counts: dict[int, int] = {}
    for step in range(start, start + math.lcm(*intervals)):
        first = firsts.setdefault(tuple(due(step, interval) for interval in intervals), step)
        counts[first] = counts.get(first, 0) + 1
    return counts


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource  # not on Windows
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
