"""The process group's edge: what the loop needs to know of the other processes of one training.

Started by `torchrun` or `accelerate launch`, several processes on one or several machines train the same weights: each
takes its share of every batch, and gradients are averaged before the optimizer steps. Everything else is the same in all
of them. Hugging Face Accelerate joins the group, picks backend and device, and carries the messages; docs/training.md
says what of it is used and why no more.
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
from .memory_order import flat_in_memory, like

# A peer that dies closes its connections and is noticed at once. This is for one that falls silent, and must outlast
# whatever the main process does alone, such as the embeddings of a new folder of columns.
TIMEOUT = timedelta(hours=1)
EXIT_MAIN_FAILED = 2

Value = TypeVar("Value")


@dataclass(frozen=True)
class Replica:
    """One of `world` processes that train the same weights; the only one unless told otherwise.

    The loop writes files and reports on the main replica only.
    """

    rank: int = 0
    world: int = 1
    device: torch.device | None = None  # its own; None: not part of a group

    @classmethod
    def from_environment(cls, device: str | None = None) -> "Replica":
        """The replica that a launcher started, joined to its group; a lone one where there is no launcher.

        Args:
            device: "cpu", or "cuda" for one GPU for each process; None: GPUs where there are some.

        Raises:
            StyleSwapError: Accelerate is missing, the group does not come together, or processes would share a GPU.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        chosen = choose_device(device)
        if chosen.index is not None:
            raise StyleSwapError(
                f"with {world} processes each takes a device of its own, got --device {device}; "
                "say cpu or cuda, or leave it out"
            )
        if chosen.type == "cuda":
            check_devices(int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count())
        try:
            from accelerate import PartialState
        except ModuleNotFoundError as error:
            raise StyleSwapError(
                "several processes need Hugging Face Accelerate; install it with: pip install accelerate, "
                'or "styleswap[train]"'
            ) from error
        try:
            group = PartialState(cpu=chosen.type == "cpu", timeout=TIMEOUT)
        # torch: RuntimeError where a peer cannot be reached, ValueError where the launcher's variables are wrong.
        except (RuntimeError, ValueError) as error:
            raise StyleSwapError(
                f"cannot join the {world} processes of this training ({_first_line(error)}); start them "
                "with torchrun or accelerate launch"
            ) from error
        return cls(group.process_index, group.num_processes, group.device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """This replica's rows of a batch: every `world`-th, see `shares.py`.

        Raises:
            StyleSwapError: the batch cannot be divided evenly.
        """
        if batch % self.world:
            raise StyleSwapError(
                f"expected a batch that {self.world} processes can share evenly, got {batch}; change `batch`"
            )
        return slice(self.rank, None, self.world)

    def average_gradients(self, parameters: Iterable[nn.Parameter], figures: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Replace every gradient by its mean over the replicas, in one message, and return the means of `figures`.

        Args:
            parameters: those without a gradient are left out; they must be the same ones on all replicas.
            figures: scalars of this step, under the same names on all replicas; they travel in the same message.

        Raises:
            StyleSwapError: another process is gone.
        """
        if self.world == 1:
            return dict(figures)
        from accelerate.utils import reduce

        gradients = []
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = like(parameter.grad, parameter)
                gradients.append(flat_in_memory(parameter.grad))
        scalars = torch.stack([value.float() for value in figures.values()])
        with self._peers_alive():
            flat = reduce(torch.cat([*gradients, scalars]), "mean")
        *parts, means = flat.split([*(gradient.numel() for gradient in gradients), len(scalars)])
        torch._foreach_copy_(gradients, parts)
        return dict(zip(figures, means.unbind(), strict=True))

    def synchronise(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by the main replica's, in place. Their number, order, shapes and types must be the same."""
        if self.world == 1:
            return
        from accelerate.utils import broadcast

        by_type: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_type.setdefault(tensor.dtype, []).append(tensor)
        for group in by_type.values():
            flat = torch.cat([tensor.detach().to(self.device).reshape(-1) for tensor in group])
            with self._peers_alive():
                broadcast(flat)
            if not self.is_main:
                with torch.no_grad():
                    for tensor, part in zip(group, flat.split([tensor.numel() for tensor in group]), strict=True):
                        tensor.copy_(part.view(tensor.shape))

    def from_main(self, function: Callable[[], Value]) -> Value:
        """What `function` returns on the main replica, on all of them. It is called there alone.

        Raises:
            StyleSwapError: the function raised it; on the other replicas SystemExit, since one report is enough.
        """
        if self.world == 1:
            return function()
        from accelerate.utils import broadcast_object_list

        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = function()
            except StyleSwapError as error:
                outcome[1] = str(error)
        with self._peers_alive():
            value, failure = broadcast_object_list(outcome)
        if failure is None:
            return value
        if self.is_main:
            raise StyleSwapError(failure)
        raise SystemExit(EXIT_MAIN_FAILED)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main replica do something first, whose result on disk the others then find.

        Where it fails there, the others end as with `from_main`.
        """
        if self.world == 1:
            yield
        elif self.is_main:
            failure = None
            try:
                yield
            except StyleSwapError as error:
                failure = error
            self.from_main(lambda: _raise_if(failure))
        else:
            self.from_main(lambda: None)
            yield

    def leave(self) -> None:
        """End the membership; nothing is sent afterwards."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState().destroy_process_group()

    @contextmanager
    def _peers_alive(self) -> Iterator[None]:
        # Around a message and nothing else: torch reports a lost peer, a timeout and a broken line as RuntimeError.
        try:
            yield
        except RuntimeError as error:
            raise StyleSwapError(
                f"another process of this training is gone ({_first_line(error)}); what it said tells why; "
                "start again with --resume, with as many processes as there are"
            ) from error


def check_devices(processes: int, devices: int) -> None:
    """Raise StyleSwapError where a machine's processes outnumber its GPUs."""
    if processes > devices:
        raise StyleSwapError(
            f"expected at most {devices} processes on this machine, one for each GPU, got {processes}; "
            f"start torchrun with --nproc-per-node {devices}"
        )


def _raise_if(failure: StyleSwapError | None) -> None:
    if failure is not None:
        raise failure


def _first_line(error: Exception) -> str:
    # Of torch's reports the first sentence, without the place in its source.
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[[^\]]*\]\s*", "", line).split(". ")[0]
