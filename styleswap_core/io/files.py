"""Writing, identifying and keeping files. A leaf module: it imports nothing of the project but the error."""

import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StyleSwapError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on a clean exit it replaces `path` in one step.

    The temporary file keeps the suffix, because writers choose their format by it. When the body raises,
    the temporary file is removed and an existing `path` stays as it was. A process killed at any moment
    leaves either the old file or the new one under `path`, never a part of one.

    Raises:
        StyleSwapError: the folder does not exist, it cannot be written to, or its disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StyleSwapError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise StyleSwapError(f"cannot write {path}: a folder of that name is there; give a file name")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}{path.suffix}")
    try:
        # Not tempfile: its files are private, and a result should have the rights that any new file gets.
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise StyleSwapError(f"cannot write into {path.parent}: {error.strerror}; choose another folder") from error
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise StyleSwapError(
            f"cannot write {path}: {error.strerror or error}; make room, or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        StyleSwapError: the file does not exist or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; check the path") from error
    return digest.hexdigest()


def user_cache_folder() -> Path | None:
    r"""Where to keep what could be computed again; it need not exist yet. None: keep nothing.

    The folder that STYLESWAP_CACHE names (empty: none), or the system's usual place: $XDG_CACHE_HOME/styleswap or
    ~/.cache/styleswap, %LOCALAPPDATA%\\styleswap on Windows, ~/Library/Caches/styleswap on macOS.
    """
    named = os.environ.get("STYLESWAP_CACHE")
    if named is not None:
        return Path(os.path.expanduser(named)) if named else None
    usual = {"win32": ("LOCALAPPDATA", "~/AppData/Local"), "darwin": ("", "~/Library/Caches")}
    variable, place = usual.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    folder = Path(os.environ.get(variable) or os.path.expanduser(place))
    # Relative where an account has no home; nothing goes into whatever folder the program was started in.
    return folder / "styleswap" if folder.is_absolute() else None


def _flush_to_disk(path: Path) -> None:
    # Without this, a power loss after the rename can leave an empty file under the final name.
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())
