"""What lies in the user's folder: every file below it once, in a stream, and what is wrong with the rest."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError

# By suffix, because a container says what it is only to a decoder. Everything else is tried as a picture.
VIDEO_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
    ".flv",
    ".mjpeg",
    ".mjpg",
    ".3gp",
    ".ogv",
)


class FoundFile(NamedTuple):
    """A file below the input folder: its path from there, and whether it is a video by its name."""

    path: Path
    is_video: bool


class Obstacle(NamedTuple):
    """What cannot be entered or read, and why."""

    path: Path
    sentence: str


def walk(folder: Path, excluded: Path) -> Iterator[FoundFile | Obstacle]:
    """All files below a folder, each once; links are followed, and a folder that was seen already is an Obstacle.

    Memory grows with the number of folders, not of files. The order is the file system's.

    Args:
        excluded: a folder that is passed over, such as the output's.

    Raises:
        StyleSwapError: `folder` is none, or it is `excluded` itself.
    """
    if not folder.is_dir():
        raise StyleSwapError(f"expected a folder of pictures and videos, but {shown(folder)} is none; check the path")
    if folder.resolve() == excluded.resolve():
        raise StyleSwapError(
            f"the result cannot lie in the folder of the pictures, {shown(folder)}; name another folder"
        )
    seen = {_file_id(excluded)} if excluded.is_dir() else set()
    # Links wait until all real folders were seen, so that a folder is found under its own name.
    waiting, links = [Path()], []
    while waiting or links:
        inner = waiting.pop() if waiting else links.pop()
        try:
            number = _file_id(folder / inner)
            if number in seen:
                if (folder / inner).is_symlink():
                    yield Obstacle(inner, "leads to a folder that is in the set already (a link or a loop)")
                continue
            seen.add(number)
            with os.scandir(folder / inner) as entries:
                for entry in entries:
                    found = _classify(inner / entry.name, entry)
                    if isinstance(found, FoundFile | Obstacle):
                        yield found
                    else:
                        (links if entry.is_symlink() else waiting).append(found)
        except OSError as error:
            yield Obstacle(inner, f"cannot be read ({error.strerror})")


def _classify(path: Path, entry: os.DirEntry) -> FoundFile | Obstacle | Path:
    """A file, what is wrong with it, or the path of a folder."""
    try:
        if entry.is_dir():
            return path
        if entry.is_file():
            return FoundFile(path, path.suffix.lower() in VIDEO_SUFFIXES)
    except OSError as error:  # a link that leads to itself
        return Obstacle(path, f"cannot be read ({error.strerror})")
    return Obstacle(path, "is a broken link" if entry.is_symlink() else "is neither a file nor a folder")


def shown(path: Path | str) -> str:
    """A path in one line whatever its name holds: what cannot be printed is written as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def _file_id(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
