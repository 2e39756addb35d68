"""Swapping of faces in a video file with one call."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

from ..compositing.frame_masks import CHOSEN
from ..credentials.manifests import check_signable
from ..credentials.signing import ContentSigner
from ..errors import StyleSwapError
from ..identities.identity import Identity
from ..io.files import require_folder_of
from ..io.folder_lock import lock_folder
from ..media.animations import decodable
from ..pipeline.swap_options import SwapOptions
from ..pipeline.swapper import Faces, Swapper
from .clip_callbacks import NO_CALLBACKS, ClipCallbacks, RunningFrame
from .clip_masks import ClipMasks, Masks
from .clip_plan import ClipOptions, ClipPlan, plan_clip
from .clip_report import ClipReport
from .clip_request import ClipRequest
from .clip_swapper import NothingSwappedError, swap_clip
from .work_folder import fingerprint, has_work, open_work_folder, remove_work_folder, work_folder


def swap_video(
    swapper: Swapper,
    source: str | Path | BytesIO,
    out: str | Path,
    identity: Identity | Sequence[Identity],
    faces: Faces = "largest",
    *,
    options: SwapOptions | None = None,
    clip: ClipOptions | None = None,
    keep: Masks | None = None,
    only_in: Masks | None = None,
    resume: bool = False,
    resumable: bool = True,
    require_faces: bool = True,
    on_frame: Callable[[int], None] = lambda frame: None,
    on_followed: Callable[[int], None] = lambda frame: None,
    on_result: Callable[[RunningFrame], None] = lambda frame: None,
    metadata: Mapping[str, str] | None = None,
    signer: ContentSigner | None = None,
) -> ClipReport:
    """Swap faces in a video file, in constant memory whatever its length.

    Sound, subtitles, chapters, times of frames, colors and orientation are those of the source. Frames in which no face
    can be swapped pass unchanged. Finished parts are kept in the folder `.NAME.parts` beside the result until it is
    complete. An exception of a callback ends the work, after at most `SwapOptions.batch_size` further frames.

    Args:
        swapper: Model and face analysis.
        source: The video, a file or one in memory.
        out: The result; the suffix chooses the container: .mp4, .m4v, .mov, .mkv, .webm, .gif, .webp, .png or .apng.
        identity: As for `Swapper.swap`.
        faces: As for `Swapper.swap`, for each frame.
        options: Override those of the swapper.
        clip: Encoder, and the part of the video.
        keep: What stays as it is: a mask (h, w), 0..1, for all frames, or one for each; see `clip_masks.Masks`.
        only_in: Masks of the faces that are swapped, likewise; see `Swapper.swap` and `Swapper.track`.
        resume: Go on after the finished parts of an interrupted run with the same arguments.
        resumable: Whether finished parts are kept after an error, so that `resume` can go on. If not, nothing is left.
        require_faces: Whether a video in which no face is swapped is an error.
        on_frame: Called with the number of each frame before it is swapped; a KeyboardInterrupt ends the result there.
        on_followed: Called with the number of each frame while faces are followed, before any is swapped.
        on_result: Called with a `RunningFrame` for each frame after it is swapped, such as for a preview.
        metadata: Metadata to add to the result.
        signer: Signs the result with Content Credentials; .mkv and .webm cannot carry them.

    Raises:
        StyleSwapError: The source is not a readable video, the result cannot be written or cannot hold the source, no
            face was swapped, or as for `Swapper.swap`.
    """
    source, out = _checked_paths(source, out)
    start = 0.0 if clip is None else clip.start
    masks = ClipMasks(keep, start), ClipMasks(only_in, start, CHOSEN)
    wanted = ClipRequest(swapper, identity, faces, options, *masks)
    calls = ClipCallbacks(on_frame, on_followed, on_result)
    with decodable(source) as readable:
        plan = plan_clip(readable, out, clip, source)
        kept = {"resume": resume, "resumable": resumable}
        return swap_planned(
            plan, out, wanted, calls, **kept, require_faces=require_faces, metadata=metadata, signer=signer
        )


def swap_planned(
    plan: ClipPlan,
    out: Path,
    request: ClipRequest,
    callbacks: ClipCallbacks = NO_CALLBACKS,
    *,
    resume: bool = False,
    resumable: bool = True,
    require_faces: bool = True,
    metadata: Mapping[str, str] | None = None,
    signer: ContentSigner | None = None,
) -> ClipReport:
    """`swap_video` for a plan that is made already.

    Raises:
        StyleSwapError: As for `swap_video`.
    """
    finish = None
    if signer is not None:
        check_signable(out)
        finish = signer.finish(request.facts(), plan.original)
    folder = work_folder(out)
    lock = lock_folder(folder, out)
    left = True
    try:
        open_work_folder(folder, fingerprint(plan, request), resume)
        left = resumable
        report = swap_clip(
            plan, out, request, folder, callbacks, metadata=metadata, require_faces=require_faces, finish=finish
        )
        left = resumable and report.interrupted
    except NothingSwappedError:
        left = False
        raise
    finally:
        lock.close()
        if not left or not has_work(folder):
            remove_work_folder(folder)
    return report


def _checked_paths(source: str | Path | BytesIO, out: str | Path) -> tuple[Path | BytesIO, Path]:
    source = Path(source) if isinstance(source, str) else source
    out = Path(out)
    if isinstance(source, Path) and out.exists() and source.exists() and out.samefile(source):
        raise StyleSwapError(f"{out} is the video itself and would be replaced by the result; choose another name")
    if out.is_dir():
        raise StyleSwapError(f"cannot write {out}: it is a folder; choose a file name")
    require_folder_of(out)
    return source, out
