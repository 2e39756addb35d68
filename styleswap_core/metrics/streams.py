"""Results of a slow function in order, computed ahead by several processes."""

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

Renderer = Callable[[Tensor], dict[str, Tensor]]
# Parts under way per process: one in work, one waiting, so that results never pile up.
AHEAD = 2


def default_workers(device: torch.device) -> int:
    """One process per core on the CPU; none beside an accelerator, which renders faster than they would."""
    return 0 if device.type != "cpu" else os.cpu_count() or 1


@contextmanager
def render_pool(workers: int) -> Iterator[Executor | None]:
    """Processes of one thread each, and this one kept to one thread meanwhile; None for `workers` 0.

    Rendering is many small operations, which several processes do much faster than several threads; and threads
    that outnumber the cores wait for each other most of the time.
    """
    if workers == 0:
        yield None
        return
    # A forked process inherits torch's threads in a state in which they may hang.
    context = multiprocessing.get_context("spawn")
    with one_thread(), ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def stream(
    function: Renderer, parts: Sequence[Tensor], pool: Executor | None, workers: int
) -> Iterator[dict[str, Tensor]]:
    """`function(part)` for each part, in order: ahead in the pool's `workers` processes, or here without a pool.

    `function` must be picklable: a module's function, or a `functools.partial` of one.
    """
    if pool is None:
        for part in parts:
            with one_thread():
                result = function(part)
            yield result
        return
    arrays = (part.numpy() for part in parts)
    with map_ahead(partial(_as_arrays, function), arrays, depth=AHEAD * workers, executor=pool) as results:
        for named in results:
            yield {name: torch.from_numpy(array) for name, array in named.items()}


def _as_arrays(function: Renderer, part: np.ndarray) -> dict[str, np.ndarray]:
    # Arrays travel through a pipe. Tensors would take shared memory, of which containers often have little.
    return {name: value.numpy() for name, value in function(torch.from_numpy(part)).items()}
