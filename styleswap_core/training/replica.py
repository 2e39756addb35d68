"""The process group's edge: what the loop needs to know of the other processes of one training.

Started by `torchrun`, which sets RANK and WORLD_SIZE, several processes train the same weights: each takes its share
of every batch, and gradients are averaged before the optimiser steps. Everything else is the same in all of them.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import StyleSwapError


@dataclass(frozen=True)
class Replica:
    """One of `world` processes that train the same weights; the only one unless told otherwise.

    The loop writes files and reports on the main replica only.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> "Replica":
        """The replica that `torchrun` started, joined to its group; a lone one without `torchrun`."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("gloo")
        return cls(dist.get_rank(), world)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """This replica's rows of a batch.

        Raises:
            StyleSwapError: the batch cannot be divided evenly.
        """
        if batch % self.world:
            raise StyleSwapError(f"expected a batch that {self.world} processes can share evenly, got {batch}; change `batch`")
        part = batch // self.world
        return slice(self.rank * part, (self.rank + 1) * part)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the replicas, in one message."""
        if self.world == 1:
            return
        gradients = [_in_memory_order(parameter) for parameter in parameters if parameter.grad is not None]
        flat = torch.cat(gradients)
        dist.all_reduce(flat)
        flat /= self.world
        parts: list[Tensor] = list(flat.split([gradient.numel() for gradient in gradients]))
        torch._foreach_copy_(gradients, parts)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main replica do something first, whose result on disk the others then find."""
        if self.world > 1 and not self.is_main:
            dist.barrier()
        yield
        if self.world > 1 and self.is_main:
            dist.barrier()


def _in_memory_order(parameter: nn.Parameter) -> Tensor:
    """A flat view of the gradient: as it lies in memory, which is the same order on all replicas and needs no shuffling."""
    if parameter.grad.is_contiguous():
        return parameter.grad.view(-1)
    if parameter.grad.dim() != 4 or not parameter.grad.is_contiguous(memory_format=torch.channels_last):
        parameter.grad = parameter.grad.contiguous()
        return parameter.grad.view(-1)
    return parameter.grad.permute(0, 2, 3, 1).view(-1)
