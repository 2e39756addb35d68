"""Swapping of video files, with progress."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..compositing.frame_masks import CHOSEN
from ..errors import StyleSwapError
from ..identities.identity import Identity
from ..io.images import save_image
from ..media.animations import decodable
from ..pipeline.swap_options import SwapOptions
from ..pipeline.swapper import Faces, Swapper
from ..video.clip_callbacks import ClipCallbacks
from ..video.clip_masks import ClipMasks
from ..video.clip_pictures import doubtful_sheet, preview_sheet
from ..video.clip_plan import plan_clip
from ..video.clip_request import ClipRequest
from ..video.swap_video import swap_planned
from ..video.work_folder import work_folder
from .clip_arguments import clip_options
from .clip_files import ClipFiles
from .console import print_error, print_note

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..credentials.signing import ContentSigner
    from .file_swapper import FileSwapper

# Frames are swapped in batches, so the speed of the last few says little.
_SMOOTHING = 0.02


@dataclass
class ClipResults:
    """What happened to several videos.

    Attributes:
        reports: One per video that was swapped, as JSON values.
        failed: Target and error of those that failed.
        interrupted: Whether Ctrl-C ended the work.
    """

    reports: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False


def swap_clips(
    swapper: "FileSwapper",
    identities: Sequence[Identity],
    clips: Sequence[ClipFiles],
    args: argparse.Namespace,
    faces: Faces,
    options: SwapOptions,
    signer: "ContentSigner | None" = None,
) -> ClipResults:
    """Swap videos one after the other, and sign them; an error of one does not end the others."""
    results = ClipResults()
    tool = Swapper(swapper.baked().network, swapper.analyzer, options, masks=swapper.masks)
    for files in clips:
        if args.resume and files.out.exists() and not work_folder(files.out).exists():
            print_note(f"{files.out} is complete and is left as it is")
            continue
        try:
            request = _request(tool, identities, faces, args)
            results.reports.append(_swap_clip(files, request, args, signer))
        except (StyleSwapError, OSError) as error:
            text = str(error) if str(files.target) in str(error) else f"{files.target}: {error}"
            results.failed.append({"target": str(files.target), "error": text})
            if len(clips) > 1:
                print_error(text)
            continue
        if results.reports[-1]["interrupted"]:
            results.interrupted = True
            break
    return results


def _request(tool: Swapper, identities: Sequence[Identity], faces: Faces, args: argparse.Namespace) -> ClipRequest:
    chosen = ClipMasks(args.only_in, args.start, CHOSEN)
    return ClipRequest(tool, identities, faces, keep=ClipMasks(args.keep, args.start), only_in=chosen)


def preview_clip(
    swapper: "FileSwapper",
    identities: Sequence[Identity],
    files: ClipFiles,
    args: argparse.Namespace,
    faces: Faces,
    options: SwapOptions,
) -> None:
    """Write a contact sheet of a few swapped frames.

    Raises:
        StyleSwapError: The video cannot be read, or the sheet cannot be written.
    """
    tool = Swapper(swapper.network, swapper.analyzer, options, masks=swapper.masks)
    with decodable(files.target) as readable:
        plan = plan_clip(readable, files.out, clip_options(args), files.target)
        request = _request(tool, identities, faces, args)
        save_image(args.preview, preview_sheet(plan, request))
    for note in plan.notes:
        print_note(f"{files.target}: {note}")


class _ProgressBars:
    """A progress bar for each phase of the work on a video, from its first frame on; closed as a context manager."""

    def __init__(self, name: str, frames: int) -> None:
        self._name, self._frames = name, frames
        self._bars: dict[str, tqdm[Any]] = {}

    def __enter__(self) -> "_ProgressBars":
        return self

    def __exit__(self, *_: object) -> None:
        for bar in reversed(self._bars.values()):
            bar.close()

    def advance(self, phase: str, frame: int) -> None:
        """Count a frame of a phase."""
        from tqdm import tqdm

        if phase not in self._bars:
            # Frames of an interrupted run say nothing about the speed of this one.
            self._bars[phase] = tqdm(
                total=self._frames or None,
                initial=frame,
                desc=f"{self._name}: {phase}",
                unit="frame",
                smoothing=_SMOOTHING,
            )
        self._bars[phase].update()


def _swap_clip(
    files: ClipFiles, request: ClipRequest, args: argparse.Namespace, signer: "ContentSigner | None"
) -> dict[str, Any]:
    start = time.perf_counter()
    for path in (files.out, files.mask_out):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    with decodable(files.target) as readable:
        options = replace(clip_options(args), mask_out=files.mask_out)
        plan = plan_clip(readable, files.out, options, files.target)
        with _ProgressBars(files.target.name, plan.frames) as bars:
            callbacks = ClipCallbacks(partial(bars.advance, "swap"), partial(bars.advance, "track faces"))
            report = swap_planned(plan, files.out, request, callbacks, resume=args.resume, signer=signer)
        if args.doubtful is not None and report.doubtful:
            save_image(args.doubtful, doubtful_sheet(plan, files.out, report.doubtful))
    for note in report.notes:
        print_note(f"{files.target}: {note}")
    if report.interrupted:
        print_note(f"{files.out} holds the first {report.counts.frames} frames; the same command with --resume goes on")
    seconds = round(time.perf_counter() - start, 3)
    written = {"out": str(files.out), "mask": None if files.mask_out is None else str(files.mask_out)}
    signed_by = None if signer is None else signer.key.name
    return {
        "target": str(files.target),
        **written,
        "seconds": seconds,
        "signed_by": signed_by,
        **report.as_json(),
    }
