"""Swapping and encoding of the frames of one segment."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch

from ..compositing.frame_masks import FrameMasks
from ..compositing.video_picture import VideoPicture
from ..io.write_behind import WriteBehind
from ..media.frame_reader import TimedFrame, open_video
from ..media.segment_file import SUFFIX, Segment, SegmentWriter
from ..pipeline.results import FrameReport, SwapResult
from ..pipeline.tracked_faces import TrackedFaces
from .clip_callbacks import NO_CALLBACKS, ClipCallbacks, RunningFrame
from .clip_plan import ClipPlan
from .clip_report import MEASURED_EVERY, PartReport
from .clip_request import ClipRequest
from .frame_blending import blend_frame
from .mask_video import mask_frame
from .segment_feed import FedFrame, SegmentFeed
from .segment_tasks import SegmentTask, part_of

WAITING = 8
"""Frames that may wait for the encoder."""


def segment_path(folder: Path, number: int) -> Path:
    """File of a segment."""
    return folder / f"{number:06d}{SUFFIX}"


def mask_path(folder: Path, number: int) -> Path:
    """File of the masks of a segment."""
    return folder / f"masks-{number:06d}{SUFFIX}"


def load_segment(plan: ClipPlan, folder: Path, number: int) -> Segment | None:
    """A finished segment, whose masks are finished as well if they are wanted; None if it has to be made."""
    if plan.masks is not None and Segment.load(mask_path(folder, number)) is None:
        return None
    return Segment.load(segment_path(folder, number))


def remove_segment(folder: Path, number: int) -> None:
    """Delete a segment and its masks."""
    for path in (segment_path(folder, number), mask_path(folder, number)):
        segment = Segment.load(path)
        if segment is not None:
            segment.remove()


def finished_segments(plan: ClipPlan, folder: Path) -> list[Segment]:
    """The segments in a folder, from the first one up to the first that is missing or unfinished."""
    found: list[Segment] = []
    while (segment := load_segment(plan, folder, len(found))) is not None:
        found.append(segment)
    return found


class OpenSegment:
    """A segment that is being encoded.

    Attributes:
        part: Report on its frames so far.
    """

    def __init__(self, plan: ClipPlan, folder: Path, number: int) -> None:
        """Start it, and that of its masks if they are wanted.

        Raises:
            StyleSwapError: The encoder does not start.
        """
        self.part = PartReport()
        self._info = plan.info
        self._end = 0
        self._writer = SegmentWriter(segment_path(folder, number), plan.encoder, plan.info.layout)
        self._masks = None
        if plan.masks is not None:
            self._masks = SegmentWriter(mask_path(folder, number), plan.masks.encoder, plan.masks.info.layout)

    def count(self, timed: TimedFrame, report: FrameReport, done: int) -> None:
        """Count a frame, after `done` frames in earlier segments."""
        self._end = timed.pts + (timed.duration or self._info.step)
        self.part.add(report, done + report.frame, timed.pts, float(timed.pts * self._info.time_base))

    def write(self, timed: TimedFrame, mask: torch.Tensor) -> None:
        """Encode a swapped frame and its mask (H, W)."""
        self._writer.write(timed.pts, timed.frame)
        if self._masks is not None:
            self._masks.write(timed.pts, mask_frame(mask))

    def finish(self, end: int | None) -> Segment:
        """Complete it; `end` is the time of the frame that follows, if there is one."""
        end = self._end if end is None else end
        if self._masks is not None:
            self._masks.finish(end, {})
        return self._writer.finish(end, self.part.as_json())

    def close(self, end: int | None) -> None:
        """`finish`, without a result."""
        self.finish(end)

    def abandon(self) -> None:
        """Delete it."""
        for writer in (self._writer, self._masks):
            if writer is not None:
                writer.abandon()


@dataclass(frozen=True, eq=False)
class SegmentSwapper:
    """Swaps and encodes segments; two of them make the same files.

    Attributes:
        plan: The plan.
        request: What to swap.
        tracked: The tracks; None to swap every frame independently.
        folder: Folder for the segments.
    """

    plan: ClipPlan
    request: ClipRequest
    tracked: TrackedFaces | None
    folder: Path

    @property
    def around(self) -> int:
        """Number of frames before and after a segment whose colors count for those of the segment."""
        return 0 if self.tracked is None else min(self.tracked.color_window, self.plan.options.segment_frames)

    def open(self, number: int) -> OpenSegment:
        """Start a segment."""
        return OpenSegment(self.plan, self.folder, number)

    def fill(
        self,
        segment: OpenSegment,
        frames: Iterator[FedFrame],
        first: int,
        behind: WriteBehind,
        callbacks: ClipCallbacks = NO_CALLBACKS,
    ) -> None:
        """Swap the frames of a segment.

        Args:
            segment: The segment.
            frames: Its frames, and those around it.
            first: Number of the first of these frames.
            behind: Runs the encoder.
            callbacks: Are called for each frame.
        """
        waiting: deque[tuple[FedFrame, VideoPicture]] = deque()
        own: list[bool] = []
        layout, blending = self.plan.info.layout, self.plan.options.blending

        def pictures() -> Iterator[VideoPicture]:
            for fed in frames:
                picture = layout.picture(fed.timed.frame)
                own.append(fed.own)
                waiting.append((fed, picture))
                yield picture

        kept = FrameMasks(self._masks(first, own) if blending is not None else None)
        try:
            for result in self._results(pictures(), first, own, callbacks):
                (timed, counts), picture = waiting.popleft()
                if not counts:
                    kept.of_frame(result.report.frame, layout.size)
                    continue
                # The result's planes are the memory of the frame.
                mask = result.mask
                if blending is not None:
                    mask = blend_frame(picture, mask, blending, kept.of_frame(result.report.frame, layout.size))
                segment.count(timed, result.report, first)
                callbacks.on_result(RunningFrame(first + result.report.frame, timed, layout, result.report))
                behind.call(segment.write, timed, mask)
        except KeyboardInterrupt:
            raise
        except BaseException:
            behind.call(segment.abandon)
            raise

    def do(self, task: SegmentTask, callbacks: ClipCallbacks = NO_CALLBACKS) -> None:
        """Make a segment independently of the others.

        Raises:
            UnreadableVideo: The source cannot be read any more.
            StyleSwapError: The encoder fails, or as for `Swapper.swap_frames`.
        """
        with open_video(self.plan.source, self.plan.info) as reader:
            frames = part_of(self.plan, reader.frames(task.after))
            feed = SegmentFeed(frames, self.plan.info.layout, task.frames, self.around, task.before)
            segment = self.open(task.number)
            with WriteBehind(WAITING) as behind:
                self.fill(segment, feed.segment(), task.first - task.before, behind, callbacks)
                behind.call(segment.close, task.end)

    def _masks(self, first: int, own: Sequence[bool]) -> torch.Tensor | Iterator[torch.Tensor] | None:
        """Masks to keep of a segment and the frames around it, which have none."""
        if self.around == 0 or self.request.keep.is_constant:
            return self.request.keep.from_frame(first)
        return self._own_masks(first, own)

    def _own_masks(self, first: int, own: Sequence[bool]) -> Iterator[torch.Tensor]:
        masks: Iterator[torch.Tensor] | None = None
        for number in count():
            if not own[number]:
                yield torch.zeros(1, 1)
                continue
            if masks is None:
                found = self.request.keep.from_frame(first + number)
                masks = iter(() if found is None else found)
            mask = next(masks, None)
            if mask is None:
                return
            yield mask

    def _results(
        self, pictures: Iterator[VideoPicture], first: int, own: Sequence[bool], callbacks: ClipCallbacks
    ) -> Iterator[SwapResult]:
        """Swapped frames.

        Args:
            pictures: The frames.
            first: Number of the first one.
            own: For each frame that was read, whether it belongs to the segment.
            callbacks: Are called for those.
        """
        request = self.request

        def on_frame(number: int) -> None:
            if own[number]:
                callbacks.on_frame(first + number)

        def measured(number: int) -> bool:
            return own[number] and (first + number) % MEASURED_EVERY == 0

        # Blending keeps them, from the mask that it has changed.
        keep = None if self.plan.options.blending is not None else self._masks(first, own)
        if self.tracked is None:
            return request.swapper.swap_frames(
                pictures,
                request.identity,
                request.faces,
                options=request.options,
                on_frame=on_frame,
                measured=measured,
                keep=keep,
                only_in=request.only_in.from_frame(first),
            )
        return request.swapper.swap_tracked(
            pictures,
            self.tracked,
            first=first,
            options=request.options,
            on_frame=on_frame,
            measured=measured,
            keep=keep,
        )
