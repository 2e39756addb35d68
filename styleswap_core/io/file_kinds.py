"""Kinds of files by their names; quick to import."""

from pathlib import Path

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".bmp",
    ".tif", ".tiff",
)  # fmt: skip
"""Suffixes of picture files; some of them may hold animations."""

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv", ".mjpeg",
    ".mjpg", ".3gp", ".ogv",
)  # fmt: skip
"""Suffixes of video files."""


def is_picture_name(path: Path) -> bool:
    """Whether a file has the suffix of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file is none that a user put into a folder of pictures.

    Such names begin with a dot: `._x.png`, in which macOS keeps what other file systems cannot, and the temporary files
    of `files.atomic_write`.
    """
    return name.startswith(".")
