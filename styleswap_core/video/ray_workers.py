"""Workers of a Ray cluster. All machines need the package and, under the same paths, the files that are named."""

import os
import sys
from typing import TYPE_CHECKING, Any

from ..devices import limit_threads
from ..errors import StyleSwapError, one_line
from .segment_swapper import SegmentSwapper
from .segment_tasks import SegmentTask
from .segment_workers import SegmentWorkers, WorkerEvent, unpacked

if TYPE_CHECKING:
    from types import ModuleType

LOCAL = "local"
"""Address for a cluster of this machine alone, which ends with the work."""
_SECONDS = 1.0


class RayWorkers(SegmentWorkers):
    """One actor for each worker, which loads the networks once.

    Attributes:
        count: Number of workers.
    """

    def __init__(self, address: str, data: bytes, count: int, on_gpu: bool) -> None:
        """Connect to a cluster.

        Args:
            address: Address of the cluster, as `ray.init` takes it, or LOCAL.
            data: What makes segments, from `segment_workers.packed`.
            count: Number of workers; 0 for one for each GPU, or for each machine if no GPU is used.
            on_gpu: Whether each worker takes a GPU.

        Raises:
            StyleSwapError: Ray is not installed, there is no such cluster, or it has not enough GPUs.
        """
        self._ray = _imported_ray()
        self._connected = _connect(self._ray, address, count)
        self.count, threads = self._shares(count, on_gpu)
        self._data = self._ray.put(data)
        resources = {"num_cpus": threads, "num_gpus": int(on_gpu)}
        # A method of its own tells what the worker is doing while `do` runs.
        self._actor = self._ray.remote(**resources, max_concurrency=2)(RayWorker)
        self._threads = threads
        self._actors: dict[int, Any] = {}
        self._tasks: dict[Any, int] = {}
        self._begun: dict[int, int] = {}

    def start(self, worker: int) -> None:
        """See `SegmentWorkers`."""
        if worker in self._actors:
            self._ray.kill(self._actors[worker])
        self._actors[worker] = self._actor.remote(self._data, self._threads)

    def give(self, worker: int, task: SegmentTask) -> None:
        """See `SegmentWorkers`."""
        self._begun[worker] = 0
        self._tasks[self._actors[worker].do.remote(task)] = worker

    def events(self) -> list[WorkerEvent]:
        """See `SegmentWorkers`."""
        ready, _ = self._ray.wait(list(self._tasks), timeout=_SECONDS)
        found = []
        for task in ready:
            worker = self._tasks.pop(task)
            try:
                reason = self._ray.get(task)
                found.append(WorkerEvent(worker, "failed" if reason else "done", reason))
            except self._ray.exceptions.RayError as error:
                found.append(WorkerEvent(worker, "died", one_line(error)))
        return [*self._frames(), *found]

    def close(self) -> None:
        """See `SegmentWorkers`."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        if self._connected:
            self._ray.shutdown()

    def _frames(self) -> list[WorkerEvent]:
        """Frames that workers have begun since the last call."""
        found = []
        busy = sorted(self._tasks.values())
        counts = {worker: self._actors[worker].frames.remote() for worker in busy}
        self._ray.wait(list(counts.values()), num_returns=len(counts), timeout=_SECONDS / 10) if counts else None
        for worker, count in counts.items():
            try:
                begun = self._ray.get(count, timeout=0)
            except self._ray.exceptions.RayError:
                # It starts, or it is dead, which its task tells.
                continue
            found += [WorkerEvent(worker, "frame")] * (begun - self._begun[worker])
            self._begun[worker] = max(begun, self._begun[worker])
        return found

    def _shares(self, count: int, on_gpu: bool) -> tuple[int, int]:
        """Number of workers, and of CPU threads of each."""
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = int(sum(machine.get("GPU", 0) for machine in machines))
        if on_gpu and gpus < max(count, 1):
            raise StyleSwapError(
                f"expected a GPU for each of {max(count, 1)} workers, but the cluster has {gpus}; use fewer workers, or"
                " --device cpu"
            )
        count = count or (gpus if on_gpu else len(machines))
        cores = [int(machine.get("CPU", 0)) for machine in machines]
        return count, max(1, min(sum(cores) // count, max(cores)))


class RayWorker:
    """An actor of Ray that makes segments."""

    def __init__(self, data: bytes, threads: int) -> None:
        """Load nothing yet.

        Args:
            data: What makes segments.
            threads: CPU threads.
        """
        self._data, self._threads = data, threads
        self._swapper: SegmentSwapper | None = None
        self._begun = 0

    def do(self, task: SegmentTask) -> str:
        """Make a segment; returns the message of an error that a user can fix, or nothing."""
        from .clip_callbacks import ClipCallbacks

        self._begun = 0
        try:
            if self._swapper is None:
                limit_threads(self._threads)
                self._swapper = unpacked(self._data)
            self._swapper.do(task, ClipCallbacks(on_frame=self._count))
        except StyleSwapError as error:
            return str(error)
        return ""

    def frames(self) -> int:
        """Number of frames of the current segment that were begun."""
        return self._begun

    def process(self) -> int:
        """Number of its process."""
        return os.getpid()

    def _count(self, number: int) -> None:
        self._begun += 1


def _imported_ray() -> "ModuleType":
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise StyleSwapError(f"a cluster needs Ray ({one_line(error)}); run: pip install ray") from error
    return ray


def _connect(ray: Any, address: str, count: int) -> bool:
    """Connect to a cluster, unless that is done already; returns whether it was."""
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address == LOCAL:
            cores = max(os.cpu_count() or 1, count)
            # Its processes find the modules that this one finds.
            paths = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
            ray.init(num_cpus=cores, include_dashboard=False, runtime_env={"env_vars": paths}, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise StyleSwapError(
            f"expected the address of a Ray cluster, got {address} ({one_line(error)}); start one with: ray start"
            " --head"
        ) from error
    return True
