"""Results of a slow function in order, computed ahead by several processes."""

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Renderer = Callable[[Tensor], dict[str, Tensor]]


def default_workers(device: torch.device) -> int:
    """One process per core on the CPU; none beside an accelerator, which renders faster than they would."""
    return 0 if device.type != "cpu" else os.cpu_count() or 1


def stream(function: Renderer, parts: Sequence[Tensor], workers: int) -> Iterator[dict[str, Tensor]]:
    """`function(part)` for each part, in order. With `workers` 0 in this process, else ahead in as many others.

    Rendering is many small operations, which one thread each in several processes does faster than several threads
    in one. `function` must be picklable: a module's function, or a `functools.partial` of one.
    """
    if workers == 0 or len(parts) == 1:
        yield from map(function, parts)
        return
    loader = DataLoader(_Calls(function, parts), batch_size=None, num_workers=min(workers, len(parts)),
                        collate_fn=_as_it_is, prefetch_factor=1)
    for arrays in loader:
        yield {name: torch.from_numpy(array) for name, array in arrays.items()}


class _Calls(Dataset):
    def __init__(self, function: Renderer, parts: Sequence[Tensor]):
        self.function, self.parts = function, parts

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        # Arrays travel through a pipe. Tensors would take shared memory, of which containers often have little.
        return {name: value.numpy() for name, value in self.function(self.parts[index]).items()}


def _as_it_is(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return arrays
