"""Videos among the targets of `styleswap swap`, and their results."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError
from ..io.file_kinds import VIDEO_SUFFIXES, is_picture_name
from .picture_files import files_in, note_left_out, nothing_found, place

CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".gif", ".apng")
# Written out, since the modules that define them import torch; a test compares them.
WRITTEN_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif", ".webp", ".apng", ".png")
# These hold single pictures as well.
_MAYBE = (".webp", ".png")
_HOLDS_EVERYTHING = ".mkv"
_PICTURE_OPTIONS = ("grow", "feather", "color_match", "color_strength", "method", "keep", "mask_out")
_CLIP_OPTIONS = ("codec", "quality", "lossless", "start", "duration", "preview", "resume", "doubtful")


class ClipFiles(NamedTuple):
    """A video and its result."""

    target: Path
    out: Path


def is_clip(path: Path) -> bool:
    """Whether a file is a video or an animation, by its suffix and, where that does not tell, its contents."""
    suffix = path.suffix.lower()
    if suffix not in _MAYBE:
        return suffix in CLIP_SUFFIXES
    from ..media.animations import is_animation

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
        StyleSwapError: An option that is for pictures only, two videos of one name, or a result that would replace an
            input or cannot be written.
    """
    if not clips:
        unused = next((f"--{name}" for name in _CLIP_OPTIONS if getattr(args, name)), None)
        if unused is not None:
            raise StyleSwapError(f"{unused} applies to videos only; leave it out for pictures")
        return []
    given = [f"--{name.replace('_', '-')}" for name in _PICTURE_OPTIONS if getattr(args, name) is not None]
    if given:
        raise StyleSwapError(f"{given[0]} applies to pictures only, got the video {clips[0]}; leave it out for videos")
    sheet = "preview" if args.preview is not None else "doubtful" if args.doubtful is not None else ""
    if sheet and len(clips) > 1:
        raise StyleSwapError(f"--{sheet} shows one video, got {len(clips)}; name one target")
    if sheet:
        _check_sheet(getattr(args, sheet))
    plan = [
        ClipFiles(
            clip,
            args.out / place(clip, args.target).with_name(_result_name(clip))
            if several or args.out.is_dir()
            else args.out,
        )
        for clip in clips
    ]
    read = {os.path.realpath(path) for path in (*clips, *inputs)}
    written: dict[str, Path] = {}
    for files in plan:
        if files.out.suffix.lower() not in WRITTEN_SUFFIXES:
            raise StyleSwapError(
                f"expected a result with one of the suffixes {', '.join(WRITTEN_SUFFIXES)}, got {files.out}; .mkv holds"
                " every kind of video"
            )
        if os.path.realpath(files.out) in read:
            raise StyleSwapError(f"{files.out} is an input and would be replaced by a result; choose another name")
        other = written.setdefault(os.path.realpath(files.out), files.target)
        if other != files.target:
            raise StyleSwapError(
                f"{files.target} and {other} would both be written to {files.out}; rename one, or swap them one by one"
            )
        if not several and not files.out.parent.is_dir():
            raise StyleSwapError(
                f"cannot write {files.out}: the folder {files.out.parent} does not exist; create it first"
            )
    return plan


def _check_sheet(path: Path) -> None:
    from ..io.images import check_image_suffix

    check_image_suffix(path)
    if not path.parent.is_dir():
        raise StyleSwapError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")


def _result_name(clip: Path) -> str:
    return clip.name if clip.suffix.lower() in WRITTEN_SUFFIXES else f"{clip.stem}{_HOLDS_EVERYTHING}"
