"""Reading of PyTorch files, of which only tensors and plain values are unpickled."""

from __future__ import annotations

import argparse
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import torch

from ..errors import StyleSwapError, decoding
from ..io.files import require_file
from .restricted_pickle import check_tuple_depth

_AGAIN = "download or copy the file again"
# Pickles at the start of files from before PyTorch 1.6: a magic number, a version, the system, the contents, and the
# names of the storages.
_OLD_PICKLES = 5


def load_torch(path: Path) -> object:
    """Content of a PyTorch file, on the CPU.

    Raises:
        StyleSwapError: The file is damaged, claims more than it contains, or needs code to be run; then the cause is a
            `pickle.UnpicklingError`.
    """
    require_file(path, "a PyTorch file")
    _check_archive(path)
    # Training programs store their command line, a namespace of plain values, beside the weights.
    with _allow_in_pickles(argparse.Namespace), warnings.catch_warnings():
        # Warnings about pickle protocols that torch.load may not support; if it fails, it raises an error.
        warnings.simplefilter("ignore", UserWarning)
        with decoding(f"{path} is damaged or truncated", _AGAIN):
            for data in pickles_in(path):
                check_tuple_depth(data)
            return torch.load(path, map_location="cpu", weights_only=True)


def pickles_in(path: Path) -> list[bytes]:
    """Pickles of a PyTorch file; none of one that is damaged."""
    if _is_archive(path):
        with suppress(StyleSwapError), decoding(str(path), _AGAIN), zipfile.ZipFile(path) as archive:
            return [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
        return []
    found = []
    with open(path, "rb") as stream, suppress(StyleSwapError), decoding(str(path), _AGAIN):
        for _ in range(_OLD_PICKLES):
            start = stream.tell()
            end = _end_of_pickle(stream)
            stream.seek(start)
            found.append(stream.read(end - start))
    return found


def _end_of_pickle(stream: BinaryIO) -> int:
    for _ in pickletools.genops(stream):
        pass
    return stream.tell()


@contextmanager
def _allow_in_pickles(kind: type) -> Iterator[None]:
    """Allow `torch.load(weights_only=True)` to create objects of a class within this context."""
    if hasattr(torch.serialization, "safe_globals"):  # PyTorch 2.5 and later
        with torch.serialization.safe_globals([kind]):
            yield
        return
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([kind])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _check_archive(path: Path) -> None:
    """Refuse a compressed zip archive: PyTorch stores tensors uncompressed, so it is no larger unpacked than packed."""
    if not _is_archive(path):
        return
    size = path.stat().st_size
    with decoding(f"{path} is damaged or truncated", _AGAIN), zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > size:
        raise StyleSwapError(
            f"{path} is inconsistent: it claims {claimed} bytes of contents but has {size} bytes; {_AGAIN}"
        )


def _is_archive(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"PK"
