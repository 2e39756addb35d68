"""Frames of consecutive segments, each with the frames around it, whose colors count for those of the segment."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ..media.frame_planes import FrameLayout
from ..media.frame_reader import TimedFrame


class FedFrame(NamedTuple):
    """A frame for a segment.

    Attributes:
        timed: The frame, which may be modified.
        own: Whether it belongs to the segment, and not to the frames around it.
    """

    timed: TimedFrame
    own: bool


class SegmentFeed:
    """Hands out the frames of a video segment by segment.

    Frames around a segment are copies, since each frame is swapped in its own memory.
    """

    def __init__(
        self, frames: Iterator[TimedFrame], layout: FrameLayout, size: int, around: int, before: int = 0
    ) -> None:
        """Start with the first segment.

        Args:
            frames: All frames.
            layout: Their form.
            size: Number of frames in a segment.
            around: Number of frames before and after a segment that are handed out with it, at most `size`.
            before: Number of frames before the first segment.
        """
        self._frames, self._layout, self._size, self._around = frames, layout, size, around
        self._before = deque(islice(frames, before))
        # Frames that were read to see what follows.
        self._ahead: deque[TimedFrame] = deque()

    @property
    def following(self) -> TimedFrame | None:
        """The first frame of the next segment; None after the last one."""
        self._read_ahead(1)
        return self._ahead[0] if self._ahead else None

    def segment(self) -> Iterator[FedFrame]:
        """The frames of the next segment, after those before it and before those after it."""
        for timed in self._before:
            yield FedFrame(timed, False)
        self._before = deque()
        for number in range(self._size):
            self._read_ahead(1)
            if not self._ahead:
                return
            timed = self._ahead.popleft()
            if number >= self._size - self._around:
                self._before.append(self._copied(timed))
            yield FedFrame(timed, True)
        self._read_ahead(self._around)
        for timed in list(self._ahead)[: self._around]:
            yield FedFrame(self._copied(timed), False)

    def _read_ahead(self, count: int) -> None:
        self._ahead.extend(islice(self._frames, max(0, count - len(self._ahead))))

    def _copied(self, timed: TimedFrame) -> TimedFrame:
        return timed._replace(frame=self._layout.copied(timed.frame))
