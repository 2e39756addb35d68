"""Examination of pictures in several processes, with results in the order of the pictures."""

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

from ..errors import StyleSwapError, printable
from ..io.read_ahead import map_ahead
from .examine import Examiner, Findings
from .preparation_settings import PreparationSettings


class Task(NamedTuple):
    """A picture to examine.

    Attributes:
        input: Number of its input.
        frame: Number of the frame; -1 for a picture file.
        path: Path of the input.
        picture: Frame of a video, (H, W, 3) uint8; None for a file that has to be read.
        next_input: The input from which to continue after this task.
        next_frame: The frame from which to continue after this task.
        known: Findings that are known already; the task then needs no examination.
    """

    input: int
    frame: int
    path: Path
    picture: np.ndarray | None
    next_input: int
    next_frame: int
    known: Findings | None = None


@contextmanager
def examining(
    tasks: Iterable[Task], settings: PreparationSettings, examiner: Examiner, workers: int
) -> Iterator[Iterator[tuple[Task, Findings]]]:
    """Examine tasks in worker processes; the context yields (task, findings) pairs in the order of the tasks.

    Args:
        tasks: Iterated in this thread, at most two tasks per worker ahead.
        settings: Settings of the workers.
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
        # Closing our copy of their end makes the death of either process visible to the other.
        theirs.close()
        processes.append(process)
        connections.append(ours)
        idle.put(ours)
    # One thread per process waits for its answer, since a pipe that both ends write to at once may deadlock.
    try:
        with map_ahead(partial(_delegate, idle), tasks, depth=2 * workers, workers=workers) as examined:
            yield examined
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join()


def _delegate(idle: SimpleQueue[Connection], task: Task) -> tuple[Task, Findings]:
    if task.known is not None:
        return task, task.known
    connection = idle.get()
    try:
        connection.send(task)
        return task, connection.recv()
    except (EOFError, OSError) as error:
        raise StyleSwapError(
            f"a worker process died while examining {printable(task.path)}; use fewer --workers if memory ran out, or "
            "remove the file, then run the same command again to continue"
        ) from error
    finally:
        idle.put(connection)


def _serve(connection: Connection, settings: PreparationSettings) -> None:
    """Worker main loop; exits when the other end of the pipe is closed or its process dies."""
    # Ctrl-C reaches all processes of a terminal; the main process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _one_thread_each():
            examiner = Examiner(settings)
            while True:
                connection.send(_examine(examiner, connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _examine(examiner: Examiner, task: Task) -> Findings:
    if task.known is not None:
        return task.known
    return examiner.examine_file(task.path) if task.picture is None else examiner.examine_picture(task.picture)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    # With one process per core, more threads would only compete.
    torch_threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv_threads)
