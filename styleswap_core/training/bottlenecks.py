"""What limits the speed of a run, and what to set: measured in its first steps, said in sentences."""

import os
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from ..devices import choose_precision, usable_cores
from ..errors import counted
from ..preparation.prepared_set import is_prepared
from .batches import DataSource
from .column_source import ColumnSource
from .training_config import TrainingConfig

# Steps that are not timed, since they allocate buffers and select kernels, and steps that are.
WARM_UP_STEPS = 3
TIMED_STEPS = 20
# Share of a step from which waiting for pictures is worth a change.
_NOTABLE_WAIT = 0.1
# Share of a GPU's memory that a larger micro-batch may take.
_FULL_MEMORY = 0.8

Item = TypeVar("Item")


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step.

    Attributes:
        waiting: Until its pictures are there.
        computing: From then until it is finished.
    """

    waiting: float
    computing: float


class StepWatch:
    """Times the first steps of a run.

    Attributes:
        times: The steps that were timed.
    """

    def __init__(self, device: torch.device) -> None:
        self.times: list[StepTime] = []
        self._device = device

    @property
    def done(self) -> bool:
        """Whether no further steps are timed."""
        return len(self.times) >= TIMED_STEPS

    def over(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The batches; the time that the caller takes for each counts as computing."""
        number = 0
        start = self._now()
        for batch in batches:
            arrived = time.perf_counter()
            yield batch
            number += 1
            if self.done:
                continue
            end = self._now()
            if number > WARM_UP_STEPS:
                self.times.append(StepTime(arrived - start, end - arrived))
            start = end

    def _now(self) -> float:
        # A GPU works on while the processor goes ahead to wait for pictures.
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


@dataclass(frozen=True)
class Machine:
    """What a run may use on its machine.

    Attributes:
        cores: Processor cores.
        processes: Processes of the run on this machine.
        threads: Threads of each process.
        gpus: NVIDIA or AMD GPUs.
        memory_share: Largest share of the GPU's memory that was in use; None on a CPU.
    """

    cores: int
    processes: int
    threads: int
    gpus: int
    memory_share: float | None

    @classmethod
    def of(cls, device: torch.device) -> "Machine":
        """The machine of this process."""
        share = None
        if device.type == "cuda":
            total = torch.cuda.get_device_properties(device).total_memory
            share = torch.cuda.max_memory_allocated(device) / total
        # Set by torchrun and Accelerate.
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return cls(usable_cores(), processes, torch.get_num_threads(), torch.cuda.device_count(), share)


def advise(
    config: TrainingConfig,
    source: DataSource,
    device: torch.device,
    times: Sequence[StepTime],
    machine: Machine | None = None,
) -> list[str]:
    """Sentences about what limits the speed of a run; each names what to set, if anything would help.

    Args:
        config: Configuration of the run.
        source: Its data.
        device: Device of its networks.
        times: Steps of the run, at least one.
        machine: By default the one of this process.
    """
    machine = Machine.of(device) if machine is None else machine
    found = [_about_data(config, source, device, times), _about_precision(config, device)]
    found.append(_about_gpu(config, machine) if device.type == "cuda" else _about_threads(config, machine))
    return [sentence for sentence in found if sentence]


def _about_data(config: TrainingConfig, source: DataSource, device: torch.device, times: Sequence[StepTime]) -> str:
    waiting = statistics.median(step.waiting for step in times)
    whole = waiting + statistics.median(step.computing for step in times)
    share = waiting / max(whole, 1e-9)
    step = f"a step takes {whole:.3f} s, {share:.0%} of it waiting for pictures"
    if share < _NOTABLE_WAIT:
        return f"{step}: the networks decide the speed"
    if isinstance(source, ColumnSource) and source.reduction > 1:
        size = source.images.shape[-1]
        return (
            f"{step}: columns of {size} px are reduced to {size // source.reduction} px for every batch; render them "
            f"at that size (styleswap render columns --size {size // source.reduction})"
        )
    if device.type == "cuda" and not is_prepared(Path(config.data)):
        return f"{step}: add --resident, which keeps the columns in the memory of the GPU"
    return f"{step}: copy {config.data} to a local SSD, or leave a core to the thread that reads (--threads)"


def _about_precision(config: TrainingConfig, device: torch.device) -> str:
    chosen, best = (choose_precision(device, "training", name) for name in (config.precision, "auto"))
    if chosen.dtype == best.dtype:
        return ""
    return f"convolutions run in {chosen.name}, but {best.reason}: {best.name} is faster (--set precision=auto)"


def processes_of(processes: int, threads: int) -> str:
    """How many processes of how many threads, such as "1 process of 4 threads"."""
    return f"{processes} {'process' if processes == 1 else 'processes'} of {counted(threads, 'thread')}"


def _about_threads(config: TrainingConfig, machine: Machine) -> str:
    busy = machine.processes * machine.threads
    if busy > machine.cores:
        return (
            f"{processes_of(machine.processes, machine.threads)} share {counted(machine.cores, 'core')} and wait for "
            f"each other: set --threads {max(1, machine.cores // machine.processes)}"
        )
    # Threads of a process wait for each other after every operation; processes only once per step.
    fitting = [count for count in range(2, machine.cores + 1) if config.batch % count == 0]
    if machine.processes > 1 or not fitting:
        return ""
    return (
        f"{processes_of(1, machine.threads)} on {machine.cores} cores: several processes of one thread are faster "
        f"(OMP_NUM_THREADS=1 torchrun --nproc-per-node {fitting[-1]} -m styleswap_core train --threads 1 ...)"
    )


def _about_gpu(config: TrainingConfig, machine: Machine) -> str:
    share = machine.memory_share or 0.0
    if config.gradient_accumulation > 1 and 0 < share * config.gradient_accumulation < _FULL_MEMORY:
        return (
            f"micro-batches take {share:.0%} of the GPU's memory: the whole batch fits "
            "(--set gradient_accumulation=1), which is faster"
        )
    fitting = [count for count in range(2, machine.gpus + 1) if config.batch % count == 0]
    if machine.processes > 1 or not fitting:
        return ""
    return f"one of {machine.gpus} GPUs is used (torchrun --nproc-per-node {fitting[-1]} -m styleswap_core train ...)"
