"""Examining pictures in several processes, results in the order of the pictures."""

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import cv2
import numpy as np
import torch

from ..errors import StyleSwapError
from ..io.read_ahead import map_ahead
from .examine import Examiner, Outcome
from .input_files import shown
from .preparation_settings import Settings


class Task(NamedTuple):
    """A picture to examine, and where to go on once that is done.

    Attributes:
        input, frame: whose picture it is; frame -1 for a picture file.
        path: of the file.
        picture: a video's frame (H, W, 3) uint8; None: read the file.
        next_input, next_frame: the position behind it.
        outcome: what is known already, with nothing left to examine.
    """

    input: int
    frame: int
    path: Path
    picture: np.ndarray | None
    next_input: int
    next_frame: int
    outcome: Outcome | None = None


@contextmanager
def examining(
    tasks: Iterable[Task], settings: Settings, examiner: Examiner, workers: int
) -> Iterator[Iterator[tuple[Task, Outcome]]]:
    """Examine tasks in worker processes; the context yields (task, outcome) pairs in the order of the tasks.

    Args:
        tasks: Iterated in this thread, at most two tasks per worker ahead.
        settings: What the workers examine by.
        examiner: Used in this process if `workers` is 1.
        workers: Number of processes; they end with the context, or when this process dies.
    """
    if workers == 1:
        with _one_thread_each():
            yield ((task, _examine(examiner, task)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    idle: SimpleQueue[Connection] = SimpleQueue()
    processes, connections = [], []
    for _ in range(workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, settings), daemon=True)
        process.start()
        # Without this copy here, either side sees at once when the other one dies.
        theirs.close()
        processes.append(process)
        connections.append(ours)
        idle.put(ours)
    # One thread waits for each process: a pipe that both ends write to at the same time would block for good.
    try:
        with map_ahead(partial(_delegate, idle), tasks, depth=2 * workers, workers=workers) as examined:
            yield examined
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join()


def _delegate(idle: SimpleQueue[Connection], task: Task) -> tuple[Task, Outcome]:
    if task.outcome is not None:
        return task, task.outcome
    connection = idle.get()
    try:
        connection.send(task)
        return task, connection.recv()
    except (EOFError, OSError) as error:
        raise StyleSwapError(
            f"a worker process died over {shown(task.path)}; if memory ran out, use fewer --workers, otherwise move the "
            "file away; then run the same command again to go on"
        ) from error
    finally:
        idle.put(connection)


def _serve(connection: Connection, settings: Settings) -> None:
    """A worker's life: it ends when the other end of the pipe is closed, or is gone."""
    # Ctrl-C reaches all processes of a terminal; the main one says what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _one_thread_each():
            examiner = Examiner(settings)
            while True:
                connection.send(_examine(examiner, connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _examine(examiner: Examiner, task: Task) -> Outcome:
    if task.outcome is not None:
        return task.outcome
    return examiner.file(task.path) if task.picture is None else examiner.picture(task.picture)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    # As many processes as cores, each in one thread: nothing waits for anything.
    torch_threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv_threads)
