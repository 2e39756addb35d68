"""Swapping of a video by several workers, on this machine or on a cluster."""

import torch

from ..devices import usable_cores
from ..errors import StyleSwapError
from ..media.frame_reader import Damage
from ..media.segment_file import Segment
from .clip_callbacks import ClipCallbacks
from .ray_workers import RayWorkers
from .segment_swapper import SegmentSwapper, finished_segments, load_segment
from .segment_tasks import index_frames
from .segment_workers import SegmentWorkers, packed, run_tasks
from .worker_processes import ProcessWorkers


class WorkerRun:
    """Has the segments of a video made by workers.

    Attributes:
        segments: Finished segments, up to the first one that is missing.
        complete: Number of those that hold as many frames as they should, which is all of them.
        interrupted: Whether segments are missing at the end.
        damage: What is wrong with the video.
    """

    def __init__(self, swapper: SegmentSwapper, callbacks: ClipCallbacks) -> None:
        """Prepare; nothing is started yet.

        Raises:
            StyleSwapError: Masks that can be read once only.
        """
        for masks in (swapper.request.keep, swapper.request.only_in):
            if not masks.repeatable:
                raise StyleSwapError(
                    f"expected masks {masks.purpose} as a file, an array or a tensor, since several workers read them,"
                    " got an iterable; use one worker"
                )
        self._swapper, self._callbacks = swapper, callbacks
        self.segments: list[Segment] = []
        self.interrupted = False
        self.damage = Damage()

    @property
    def complete(self) -> int:
        """Number of segments that hold as many frames as they should."""
        return len(self.segments)

    def swap(self) -> None:
        """Have all segments made that are missing."""
        plan, folder = self._swapper.plan, self._swapper.folder
        index = index_frames(plan, folder)
        self.damage = index.damage
        tasks = [
            task for task in index.tasks(plan, self._swapper.around) if load_segment(plan, folder, task.number) is None
        ]
        if tasks:
            self._swapper.request.keep.prepare()
            self._swapper.request.only_in.prepare()
            done = len(index.times) - sum(task.frames for task in tasks)
            workers = start_workers(self._swapper, len(tasks))
            run_tasks(workers, tasks, plan.info.name, done, self._callbacks.on_frame)
        self.segments = finished_segments(plan, folder)

    def keep_unfinished_segment(self) -> None:
        """After an interruption: keep what is finished without a gap."""
        self.interrupted = True
        self.segments = finished_segments(self._swapper.plan, self._swapper.folder)


def start_workers(swapper: SegmentSwapper, tasks: int) -> SegmentWorkers:
    """The workers that a plan asks for.

    Args:
        swapper: What they do.
        tasks: Number of segments, beyond which there is nothing to do for a worker.

    Raises:
        StyleSwapError: Something cannot be sent to workers, or there is no such cluster.
    """
    options, device = swapper.plan.options, swapper.request.swapper.model.device
    data = packed(swapper)
    if options.ray:
        return RayWorkers(options.ray, data, min(options.workers, tasks), device.type == "cuda")
    count = min(options.workers, tasks)
    # A device with a number was chosen by the user.
    gpus = torch.cuda.device_count() if device.type == "cuda" and not device.index else 0
    return ProcessWorkers(data, count, max(1, usable_cores() // count), gpus)
