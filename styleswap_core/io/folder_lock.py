"""A lock on a folder, which its process cannot leave behind."""

import os
from pathlib import Path
from typing import IO

from ..errors import StyleSwapError

LOCK = "lock"
"""Name of the file in the folder that is locked."""


def lock_folder(folder: Path, out: Path) -> IO[bytes]:
    """Create a folder, or take over one that nobody uses.

    Args:
        folder: The folder.
        out: The result that is made in it.

    Returns:
        The open lock; closing it, or the end of the process, releases the folder.

    Raises:
        StyleSwapError: Another process is using it, or it cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        lock = open(folder / LOCK, "ab")  # noqa: SIM115 - closed by the caller
    except OSError as error:
        raise StyleSwapError(f"cannot write into {folder.parent}: {error.strerror}; choose another folder") from error
    try:
        _lock(lock)
    except BlockingIOError as error:
        lock.close()
        raise StyleSwapError(
            f"another run is writing {out}; wait until it is finished, or choose another name"
        ) from error
    return lock


def _lock(file: IO[bytes]) -> None:
    """Lock a file without waiting; file systems that know no locks are used without.

    Raises:
        BlockingIOError: It is locked.
    """
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except PermissionError as error:
            raise BlockingIOError from error
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return
