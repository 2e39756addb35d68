"""Process group of a training run: which rows this process computes, and the messages between processes.

Several processes, started by `torchrun` or `accelerate launch` on one or more machines, train the same weights. Each
computes some rows of every batch, and gradients are averaged before the optimizers step; everything else is the same in
all of them. Hugging Face Accelerate joins the group, selects backend and device, and carries the messages;
docs/training.md explains which parts of it are used and why.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..devices import choose_device
from ..errors import StyleSwapError
from .memory_format import flatten_in_memory_order, match_memory_format

# A process that dies closes its connections, which the others notice at once. The timeout is for one that hangs; it
# must be longer than anything the main process does alone, such as computing the embeddings of a new folder of columns.
TIMEOUT = timedelta(hours=1)
EXIT_MAIN_FAILED = 2

Value = TypeVar("Value")


@dataclass(frozen=True)
class ProcessGroup:
    """Membership of this process in a group of `world_size` processes that train the same weights.

    The default is a group of one, which sends no messages. Only the main process writes files and reports.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device | None = None  # device of this process; None in a group of one

    @classmethod
    def from_environment(cls, device: str | None = None) -> "ProcessGroup":
        """Join the group that a launcher started; without a launcher, a group of one.

        Args:
            device: "cpu", or "cuda" for one GPU per process; by default GPUs if there are any.

        Raises:
            StyleSwapError: Accelerate is missing, the group cannot be joined, or processes would share a GPU.
        """
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        if world_size == 1:
            return cls()
        chosen = choose_device(device)
        if chosen != torch.device(chosen.type):
            raise StyleSwapError(
                f"expected a device without a number, since each of {world_size} processes takes its own, got --device "
                f"{device}; use --device {chosen.type}"
            )
        if chosen.type == "cuda":
            check_gpu_count(int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count())
        try:
            from accelerate import PartialState
        except ModuleNotFoundError as error:
            raise StyleSwapError(
                "training with several processes needs Hugging Face Accelerate; install it with: "
                'pip install accelerate, or pip install "styleswap[train]"'
            ) from error
        try:
            state = PartialState(cpu=chosen.type == "cpu", timeout=TIMEOUT)
        # torch raises RuntimeError if a process cannot be reached, and ValueError for invalid launcher variables.
        except (RuntimeError, ValueError) as error:
            raise StyleSwapError(
                f"cannot join the {world_size} processes of this training run ({_first_sentence(error)}); start them "
                "with torchrun or accelerate launch"
            ) from error
        return cls(state.process_index, state.num_processes, state.device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """Rows of a batch that this process computes: every `world_size`-th, see micro_batches.py.

        Raises:
            StyleSwapError: The batch size is not divisible by the number of processes.
        """
        if batch % self.world_size:
            raise StyleSwapError(
                f"expected a batch size that is divisible by {self.world_size} processes, got {batch}; change `batch`"
            )
        return slice(self.rank, None, self.world_size)

    def average_gradients(self, parameters: Iterable[nn.Parameter], metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Replace every gradient by its mean over the processes, and return the means of `metrics`; one message.

        Args:
            parameters: Those without a gradient are skipped; they must be the same in all processes.
            metrics: Scalars of this step, with the same names in all processes.

        Raises:
            StyleSwapError: Another process was lost.
        """
        if self.world_size == 1:
            return dict(metrics)
        from accelerate.utils import reduce

        gradients = []
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = match_memory_format(parameter.grad, parameter)
                gradients.append(flatten_in_memory_order(parameter.grad))
        scalars = torch.stack([value.float() for value in metrics.values()])
        with self._reporting_lost_processes():
            flat = reduce(torch.cat([*gradients, scalars]), "mean")
        *parts, means = flat.split([*(gradient.numel() for gradient in gradients), len(scalars)])
        torch._foreach_copy_(gradients, parts)
        return dict(zip(metrics, means.unbind(), strict=True))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of the main process, in place.

        Their number, order, shapes and data types must be the same in all processes.
        """
        if self.world_size == 1:
            return
        from accelerate.utils import broadcast

        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_dtype.setdefault(tensor.dtype, []).append(tensor)
        for group in by_dtype.values():
            flat = torch.cat([tensor.detach().to(self.device).reshape(-1) for tensor in group])
            with self._reporting_lost_processes():
                broadcast(flat)
            if not self.is_main:
                with torch.no_grad():
                    for tensor, part in zip(group, flat.split([tensor.numel() for tensor in group]), strict=True):
                        tensor.copy_(part.view(tensor.shape))

    def run_on_main(self, function: Callable[[], Value]) -> Value:
        """Call `function` in the main process only, and return its result in all processes.

        Raises:
            StyleSwapError: In the main process, if the function raises it.
            SystemExit: In the other processes, if the function raises StyleSwapError; one report is enough.
        """
        if self.world_size == 1:
            return function()
        from accelerate.utils import broadcast_object_list

        result: list[Any] = [None, None]
        if self.is_main:
            try:
                result[0] = function()
            except StyleSwapError as error:
                result[1] = str(error)
        with self._reporting_lost_processes():
            value, failure = broadcast_object_list(result)
        if failure is None:
            return value
        if self.is_main:
            raise StyleSwapError(failure)
        raise SystemExit(EXIT_MAIN_FAILED)

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Context whose body runs in the main process first, so that the others find its results on disk.

        If the body fails in the main process, the others end as with `run_on_main`.
        """
        if self.world_size == 1:
            yield
        elif self.is_main:
            failure = None
            try:
                yield
            except StyleSwapError as error:
                failure = error
            self.run_on_main(lambda: _raise_if(failure))
        else:
            self.run_on_main(lambda: None)
            yield

    def leave(self) -> None:
        """Leave the group; no messages can be sent afterwards."""
        if self.world_size > 1:
            from accelerate import PartialState

            PartialState().destroy_process_group()

    @contextmanager
    def _reporting_lost_processes(self) -> Iterator[None]:
        # For single messages only: torch reports lost processes, timeouts and broken connections as RuntimeError.
        try:
            yield
        except RuntimeError as error:
            raise StyleSwapError(
                f"another process of this training run was lost ({_first_sentence(error)}); see its own output for the "
                "reason, then start again with --resume and any number of processes"
            ) from error


SINGLE_PROCESS = ProcessGroup()
"""Group of one process."""


def check_gpu_count(processes: int, gpus: int) -> None:
    """Check that each process of a machine gets a GPU of its own.

    Raises:
        StyleSwapError: There are more processes than GPUs.
    """
    if processes > gpus:
        raise StyleSwapError(
            f"expected at most {gpus} processes on this machine, one per GPU, got {processes}; "
            f"start torchrun with --nproc-per-node {gpus}"
        )


def _raise_if(failure: StyleSwapError | None) -> None:
    if failure is not None:
        raise failure


def _first_sentence(error: Exception) -> str:
    # Without the source location that torch puts in front.
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[[^\]]*\]\s*", "", line).split(". ")[0]
