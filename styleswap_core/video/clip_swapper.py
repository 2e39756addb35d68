"""Swapping of faces in a video file: decode, swap, encode, join, in constant memory whatever the length.

Frames are read in one thread, swapped in the caller's and encoded in a third, with bounded queues between them.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path

from ..compositing.video_picture import VideoPicture
from ..errors import StyleSwapError
from ..identities.provenance import MARK
from ..io.write_behind import WriteBehind
from ..media.animations import ANIMATION_SUFFIXES, repetitions, write_animation
from ..media.frame_reader import TimedFrame, VideoReader, open_video
from ..media.joined_file import Cut, join_segments
from ..media.segment_file import SUFFIX, Segment, SegmentWriter
from ..pipeline.results import FrameReport, SwapResult
from ..pipeline.tracked_faces import TrackedFaces
from .clip_callbacks import NO_CALLBACKS, ClipCallbacks, RunningFrame
from .clip_plan import ClipPlan
from .clip_report import MEASURED_EVERY, ClipReport, FrameCounts, PartReport, clip_tracks, most_doubtful
from .clip_request import ClipRequest
from .clip_tracker import part_of, track_clip

# Frames that may wait for the encoder.
_WAITING = 8


class NothingSwappedError(StyleSwapError):
    """No frame of a video shows a face that was asked for."""


def swap_clip(
    plan: ClipPlan,
    out: Path,
    request: ClipRequest,
    folder: Path,
    callbacks: ClipCallbacks = NO_CALLBACKS,
    *,
    metadata: Mapping[str, str] | None = None,
    require_faces: bool = True,
) -> ClipReport:
    """Swap faces in a video.

    Work goes on after the segments that `folder` holds already, which must come from the same plan and request.

    Args:
        plan: What `plan_clip` decided.
        out: The result, written only when it is complete.
        request: What to swap.
        folder: Existing folder for segments. They are removed when the result is complete.
        callbacks: Are called while it is swapped. After a KeyboardInterrupt in one of them, the frames up to there are
            written to `out`.
        metadata: Metadata to add to the result.
        require_faces: Whether a video in which no face is swapped is an error.

    Raises:
        UnreadableVideo: The source cannot be read any more.
        NothingSwappedError: No face was swapped, if `require_faces`.
        StyleSwapError: There are no frames, the encoder does not start, the result cannot be written, or as for
            `Swapper.swap_frames`.
    """
    _try_encoder(plan, folder)
    tracked = track_clip(plan, request, folder, callbacks.on_followed)
    if tracked is not None and require_faces and not tracked.any_chosen:
        raise NothingSwappedError(_no_faces(plan, found=bool(tracked.tracks)))
    run = _Run(plan, request, tracked, folder, callbacks)
    with open_video(plan.source, plan.info) as reader:
        try:
            run.swap(reader)
        except KeyboardInterrupt:
            run.keep_unfinished_segment()
            if not run.segments:
                raise
    if not (segments := run.segments):
        raise StyleSwapError(f"{plan.info.name} has no frames in this part; choose another start or duration")
    parts = [PartReport.from_json(segment.report) for segment in segments]
    counts = sum((part.counts for part in parts), FrameCounts())
    if require_faces and not counts.swapped_frames:
        raise NothingSwappedError(_no_faces(plan, counts.frames_without_faces < counts.frames))
    cut = replace(plan.cut, end=segments[-1].end * plan.info.time_base) if run.interrupted else plan.cut
    _write_result(out, plan, segments, cut, {MARK: request.mark(), **(metadata or {})})
    for segment in segments[run.complete :] if run.interrupted else segments:
        segment.remove()
    report = _report(plan, parts, counts, tracked)
    report.notes += reader.damage.sentences()
    report.interrupted = run.interrupted
    return report


def _report(
    plan: ClipPlan, parts: Sequence[PartReport], counts: FrameCounts, tracked: TrackedFaces | None
) -> ClipReport:
    report = ClipReport(counts, plan.encoder.encoder, plan.encoder.pixel_format, list(plan.notes))
    report.doubtful = most_doubtful(chain.from_iterable(part.doubtful for part in parts))
    if tracked is not None:
        report.tracks, report.detections = clip_tracks(tracked.report(), parts), tracked.detections
    return report


def _try_encoder(plan: ClipPlan, folder: Path) -> None:
    """Start and stop of the encoder: an encoder that fails must not do so hours later."""
    SegmentWriter(folder / f"trial{SUFFIX}", plan.encoder, plan.info.layout).abandon()


def _write_result(
    out: Path, plan: ClipPlan, segments: Sequence[Segment], cut: Cut, metadata: Mapping[str, str]
) -> None:
    if out.suffix.lower() in ANIMATION_SUFFIXES:
        encoding = plan.options.encoding
        write_animation(
            out,
            segments,
            plan.info.layout,
            plan.info.time_base,
            loop=repetitions(plan.original),
            quality=encoding.quality,
            lossless=encoding.lossless,
        )
        return
    join_segments(
        out,
        plan.source,
        plan.info,
        plan.encoder,
        segments=segments,
        streams=plan.streams,
        cut=cut,
        metadata=metadata,
    )


def finished_segments(folder: Path) -> list[Segment]:
    """The segments in a folder, from the first one up to the first that is missing or unfinished."""
    found: list[Segment] = []
    while (segment := Segment.load(_path(folder, len(found)))) is not None:
        found.append(segment)
    return found


class _Run:
    """Swaps and encodes the frames of a video, segment by segment.

    Attributes:
        segments: Finished segments.
        complete: Number of those that hold as many frames as they should.
        interrupted: Whether the last segment ends early.
    """

    def __init__(
        self,
        plan: ClipPlan,
        request: ClipRequest,
        tracked: TrackedFaces | None,
        folder: Path,
        callbacks: ClipCallbacks,
    ) -> None:
        self._plan, self._request, self._tracked = plan, request, tracked
        self._folder, self._callbacks = folder, callbacks
        self._open: _OpenSegment | None = None
        self.segments = finished_segments(folder)
        self.complete = len(self.segments)
        self.interrupted = False

    def swap(self, reader: VideoReader) -> None:
        """Swap all frames that are left."""
        after = self.segments[-1].times[-1] if self.segments else self._plan.before
        done = sum(len(segment.times) for segment in self.segments)
        frames = part_of(self._plan, reader.frames(after))
        following = next(frames, None)
        with WriteBehind(_WAITING) as behind:
            for number in count(len(self.segments)):
                if following is None:
                    return
                part = chain([following], islice(frames, self._plan.options.segment_frames - 1))
                self._open = _OpenSegment(_path(self._folder, number), self._plan)
                self._swap_segment(self._open, part, behind, done)
                done += self._open.part.counts.frames
                following = next(frames, None)
                behind.call(self._finish, self._open, following)
                self._open = None

    def keep_unfinished_segment(self) -> None:
        """After an interruption: finish the frames of the segment that is open."""
        self.interrupted = True
        if self._open is not None and self._open.part.counts.frames:
            self.segments.append(self._open.finish(None))
        elif self._open is not None:
            self._open.abandon()

    def _swap_segment(
        self, segment: "_OpenSegment", frames: Iterator[TimedFrame], behind: WriteBehind, done: int
    ) -> None:
        waiting: deque[TimedFrame] = deque()
        layout = self._plan.info.layout

        def pictures() -> Iterator[VideoPicture]:
            for timed in frames:
                waiting.append(timed)
                yield layout.picture(timed.frame)

        results = self._results(pictures(), done)
        try:
            for result in results:
                # The result's planes are the memory of the frame.
                timed = waiting.popleft()
                segment.add(timed, result.report, done)
                self._callbacks.on_result(RunningFrame(done + result.report.frame, timed, layout, result.report))
                behind.call(segment.writer.write, timed.pts, timed.frame)
        except KeyboardInterrupt:
            raise
        except BaseException:
            behind.call(segment.abandon)
            raise

    def _results(self, pictures: Iterator[VideoPicture], done: int) -> Iterator[SwapResult]:
        """Swapped frames, after `done` frames in earlier segments."""
        request = self._request

        def on_frame(number: int) -> None:
            self._callbacks.on_frame(done + number)

        def measured(number: int) -> bool:
            return (done + number) % MEASURED_EVERY == 0

        if self._tracked is None:
            return request.swapper.swap_frames(
                pictures,
                request.identity,
                request.faces,
                options=request.options,
                on_frame=on_frame,
                measured=measured,
                keep=request.keep.from_frame(done),
            )
        return request.swapper.swap_tracked(
            pictures,
            self._tracked,
            first=done,
            options=request.options,
            on_frame=on_frame,
            measured=measured,
            keep=request.keep.from_frame(done),
        )

    def _finish(self, segment: "_OpenSegment", following: TimedFrame | None) -> None:
        """In the thread of the encoder."""
        self.segments.append(segment.finish(following))
        self.complete += 1


class _OpenSegment:
    """A segment that is being encoded."""

    def __init__(self, path: Path, plan: ClipPlan) -> None:
        self.writer = SegmentWriter(path, plan.encoder, plan.info.layout)
        self.part = PartReport()
        self._info = plan.info
        self._end = 0

    def add(self, timed: TimedFrame, report: FrameReport, done: int) -> None:
        """Count a frame, after `done` frames in earlier segments."""
        self._end = timed.pts + (timed.duration or self._info.step)
        self.part.add(report, done + report.frame, timed.pts, float(timed.pts * self._info.time_base))

    def finish(self, following: TimedFrame | None) -> Segment:
        """Complete the segment; `following` is the first frame of the next one."""
        return self.writer.finish(self._end if following is None else following.pts, self.part.as_json())

    def abandon(self) -> None:
        """Delete it."""
        self.writer.abandon()


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}{SUFFIX}"


def _no_faces(plan: ClipPlan, found: bool) -> str:
    if found:
        return f"no frame of {plan.info.name} shows a face that was asked for; choose other faces"
    return f"no face was found in {plan.info.name}; lower the detection threshold, or use a larger detection size"
