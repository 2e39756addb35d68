"""Files of other programs -> named tensors, without running anything that is in them.

PyTorch's .pt and .pth (zip archives and the older form) through `torch.load(weights_only=True)`, Paddle's .pdparams
through `plain_pickle`, and .safetensors, into which such weights are often rewritten.
"""

from __future__ import annotations

import argparse
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import StyleSwapError
from .native import FORMAT, is_pickle_or_archive
from .restricted_pickle import ForbiddenPickleError, PickledArray, names_in_pickle, read_plain_pickle

# Where training programs keep the weights that are meant for use; the first one found is read.
PARTS = ("g_ema", "generator_ema", "params_ema", "g", "generator", "params", "state_dict", "model")
NAME_TABLE = "StructuredToParameterName@@"
"""Paddle's table of its internal names, which stands among the tensors."""
# The first of the pickles that PyTorch wrote one after another before version 1.6: a number, 0x1950a86a20f9469cfc6c.
_OLD_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
# What torch.load is known to raise for files with wrong bytes, wherever they are.
_DAMAGED = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    MemoryError,
    ArithmeticError,
)


@dataclass(frozen=True)
class ForeignFile:
    """What a checkpoint holds.

    Attributes:
        container: "paddle", "pytorch" or "safetensors".
        tensors: of the part that was read, under their own names; on the CPU.
        part: the name of that part, "" where the file is one state dict.
        other_parts: what else the file has, not read.
        others: names in the part that are no tensors.
    """

    container: str
    tensors: dict[str, Tensor]
    part: str = ""
    other_parts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def read_foreign(path: str | Path, part: str | None = None) -> ForeignFile:
    """Read the tensors of a foreign checkpoint.

    Args:
        path: the file.
        part: which of the file's state dicts, such as "g_ema" or "g"; by default the averaged generator where it has one.

    Raises:
        StyleSwapError: missing, empty, damaged or truncated, with sizes that its bytes do not bear out, with anything
            that would have to be run (named), without tensors, or a model of this program.
    """
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            start = stream.read(16)
        size = path.stat().st_size
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; check the path") from error
    if not start:
        raise StyleSwapError(f"{path} is empty; get the file again")
    if not is_pickle_or_archive(start):
        return _choose(path, "safetensors", _read_safetensors(path), part)
    if start.startswith(b"PK") or start.startswith(_OLD_TORCH):
        content = _read_torch(path, size)
        container = "pytorch"
    else:
        content = _read_paddle(path)
        container = "paddle"
    chosen = _choose(path, container, content, part)
    _check_bytes(path, size, chosen.tensors)
    return chosen


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        # It checks the header's offsets and shapes against each other and against the file's length.
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") == FORMAT:
                raise StyleSwapError(f"{path} is a StyleSwap model already; use it as it is")
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise StyleSwapError(
            f"{path} is damaged, truncated or no checkpoint ({error}); expected a .pdparams, .pt, .pth or .safetensors file"
        ) from error


def _read_paddle(path: Path) -> dict[str, object]:
    try:
        content = read_plain_pickle(path.read_bytes())
        if not isinstance(content, dict):
            raise StyleSwapError(f"holds a {type(content).__name__}; expected a table of arrays")
        content.pop(NAME_TABLE, None)
        return {name: _tensor(name, value) for name, value in content.items()}
    except ForbiddenPickleError as error:
        raise StyleSwapError(
            f"{path} {error}; it is refused and nothing of it was run: get it from who made it"
        ) from error
    except StyleSwapError as error:
        raise StyleSwapError(f"{path} {error}; get the file again") from error


def _tensor(name: str, value: object) -> object:
    if isinstance(value, dict):
        return {key: _tensor(f"{name}.{key}", inner) for key, inner in value.items() if key != NAME_TABLE}
    if not isinstance(value, PickledArray):
        return value
    try:
        array = value.array()
    except StyleSwapError as error:
        raise StyleSwapError(f"lies: {name} {error}") from error
    # PyTorch knows this machine's byte order alone.
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _read_torch(path: Path, size: int) -> object:
    _check_archive(path, size)
    # Training programs put their command line beside the weights: a record of names and values, which runs nothing.
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        with warnings.catch_warnings():
            # On pickle protocols that it may not know; where it does not, that becomes an error below.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StyleSwapError(
            f"{path} {_what_it_tried(path, str(error))}; it is refused and nothing of it was run: "
            "get it again from who made it, as tensors alone"
        ) from error
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:120]
        raise StyleSwapError(f"{path} is damaged or truncated ({reason}); get the file again") from error


def _check_archive(path: Path, size: int) -> None:
    """Refuse a zip archive that unpacks to more than it is: PyTorch stores tensors as they are."""
    if not _is_archive(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise StyleSwapError(f"{path} is damaged or truncated ({error}); get the file again") from error
    if claimed > size:
        raise StyleSwapError(
            f"{path} lies: it claims {claimed} bytes of contents and is {size} bytes; get the file again"
        )


def _is_archive(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"PK"


def _what_it_tried(path: Path, message: str) -> str:
    named = re.search(r"GLOBAL (\S+)", message)
    if named:
        return f"tries to use {named.group(1)}"
    # An unknown operation came before the name; PyTorch's own weights name only these packages.
    known = ("torch.", "collections.OrderedDict", "numpy.", "argparse.Namespace")
    names = [name for data in _pickles_in(path) for name in names_in_pickle(data) if not name.startswith(known)]
    if names:
        return f"tries to use {', '.join(dict.fromkeys(names))}"
    return "is damaged, or holds more than tensors"


def _pickles_in(path: Path) -> list[bytes]:
    if not _is_archive(path):
        data = path.read_bytes()
        # The old form is several pickles in a row: the magic number, a version, the system, the contents.
        starts = [match.start() for match in re.finditer(rb"\x80[\x02-\x05]", data[: 1 << 20])]
        return [data[start:] for start in starts[:8]]
    try:
        with zipfile.ZipFile(path) as archive:
            return [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
        # Damaged besides, so that its names cannot be told.
        return []


def _choose(path: Path, container: str, content: object, part: str | None) -> ForeignFile:
    if not isinstance(content, Mapping):
        raise StyleSwapError(f"{path} holds a {type(content).__name__}; expected a table of tensors, a state dict")
    nested = [name for name, value in content.items() if isinstance(value, Mapping) and _has_tensors(value)]
    if part is not None and part not in nested:
        there = ", ".join(map(str, nested)) or "one state dict without parts"
        raise StyleSwapError(f"{path} has no part {part!r}; it has {there}")
    chosen = part or next((name for name in PARTS if name in nested), "")
    if not chosen and not _has_tensors(content):
        there = ", ".join(map(str, content)) or "nothing"
        raise StyleSwapError(
            f"{path} has no tensors of a generator; it has {there}: choose a checkpoint of a generator"
        )
    table = content[chosen] if chosen else content
    tensors = {str(name): value for name, value in table.items() if isinstance(value, Tensor)}
    if all(name.startswith("module.") for name in tensors):
        # Saved from inside PyTorch's wrapper for several processes.
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    others = tuple(str(name) for name, value in table.items() if not isinstance(value, Tensor))
    other_parts = tuple(str(name) for name in content if name != chosen) if chosen else ()
    return ForeignFile(container, tensors, chosen, other_parts, others)


def _has_tensors(table: Mapping) -> bool:
    return any(isinstance(value, Tensor) for value in table.values())


def _check_bytes(path: Path, size: int, tensors: Mapping[str, Tensor]) -> None:
    """No tensor may be larger than the file: one that is repeats or claims what is not there."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise StyleSwapError(f"{path}: {name} is sparse or quantized; expected plain tensors, export them as such")
        claimed = max(tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size())
        if claimed > size:
            raise StyleSwapError(
                f"{path} lies: {name} claims the shape {tuple(tensor.shape)}, {claimed} bytes, and the whole file is "
                f"{size} bytes; get the file again"
            )
