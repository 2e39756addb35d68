"""Workers that are processes of this machine."""

import contextlib
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from ..devices import limit_threads
from ..errors import StyleSwapError
from .clip_callbacks import ClipCallbacks
from .segment_tasks import SegmentTask
from .segment_workers import SegmentWorkers, WorkerEvent, unpacked

_SECONDS = 1.0
# A process that ends by itself takes its time on a busy machine.
_PATIENCE = 20.0


class ProcessWorkers(SegmentWorkers):
    """One process for each worker, which loads the networks once.

    Attributes:
        count: Number of workers.
    """

    def __init__(self, data: bytes, count: int, threads: int, gpus: int = 0) -> None:
        """Start none yet.

        Args:
            data: What makes segments, from `segment_workers.packed`.
            count: Number of workers.
            threads: CPU threads of each.
            gpus: Number of GPUs that they share; 0 to leave the device as it is.
        """
        self.count = count
        self._threads, self._gpus = threads, gpus
        self._folder = TemporaryDirectory(prefix="styleswap-")
        self._data = Path(self._folder.name) / "work.pt"
        self._data.write_bytes(data)
        # The networks, and CUDA in particular, do not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, BaseProcess] = {}
        self._pipes: dict[int, Connection] = {}

    def start(self, worker: int) -> None:
        """See `SegmentWorkers`."""
        self._end(worker)
        mine, other = self._context.Pipe()
        gpu = worker % self._gpus if self._gpus > 1 else None
        process = self._context.Process(target=work, args=(other, self._data, self._threads, gpu), daemon=True)
        process.start()
        # Only the worker holds the other end, so that its death can be seen.
        other.close()
        self._processes[worker], self._pipes[worker] = process, mine

    def give(self, worker: int, task: SegmentTask) -> None:
        """See `SegmentWorkers`."""
        # A worker that is dead by now is told by `events`.
        with contextlib.suppress(OSError):
            self._pipes[worker].send(task)

    def events(self) -> list[WorkerEvent]:
        """See `SegmentWorkers`."""
        workers = {id(pipe): worker for worker, pipe in self._pipes.items()}
        found = []
        for pipe in wait(list(self._pipes.values()), _SECONDS):
            assert isinstance(pipe, Connection)
            worker = workers[id(pipe)]
            try:
                found.append(WorkerEvent(worker, *pipe.recv()))
            except (EOFError, OSError):
                found.append(WorkerEvent(worker, "died", self._end(worker, _PATIENCE)))
        return found

    def close(self) -> None:
        """See `SegmentWorkers`."""
        for process in self._processes.values():
            process.terminate()
        for worker in list(self._processes):
            self._end(worker)
        self._folder.cleanup()

    def _end(self, worker: int, patience: float = _SECONDS) -> str:
        """Wait for the end of a worker, for so many seconds, or end it; returns how its process ended."""
        process, pipe = self._processes.pop(worker, None), self._pipes.pop(worker, None)
        if pipe is not None:
            pipe.close()
        if process is None:
            return ""
        process.join(patience)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode or 0
        process.close()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def work(pipe: Connection, data: Path, threads: int, gpu: int | None) -> None:
    """Life of a worker: loads what makes segments, then takes tasks until its pipe is closed.

    Args:
        pipe: Brings tasks, and takes kinds and reasons of events.
        data: File with what makes segments.
        threads: CPU threads.
        gpu: Number of the only GPU that it sees; None for all of them.
    """
    # Ctrl-C reaches all processes of a terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if gpu is not None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[gpu] if gpu < len(visible) and visible[gpu] else str(gpu)
    limit_threads(threads)
    callbacks = ClipCallbacks(on_frame=lambda number: pipe.send(("frame", "")))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            swapper = unpacked(data.read_bytes())
            while True:
                swapper.do(pipe.recv(), callbacks)
                pipe.send(("done", ""))
        except StyleSwapError as error:
            pipe.send(("failed", str(error)))
