"""Swapping of faces in a video file: decode, swap, encode, join, in constant memory whatever the length.

Frames are read in one thread, swapped in the caller's and encoded in a third, with bounded queues between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from ..errors import StyleSwapError
from ..identities.provenance import MARK
from ..io.files import Finish
from ..io.write_behind import WriteBehind
from ..media.animations import ANIMATION_SUFFIXES, repetitions, write_animation
from ..media.frame_reader import Damage, VideoReader, open_video
from ..media.joined_file import Cut, join_segments
from ..media.segment_file import SUFFIX, Segment, SegmentWriter
from ..pipeline.tracked_faces import TrackedFaces
from .clip_callbacks import NO_CALLBACKS, ClipCallbacks
from .clip_plan import ClipPlan, no_frames
from .clip_report import ClipReport, FrameCounts, PartReport, clip_tracks, most_doubtful
from .clip_request import ClipRequest
from .clip_tracker import track_clip
from .mask_video import write_masks
from .segment_feed import SegmentFeed
from .segment_swapper import WAITING, OpenSegment, SegmentSwapper, finished_segments, mask_path, remove_segment
from .segment_tasks import FrameIndex, part_of, start_of
from .worker_run import WorkerRun


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
    finish: Finish | None = None,
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
        finish: Called with the complete file before it gets its name.

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
    swapper = SegmentSwapper(plan, request, tracked, folder)
    run = WorkerRun(swapper, callbacks) if plan.options.shared else _Run(swapper, callbacks)
    try:
        run.swap()
    except KeyboardInterrupt:
        run.keep_unfinished_segment()
        if not run.segments:
            raise
    if not (segments := run.segments):
        raise no_frames(plan.info)
    parts = [PartReport.from_json(segment.report) for segment in segments]
    counts = sum((part.counts for part in parts), FrameCounts())
    if require_faces and not counts.swapped_frames:
        raise NothingSwappedError(_no_faces(plan, counts.frames_without_faces < counts.frames))
    cut = replace(plan.cut, end=segments[-1].end * plan.info.time_base) if run.interrupted else plan.cut
    _write_masks(plan, folder, len(segments), cut)
    _write_result(out, plan, segments, cut, {MARK: request.facts().text, **(metadata or {})}, finish)
    for number in range(run.complete if run.interrupted else 0, len(segments)):
        remove_segment(folder, number)
    report = _report(plan, parts, counts, tracked)
    report.notes += run.damage.sentences()
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
    out: Path,
    plan: ClipPlan,
    segments: Sequence[Segment],
    cut: Cut,
    metadata: Mapping[str, str],
    finish: Finish | None,
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
            finish=finish,
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
        finish=finish,
    )


def _write_masks(plan: ClipPlan, folder: Path, count: int, cut: Cut) -> None:
    if plan.masks is None:
        return
    segments = [Segment.load(mask_path(folder, number)) for number in range(count)]
    write_masks(plan.masks, plan.source, [segment for segment in segments if segment is not None], cut)


class _Run:
    """Swaps and encodes the frames of a video, segment by segment, as they are read.

    Attributes:
        segments: Finished segments.
        complete: Number of those that hold as many frames as they should.
        interrupted: Whether the last segment ends early.
        damage: What is wrong with the video.
    """

    def __init__(self, swapper: SegmentSwapper, callbacks: ClipCallbacks) -> None:
        self._swapper, self._callbacks = swapper, callbacks
        self._open: OpenSegment | None = None
        self.segments = finished_segments(swapper.plan, swapper.folder)
        self.complete = len(self.segments)
        self.interrupted = False
        self.damage = Damage()

    def swap(self) -> None:
        """Swap all frames that are left."""
        plan = self._swapper.plan
        with open_video(plan.source, plan.info) as reader:
            # A first pass, if there was one, has seen everything, also before an interruption.
            index = FrameIndex.load(self._swapper.folder)
            self.damage = reader.damage if index is None else index.damage
            self._swap(reader)

    def _swap(self, reader: VideoReader) -> None:
        plan, around = self._swapper.plan, self._swapper.around
        times = [time for segment in self.segments for time in segment.times]
        before, after = start_of(plan, times, around)
        frames = part_of(plan, reader.frames(after))
        feed = SegmentFeed(frames, plan.info.layout, plan.options.segment_frames, around, before)
        done = len(times)
        with WriteBehind(WAITING) as behind:
            for number in count(len(self.segments)):
                if feed.following is None:
                    return
                self._open = self._swapper.open(number)
                self._swapper.fill(self._open, feed.segment(), done - min(done, around), behind, self._callbacks)
                done += self._open.part.counts.frames
                following = feed.following
                behind.call(self._finish, self._open, None if following is None else following.pts)
                self._open = None

    def keep_unfinished_segment(self) -> None:
        """After an interruption: finish the frames of the segment that is open."""
        self.interrupted = True
        if self._open is not None and self._open.part.counts.frames:
            self.segments.append(self._open.finish(None))
        elif self._open is not None:
            self._open.abandon()

    def _finish(self, segment: OpenSegment, end: int | None) -> None:
        """In the thread of the encoder."""
        self.segments.append(segment.finish(end))
        self.complete += 1


def _no_faces(plan: ClipPlan, found: bool) -> str:
    if found:
        return f"no frame of {plan.info.name} shows a face that was asked for; choose other faces"
    return f"no face was found in {plan.info.name}; lower the detection threshold, or use a larger detection size"
