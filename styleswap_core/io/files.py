"""Atomic writes, file hashes and the cache folder."""

import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StyleSwapError

try:
    import fcntl
except ModuleNotFoundError:
    # Windows.
    fcntl = None  # type: ignore[assignment]

Finish = Callable[[Path], None]
"""What is done to a complete temporary file before it gets its final name, such as signing it."""

MAX_NAME_BYTES = 255
"""Longest file name of the usual file systems."""


@contextmanager
def atomic_write(path: str | Path, finish: Finish | None = None) -> Iterator[Path]:
    """Context with a temporary path in the folder of `path`, which replaces `path` on success.

    The temporary file has the same suffix, from which writers choose their format. If the body raises, it is removed
    and an existing `path` is unchanged. A process killed at any moment leaves the old or the new file under `path`,
    never a partial one; what it leaves behind is overwritten when the file is written again.

    Args:
        path: The file.
        finish: Called with the temporary path after the body.

    Raises:
        StyleSwapError: The folder does not exist, cannot be written to, or its disk is full.
    """
    path = Path(path)
    require_folder_of(path)
    if os.path.isdir(path):
        raise StyleSwapError(f"cannot write {path}: it is a folder; choose a file name")
    size = len(os.fsencode(path.name))
    if size > MAX_NAME_BYTES:
        raise StyleSwapError(f"cannot write {path}: its name has {size} bytes; choose one of at most {MAX_NAME_BYTES}")
    try:
        temporary, lock = _claim(path)
    except OSError as error:
        raise StyleSwapError(f"cannot write into {path.parent}: {error.strerror}; choose another folder") from error
    try:
        yield temporary
        if finish is not None:
            finish(temporary)
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StyleSwapError(
            f"cannot write {path}: {error.strerror or error}; make room on the disk, or choose another folder"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def require_folder_of(path: str | Path) -> None:
    """Check that the folder of a file that is to be written exists; for checks before long work.

    Raises:
        StyleSwapError: It does not.
    """
    path = Path(path)
    # os.path, whose functions do not raise for names that are too long.
    if not os.path.isdir(path.parent):
        raise StyleSwapError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")


def reserve(path: Path) -> None:
    """Take the room on the disk that a sparse file needs, before its pages in memory are written.

    A disk that becomes full only then ends the process with a signal, without a word. Systems other than Linux do not
    offer it.

    Raises:
        StyleSwapError: The disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with open(path, "rb+") as stream:
            os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise StyleSwapError(
            f"cannot write {path}: {error.strerror}; make room on the disk, or choose another folder"
        ) from error


def require_file(path: str | Path, what: str) -> None:
    """Check that a path is a regular file, before it is opened.

    Reading a pipe waits without end for a writer, and reading a device may fill the memory.

    Args:
        path: The path.
        what: What is expected, such as "a picture file".

    Raises:
        StyleSwapError: It does not exist, is a folder, or is neither a file nor a folder.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    # ValueError: a NUL character in the name.
    except (OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise StyleSwapError(f"no permission to read {path}; change its permissions") from error
        if isinstance(error, FileNotFoundError):
            raise StyleSwapError(
                f"expected {what}, but {path} does not exist or is a folder; check the path"
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise StyleSwapError(f"expected {what}, but {path} cannot be read ({reason}); check the path") from error
    if stat.S_ISDIR(mode):
        raise StyleSwapError(f"expected {what}, but {path} does not exist or is a folder; check the path")
    if not stat.S_ISREG(mode):
        raise StyleSwapError(f"expected {what}, but {path} is a pipe or a device; name a regular file")


FileKey = str | tuple[int, int]


def file_key(path: str | Path) -> FileKey:
    """What two paths have in common if writing one would change or replace the other.

    That is device and number of an existing file, by which names in other case are one file on Windows and macOS, and
    the path without symbolic links of one that does not exist.
    """
    try:
        status = os.stat(path)
    # A path that does not exist, a loop of symbolic links, or a NUL character.
    except (OSError, ValueError):
        return os.path.normcase(os.path.abspath(path) if "\0" in str(path) else os.path.realpath(path))
    return status.st_dev, status.st_ino


def file_state(path: Path) -> str:
    """Text that differs between files, and for one file once it has changed: its path, size and time of change."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        StyleSwapError: The file does not exist or cannot be read.
    """
    digest = hashlib.sha256()
    require_file(path, "a file")
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; check the path") from error
    return digest.hexdigest()


def _claim(path: Path) -> tuple[Path, int | None]:
    """A new temporary file for `path`, and the descriptor that locks it, if this system has such locks.

    Its name is always the same one, so that what a killed process leaves behind is overwritten by the next one and does
    not add up; and another one while a process that runs is writing the same file.
    """
    usual = path.with_name(_temporary_name(path, "part"))
    lock = _lock(usual) if fcntl is not None else None
    if lock is not None:
        return usual, lock
    temporary = path.with_name(_temporary_name(path, secrets.token_hex(6)))
    # Not tempfile, whose files are private: results have the permissions of any new file.
    temporary.touch(exist_ok=False)
    return temporary, None


def _lock(temporary: Path) -> int | None:
    """Descriptor of an empty file that no other process has locked; None if one has, or if locks do not work here."""
    # Not a link to somewhere else.
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A process that had it open in between may have renamed it to its final name meanwhile.
        if os.path.samestat(os.fstat(descriptor), os.stat(temporary)):
            os.ftruncate(descriptor, 0)
            return descriptor
    except OSError:
        os.close(descriptor)
        return None
    os.close(descriptor)
    return None


def _temporary_name(path: Path, mark: str) -> str:
    """A hidden name with a mark and the suffix of `path`, and no longer than a file name may be."""
    ending = f".{mark}{path.suffix}"
    stem = os.fsencode(path.stem)[: MAX_NAME_BYTES - len(os.fsencode(ending)) - 1]
    # Not in the middle of a character.
    return f".{stem.decode('utf-8', 'ignore')}{ending}"


def user_cache_folder() -> Path | None:
    r"""Folder for data that can be recomputed, which may not exist yet; None if nothing is to be cached.

    The environment variable STYLESWAP_CACHE names it, or turns the cache off if empty. The default is the system's
    cache folder: $XDG_CACHE_HOME/styleswap or ~/.cache/styleswap, %LOCALAPPDATA%\\styleswap on Windows,
    ~/Library/Caches/styleswap on macOS.
    """
    named = os.environ.get("STYLESWAP_CACHE")
    if named is not None:
        return Path(os.path.expanduser(named)) if named else None
    usual = {"win32": ("LOCALAPPDATA", "~/AppData/Local"), "darwin": ("", "~/Library/Caches")}
    variable, place = usual.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    folder = Path(os.environ.get(variable) or os.path.expanduser(place))
    # Relative for accounts without a home folder; the working directory is no place for a cache.
    return folder / "styleswap" if folder.is_absolute() else None


def _flush_to_disk(path: Path) -> None:
    # Otherwise a power loss after the rename can leave an empty file under the final name.
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())
