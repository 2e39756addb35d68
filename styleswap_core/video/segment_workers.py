"""Segments as tasks for several workers: what a worker is, who gets which task, and what happens when one dies."""

import pickle
from collections import Counter, deque
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Literal, NamedTuple, Protocol

import torch

from ..errors import StyleSwapError
from .segment_swapper import SegmentSwapper
from .segment_tasks import SegmentTask

_MAX_DEATHS = 2


class WorkerEvent(NamedTuple):
    """What a worker tells.

    Attributes:
        worker: Its number.
        kind: A frame was begun, the task is done, it failed, or the worker died.
        reason: The message of the error, or how the worker died as far as it is known.
    """

    worker: int
    kind: Literal["frame", "done", "failed", "died"]
    reason: str = ""


class SegmentWorkers(Protocol):
    """Processes that make segments, each of them one at a time, on this machine or others.

    Attributes:
        count: Number of workers.
    """

    count: int

    def start(self, worker: int) -> None:
        """Start a worker, or start it again after its death."""
        ...

    def give(self, worker: int, task: SegmentTask) -> None:
        """Let an idle worker make a segment."""
        ...

    def events(self) -> list[WorkerEvent]:
        """What happened since the last call; waits for at most about a second."""
        ...

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        ...


def run_tasks(
    workers: SegmentWorkers, tasks: Sequence[SegmentTask], name: str, done: int, on_frame: Callable[[int], None]
) -> None:
    """Have all segments made.

    A task whose worker dies is given to a new one.

    Args:
        workers: The workers, which are closed at the end.
        tasks: The segments.
        name: Name of the video, for messages.
        done: Number of frames in segments that exist already.
        on_frame: Called for each frame with the number of frames before it, in the order in which they are finished; an
            exception ends the work.

    Raises:
        StyleSwapError: A worker died twice on the same segment, or as for `SegmentSwapper.do`.
    """
    waiting, running = deque(tasks), dict[int, SegmentTask]()
    # Frames that a running task has begun, and frames that were told.
    begun: Counter[int] = Counter()
    deaths: Counter[int] = Counter()
    told = done
    try:
        for worker in range(min(workers.count, len(tasks))):
            workers.start(worker)
            running[worker] = waiting.popleft()
            workers.give(worker, running[worker])
        while running:
            for event in workers.events():
                task = running[event.worker]
                if event.kind == "failed":
                    raise StyleSwapError(event.reason)
                if event.kind == "frame":
                    begun[event.worker] += 1
                else:
                    del begun[event.worker]
                if event.kind == "died":
                    deaths[task.number] += 1
                    if deaths[task.number] >= _MAX_DEATHS:
                        raise StyleSwapError(_death(name, task, event))
                    workers.start(event.worker)
                    workers.give(event.worker, task)
                elif event.kind == "done":
                    done += task.frames
                    del running[event.worker]
                    if waiting:
                        running[event.worker] = waiting.popleft()
                        workers.give(event.worker, running[event.worker])
                # Frames that a dead worker had begun are not told again.
                while told < done + begun.total():
                    on_frame(told)
                    told += 1
    finally:
        workers.close()


def packed(swapper: SegmentSwapper) -> bytes:
    """What makes segments, to be sent to workers; its networks are opened again there.

    Raises:
        StyleSwapError: A part of it cannot be sent.
    """
    buffer = BytesIO()
    try:
        torch.save(swapper, buffer)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise StyleSwapError(
            f"expected a model and a face analysis that were loaded from files, got some that cannot be sent to workers"
            f" ({error}); use one worker"
        ) from error
    return buffer.getvalue()


def unpacked(data: bytes) -> SegmentSwapper:
    """Inverse of `packed`, which is the only source of such data."""
    swapper = torch.load(BytesIO(data), weights_only=False)
    assert isinstance(swapper, SegmentSwapper)
    return swapper


def _death(name: str, task: SegmentTask, event: WorkerEvent) -> str:
    reason = f" ({event.reason})" if event.reason else ""
    return (
        f"a worker died twice on the frames {task.first} to {task.first + task.frames - 1} of {name}{reason}; use fewer"
        " workers if memory is short, and go on with --resume"
    )
