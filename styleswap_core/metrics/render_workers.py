"""Processes that render the pictures of a suite ahead of their evaluation."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..devices import one_thread
from ..io.read_ahead import map_ahead

TensorFunction = Callable[[Tensor], dict[str, Tensor]]
# Parts in progress per process: one that is computed and one that waits. A limit, so that results do not pile up.
_PARTS_PER_PROCESS = 2


def default_workers(device: torch.device) -> int:
    """One process per core for the CPU; none for an accelerator, which renders faster than they would."""
    return 0 if device.type != "cpu" else os.cpu_count() or 1


class RenderWorkers:
    """Applies functions to tensors, in processes if there are any; `render_workers` starts them."""

    def __init__(self, executor: Executor | None = None, processes: int = 0) -> None:
        self._executor, self._processes = executor, processes

    def map(self, function: TensorFunction, parts: Sequence[Tensor]) -> Iterator[dict[str, Tensor]]:
        """Results of `function` for each part, in order; processes compute ahead of the caller.

        Args:
            function: A function at module level, or a `functools.partial` of one, so that it can be pickled.
            parts: Arguments, on the CPU.
        """
        if self._executor is None:
            for part in parts:
                with one_thread():
                    result = function(part)
                yield result
            return
        inputs = (part.numpy() for part in parts)
        depth = _PARTS_PER_PROCESS * self._processes
        with map_ahead(partial(_on_arrays, function), inputs, depth=depth, executor=self._executor) as results:
            for arrays in results:
                yield {name: torch.from_numpy(array) for name, array in arrays.items()}


@contextmanager
def render_workers(processes: int) -> Iterator[RenderWorkers]:
    """Start processes of one thread each; with 0, functions run in this process.

    Rendering consists of many small operations, for which several processes are much faster than several threads. This
    process is limited to one thread meanwhile, since threads in excess of the cores mostly wait for each other.
    """
    if processes == 0:
        yield RenderWorkers()
        return
    # A forked process would inherit the state of torch's thread pool without its threads, and may hang.
    context = multiprocessing.get_context("spawn")
    with (
        one_thread(),
        ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        try:
            yield RenderWorkers(pool, processes)
        finally:
            pool.shutdown(cancel_futures=True)


def _on_arrays(function: TensorFunction, part: np.ndarray) -> dict[str, np.ndarray]:
    # Arrays are sent through a pipe. Tensors would take shared memory, which is scarce in many containers.
    return {name: value.numpy() for name, value in function(torch.from_numpy(part)).items()}
