"""Following of faces through a video file, before they are swapped."""

from collections.abc import Callable, Iterator
from pathlib import Path

from ..compositing.video_picture import VideoPicture
from ..media.frame_reader import TimedFrame, open_video
from ..pipeline.swapper import Swapper
from ..pipeline.tracked_faces import TrackedFaces
from .clip_plan import ClipPlan
from .clip_request import ClipRequest
from .replayed_analysis import replayed

_TRACKS, _DETECTIONS = "tracks.npz", "detections.jsonl"


def track_clip(
    plan: ClipPlan, request: ClipRequest, folder: Path, on_frame: Callable[[int], None] = lambda frame: None
) -> TrackedFaces | None:
    """Follow the faces of a video, or read what an interrupted run found.

    Args:
        plan: The plan.
        request: What to swap.
        folder: Folder for the tracks.
        on_frame: Called with the number of each frame; an exception ends the work.

    Returns:
        The tracks; None if the plan does not want any.

    Raises:
        StyleSwapError: The source cannot be read any more, or as for `Swapper.track`.
    """
    if plan.options.tracking is None:
        return None
    known = TrackedFaces.load(folder / _TRACKS, request.identities, request.choice)
    if known is not None:
        return known
    swapper = request.swapper
    with (
        open_video(plan.source, plan.info) as reader,
        replayed(swapper.analysis, folder / _DETECTIONS) as analysis,
    ):
        finder = Swapper(swapper.model, analysis, swapper.options, masks=swapper.masks)
        tracked = finder.track(
            _pictures(plan, part_of(plan, reader.frames(plan.before))),
            request.identity,
            request.faces,
            tracking=plan.options.tracking,
            options=request.options,
            on_frame=on_frame,
        )
    tracked.save(folder / _TRACKS)
    (folder / _DETECTIONS).unlink()
    return tracked


def part_of(plan: ClipPlan, frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """Frames before the end of the part that is swapped."""
    end = plan.cut.end
    for timed in frames:
        if end is not None and timed.pts * plan.info.time_base >= end:
            return
        yield timed


def _pictures(plan: ClipPlan, frames: Iterator[TimedFrame]) -> Iterator[VideoPicture]:
    return (plan.info.layout.look(timed.frame) for timed in frames)
