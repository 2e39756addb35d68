"""Following of faces through a video file, before they are swapped."""

from collections.abc import Callable
from pathlib import Path

from ..media.frame_reader import open_video
from ..pipeline.swapper import Swapper
from ..pipeline.tracked_faces import TrackedFaces
from .clip_plan import ClipPlan
from .clip_request import ClipRequest
from .replayed_analysis import replayed
from .segment_tasks import FrameIndex, part_of

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
        index = FrameIndex(damage=reader.damage)
        frames = index.noting(part_of(plan, reader.frames(plan.before)))
        finder = Swapper(swapper.model, analysis, swapper.options, masks=swapper.masks)
        tracked = finder.track(
            (plan.info.layout.look(timed.frame) for timed in frames),
            request.identity,
            request.faces,
            tracking=plan.options.tracking,
            options=request.options,
            on_frame=on_frame,
            only_in=request.only_in.from_frame(0),
        )
    index.save(folder)
    tracked.save(folder / _TRACKS)
    (folder / _DETECTIONS).unlink()
    return tracked
