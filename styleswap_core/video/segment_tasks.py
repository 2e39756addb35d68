"""Segments of a video as tasks that can be done independently of each other."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..io.files import atomic_write
from ..io.json_text import read_record
from ..media.frame_reader import Damage, TimedFrame, open_video
from .clip_plan import ClipPlan

_FILE = "frames.json"


@dataclass(frozen=True)
class SegmentTask:
    """Frames that are swapped and encoded together.

    Attributes:
        number: Number of the segment, from 0.
        first: Number of its first frame.
        frames: Number of its frames.
        before: Number of frames before it that are swapped for its colors.
        after: Time of the frame before those, in units of the time base; None if there is none.
        end: Time of the frame after it; None if it is the last segment.
    """

    number: int
    first: int
    frames: int
    before: int
    after: int | None
    end: int | None


@dataclass
class FrameIndex:
    """The frames of the part of a video that is swapped, as a first pass over it found them.

    Attributes:
        times: When they are shown, in units of the time base.
        damage: What is wrong with the video.
    """

    times: list[int] = field(default_factory=list)
    damage: Damage = field(default_factory=Damage)

    def noting(self, frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        """The same frames, whose times are noted."""
        for timed in frames:
            self.times.append(timed.pts)
            yield timed

    def tasks(self, plan: ClipPlan, around: int) -> list[SegmentTask]:
        """The segments of the video, each with so many frames around it."""
        size, times = plan.options.segment_frames, self.times
        tasks = []
        for number, first in enumerate(range(0, len(times), size)):
            before, after = start_of(plan, times[:first], around)
            end = times[first + size] if first + size < len(times) else None
            tasks.append(SegmentTask(number, first, min(size, len(times) - first), before, after, end))
        return tasks

    def save(self, folder: Path) -> None:
        """Write it into the folder with the segments."""
        with atomic_write(folder / _FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "FrameIndex | None":
        """The index in a folder; None if there is none that can be read."""
        values = read_record(folder / _FILE, times=list, damage=dict)
        try:
            return None if values is None else cls(values["times"], Damage(**values["damage"]))
        except TypeError:
            return None


def index_frames(plan: ClipPlan, folder: Path) -> FrameIndex:
    """Decode a video to find the times of its frames, unless the folder holds them already.

    Raises:
        UnreadableVideo: The source cannot be read any more.
    """
    index = FrameIndex.load(folder)
    if index is None:
        with open_video(plan.source, plan.info) as reader:
            index = FrameIndex(damage=reader.damage)
            for _ in index.noting(part_of(plan, reader.frames(plan.before))):
                pass
        index.save(folder)
    return index


def start_of(plan: ClipPlan, times: Sequence[int], around: int) -> tuple[int, int | None]:
    """Where to start reading for a segment.

    Args:
        plan: The plan.
        times: Times of all frames before the segment.
        around: Number of frames before it that are wanted.

    Returns:
        Number of frames before it that there are, and the time of the frame before those; None if there is none.
    """
    before = min(around, len(times))
    return before, times[-before - 1] if len(times) > before else plan.before


def part_of(plan: ClipPlan, frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """Frames before the end of the part that is swapped."""
    end = plan.cut.end
    for timed in frames:
        if end is not None and timed.pts * plan.info.time_base >= end:
            return
        yield timed
