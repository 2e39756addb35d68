"""Files below a folder: each one once, as a stream, along with everything that cannot be read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError, printable
from .file_kinds import VIDEO_SUFFIXES, is_hidden


class FoundFile(NamedTuple):
    """A file: its path relative to the input folder, and whether its suffix is that of a video."""

    path: Path
    is_video: bool


class Obstacle(NamedTuple):
    """Something that cannot be entered or read, and why."""

    path: Path
    sentence: str


def walk(folder: Path, *excluded: Path) -> Iterator[FoundFile | Obstacle]:
    """All files below a folder, each once, in the order of the file system.

    Links are followed; a folder that was visited before is an `Obstacle`. Hidden files and folders are skipped. Memory
    grows with the number of folders, not of files.

    Args:
        folder: The input folder.
        excluded: Folders that are skipped, such as the output's.

    Raises:
        StyleSwapError: `folder` is not a folder, or is an excluded one itself.
    """
    if not folder.is_dir():
        raise StyleSwapError(
            f"expected a folder of pictures and videos, but {printable(folder)} is not a folder; check the path"
        )
    if any(os.path.realpath(folder) == os.path.realpath(other) for other in excluded):
        raise StyleSwapError(
            f"the result cannot be written into the folder of the pictures, {printable(folder)}; choose another folder"
        )
    visited = {_file_id(other) for other in excluded if other.is_dir()}
    # Links are followed last, so that a folder is listed under its real path.
    folders, links = [Path()], list[Path]()
    while folders or links:
        inner = folders.pop() if folders else links.pop()
        try:
            file_id = _file_id(folder / inner)
            if file_id in visited:
                if (folder / inner).is_symlink():
                    yield Obstacle(inner, "links to a folder that was visited before (a duplicate or a loop)")
                continue
            visited.add(file_id)
            with os.scandir(folder / inner) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    found = _classify(inner / entry.name, entry)
                    if isinstance(found, FoundFile | Obstacle):
                        yield found
                    else:
                        (links if entry.is_symlink() else folders).append(found)
        except OSError as error:
            yield Obstacle(inner, f"cannot be read ({error.strerror})")


def _classify(path: Path, entry: os.DirEntry[str]) -> FoundFile | Obstacle | Path:
    """A file, an obstacle, or the path of a folder."""
    try:
        if entry.is_dir():
            return path
        if entry.is_file():
            return FoundFile(path, path.suffix.lower() in VIDEO_SUFFIXES)
    except OSError as error:  # a link to itself
        return Obstacle(path, f"cannot be read ({error.strerror})")
    return Obstacle(path, "is a broken link" if entry.is_symlink() else "is neither a file nor a folder")


def _file_id(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
