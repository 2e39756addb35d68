"""Downloads of single files whose size and hash are known."""

import hashlib
import http.client
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import StyleSwapError, one_line
from .files import atomic_write

Progress = Callable[[int, int], None]
"""Called with the bytes received so far and their total."""

_BLOCK = 1 << 16
# Seconds without a byte.
_TIMEOUT = 30.0


@dataclass(frozen=True)
class RemoteFile:
    """A file at a fixed address.

    Attributes:
        name: File name.
        url: Address.
        sha256: Hexadecimal SHA-256 of its bytes.
        size: Number of bytes.
        license: Name of its license, for people.
    """

    name: str
    url: str
    sha256: str
    size: int
    license: str


def download(file: RemoteFile, folder: Path, progress: Progress | None = None) -> Path:
    """Download a file into a folder, which is created if necessary.

    The file appears under its name only if it is complete and has the right hash.

    Args:
        file: What to download.
        folder: Where to.
        progress: Receives the progress, and may raise to cancel; by default a progress bar on stderr.

    Returns:
        The path of the file.

    Raises:
        StyleSwapError: No connection, another answer than the file, or a folder that cannot be written to.
    """
    path = folder / file.name
    with (
        _made(folder),
        atomic_write(path) as temporary,
        open(temporary, "wb") as stream,
        _bar(file, progress) as report,
    ):
        digest, received = hashlib.sha256(), 0
        for block in _blocks(file, folder):
            stream.write(block)
            digest.update(block)
            received += len(block)
            report(received, file.size)
        if received != file.size or digest.hexdigest() != file.sha256:
            found = "another SHA-256" if received == file.size else f"{received:,} of {file.size:,} bytes"
            raise StyleSwapError(
                f"expected the {file.name} with the SHA-256 {file.sha256[:16]}..., got {found}; nothing was kept; try"
                f" again, or download {file.url} with a browser into {folder}"
            )
    return path


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Create a folder, and remove what was created if the body raises."""
    created = [ancestor for ancestor in (folder, *folder.parents) if not ancestor.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleSwapError(f"cannot create {folder}: {error.strerror}; choose another folder") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for ancestor in created:
                ancestor.rmdir()
        raise


def _blocks(file: RemoteFile, folder: Path) -> Iterator[bytes]:
    """The bytes that the address answers with, no more than one block beyond the expected size."""
    received = 0
    try:
        with urllib.request.urlopen(file.url, timeout=_TIMEOUT) as answer:
            while received <= file.size and (block := answer.read(_BLOCK)):
                received += len(block)
                yield block
    # Failures of a network are OSErrors, malformed answers HTTPExceptions.
    except (OSError, http.client.HTTPException) as error:
        # urllib's own wrapper reads "<urlopen error ...>".
        reason = getattr(error, "reason", None)
        cause = reason if isinstance(reason, OSError) else error
        raise StyleSwapError(
            f"could not download {file.name} ({one_line(cause)}); check the network and try again, or download"
            f" {file.url} with a browser into {folder}"
        ) from error


@contextmanager
def _bar(file: RemoteFile, progress: Progress | None) -> Iterator[Progress]:
    if progress is not None:
        yield progress
        return
    from tqdm import tqdm

    with tqdm(total=file.size, unit="B", unit_scale=True, desc=f"{file.name} ({file.license})") as bar:

        def report(received: int, _total: int) -> None:
            bar.update(received - bar.n)

        yield report
