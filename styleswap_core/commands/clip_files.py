"""Videos among the targets of `styleswap swap`, and their results."""

import argparse
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError
from ..io.file_kinds import VIDEO_SUFFIXES, is_picture_name
from ..io.files import require_folder_of
from .picture_files import files_in, note_left_out, nothing_found, place

CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".gif", ".apng")
# Written out, since the modules that define them import torch; a test compares them.
WRITTEN_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif", ".webp", ".apng", ".png")
# These hold single pictures as well.
_MAYBE = (".webp", ".png")
_HOLDS_EVERYTHING = ".mkv"
_CLIP_OPTIONS = ("codec", "quality", "lossless", "start", "duration", "preview", "resume", "doubtful", "workers", "ray")


class ClipFiles(NamedTuple):
    """A video, its result, and the file or the folder for its masks if they are requested."""

    target: Path
    out: Path
    mask_out: Path | None = None


def is_clip(path: Path) -> bool:
    """Whether a file is a video or an animation, by its suffix and, where that does not tell, its contents."""
    suffix = path.suffix.lower()
    if suffix not in _MAYBE:
        return suffix in CLIP_SUFFIXES
    from ..media.animated_files import is_animation

    return path.is_file() and is_animation(path)


def split_targets(
    targets: Sequence[Path], recursive: bool = False, excluded: Sequence[Path] = ()
) -> tuple[list[Path], list[Path]]:
    """Pictures and videos among the targets; of other files in a folder, a note is printed.

    Args:
        targets: Files and folders.
        recursive: Whether subfolders are entered.
        excluded: Folders that are not entered, such as that of the results.

    Raises:
        StyleSwapError: A folder cannot be read, or holds neither pictures nor videos.
    """
    pictures: list[Path] = []
    clips: list[Path] = []
    for target in targets:
        if not target.is_dir():
            (clips if is_clip(target) else pictures).append(target)
            continue
        files = files_in(target, recursive, excluded)
        found = {file for file in files if is_clip(file)}
        clips += sorted(found)
        # An animation is no picture of the folder.
        rest = [file for file in files if file not in found]
        still = [file for file in rest if is_picture_name(file)]
        if not found and not still:
            raise nothing_found(target)
        pictures += still
        note_left_out(target, [file for file in rest if not is_picture_name(file)])
    return pictures, clips


def plan_clips(
    clips: Sequence[Path], args: argparse.Namespace, several: bool, inputs: Sequence[Path]
) -> list[ClipFiles]:
    """Result files of videos, checked before any work is done.

    Args:
        clips: The videos.
        args: Arguments of the command.
        several: Whether `--out` is a folder because there are several targets.
        inputs: Other files that are read.

    Raises:
        StyleSwapError: An option that is for videos only, two videos of one name, or a result that would replace an
            input or cannot be written.
    """
    if not clips:
        unused = next((f"--{name}" for name in _CLIP_OPTIONS if getattr(args, name)), None)
        if unused is not None:
            raise StyleSwapError(f"{unused} applies to videos only; leave it out for pictures")
        return []
    sheet = "preview" if args.preview is not None else "doubtful" if args.doubtful is not None else ""
    if sheet and len(clips) > 1:
        raise StyleSwapError(f"--{sheet} shows one video, got {len(clips)}; name one target")
    if sheet:
        _check_sheet(getattr(args, sheet))
    plan = [_files_of(clip, args, several) for clip in clips]
    _check_results(plan, several, {os.path.realpath(path) for path in (*clips, *inputs)})
    return plan


def _files_of(clip: Path, args: argparse.Namespace, several: bool) -> ClipFiles:
    own = place(clip, args.target)
    out = args.out / own.with_name(_result_name(clip)) if several or args.out.is_dir() else args.out
    if args.mask_out is None or not several:
        return ClipFiles(clip, out, args.mask_out)
    return ClipFiles(clip, out, args.mask_out / own.with_name(f"{clip.stem}_mask{_HOLDS_EVERYTHING}"))


def _check_results(plan: Sequence[ClipFiles], several: bool, read: Collection[str]) -> None:
    written: dict[str, Path] = {}
    for files in plan:
        if files.out.suffix.lower() not in WRITTEN_SUFFIXES:
            raise StyleSwapError(
                f"expected a result with one of the suffixes {', '.join(WRITTEN_SUFFIXES)}, got {files.out}; .mkv holds"
                " every kind of video"
            )
        results = [files.out, *([] if files.mask_out is None else [files.mask_out])]
        for result in results:
            if os.path.realpath(result) in read:
                raise StyleSwapError(f"{result} is an input and would be replaced by a result; choose another name")
        if len({os.path.realpath(result) for result in results}) < len(results):
            raise StyleSwapError(f"{files.out} would hold both the result and its masks; choose another name for one")
        other = written.setdefault(os.path.realpath(files.out), files.target)
        if other != files.target:
            raise StyleSwapError(
                f"{files.target} and {other} would both be written to {files.out}; rename one, or swap them one by one"
            )
        for result in results if not several else ():
            require_folder_of(result)


def _check_sheet(path: Path) -> None:
    from ..io.images import check_image_suffix

    check_image_suffix(path)
    require_folder_of(path)


def _result_name(clip: Path) -> str:
    return clip.name if clip.suffix.lower() in WRITTEN_SUFFIXES else f"{clip.stem}{_HOLDS_EVERYTHING}"
