"""Reading of named tensors from checkpoints of other programs, without running any code in them.

PyTorch's .pt and .pth (zip archives and the older format) are read by `torch.load(weights_only=True)`, Paddle's
.pdparams by `restricted_pickle`, and .safetensors, to which such weights are often converted, by its own library.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import StyleSwapError, decoding
from ..io.files import require_file
from .native import FORMAT, is_pickle_or_archive
from .restricted_pickle import ForbiddenPickleError, PickledArray, names_in_pickle, read_plain_pickle
from .torch_files import load_torch, pickles_in

# Keys under which training programs store the weights for inference; the first one found is read.
PARTS = ("g_ema", "generator_ema", "params_ema", "g", "generator", "params", "state_dict", "model")
NAME_TABLE = "StructuredToParameterName@@"
"""Paddle's table of its internal names, which it stores among the tensors."""
# The first of the consecutive pickles that PyTorch wrote before version 1.6: the number 0x1950a86a20f9469cfc6c.
_OLD_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
# Of networks that are used as they are.
_ONNX_SUFFIXES = (".onnx", ".dfm")


@dataclass(frozen=True)
class ForeignFile:
    """Contents of a checkpoint.

    Attributes:
        container: "paddle", "pytorch" or "safetensors".
        tensors: Tensors of the part that was read, by their own names; on the CPU.
        part: Name of that part; empty if the file is one state dict.
        other_parts: Names of the other parts, which were not read.
        others: Names of the part's entries that are not tensors.
    """

    container: str
    tensors: dict[str, Tensor]
    part: str = ""
    other_parts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def read_foreign(path: str | Path, part: str | None = None) -> ForeignFile:
    """Tensors of a foreign checkpoint.

    Args:
        path: The file.
        part: Which of the file's state dicts, such as "g_ema" or "g"; by default the averaged generator, if any.

    Raises:
        StyleSwapError: The file is missing, empty, damaged or truncated, claims more data than it contains, requires
            code to be run (which is named), has no tensors, or is a model of this project.
    """
    path = Path(path)
    require_file(path, "a checkpoint")
    try:
        with open(path, "rb") as stream:
            start = stream.read(16)
        size = path.stat().st_size
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; check the path") from error
    if not start:
        raise StyleSwapError(f"{path} is empty; download or copy the file again")
    if not is_pickle_or_archive(start):
        if path.suffix.lower() in _ONNX_SUFFIXES:
            raise StyleSwapError(
                f"{path} is a network in ONNX format, which needs no conversion; use it as it is, with --model or in"
                " Load StyleSwap Model"
            )
        return _choose(path, "safetensors", _read_safetensors(path), part)
    if start.startswith((b"PK", _OLD_TORCH)):
        content = _read_torch(path)
        container = "pytorch"
    else:
        content = _read_paddle(path)
        container = "paddle"
    chosen = _choose(path, container, content, part)
    _check_bytes(path, size, chosen.tensors)
    return chosen


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    expected = "expected a .pdparams, .pt, .pth or .safetensors file"
    # The library checks the header's offsets and shapes against each other and against the file's length.
    with (
        decoding(f"{path} is damaged, truncated or not a checkpoint", expected),
        safe_open(path, framework="pt") as file,
    ):
        if (file.metadata() or {}).get("format") == FORMAT:
            raise StyleSwapError(f"{path} is already a StyleSwap model; use it without conversion")
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not iterable


def _read_paddle(path: Path) -> dict[object, object]:
    try:
        content = read_plain_pickle(path.read_bytes())
        if not isinstance(content, dict):
            raise StyleSwapError(f"holds a {type(content).__name__}; expected a table of arrays")
        tensors: dict[int, Tensor] = {}
        _check_total(content, path.stat().st_size)
        return {key: _with_tensors(_text(key), value, tensors) for key, value in content.items() if key != NAME_TABLE}
    except ForbiddenPickleError as error:
        raise StyleSwapError(f"{path} {error}; it was refused, and none of its code was run: ask its author") from error
    except StyleSwapError as error:
        raise StyleSwapError(f"{path} {error}; download or copy the file again") from error


def _check_total(content: dict[object, object], size: int) -> None:
    """Refuse arrays that share bytes, since each of them becomes a tensor of its own."""
    arrays = {
        id(value): value
        for table in (content, *content.values())
        if isinstance(table, dict)
        for value in table.values()
        if isinstance(value, PickledArray)
    }
    total = sum(len(array.data) for array in arrays.values())
    if total > size:
        raise StyleSwapError(f"is inconsistent: its arrays have {total} bytes, but the file has {size}")


def _with_tensors(name: str, value: object, tensors: dict[int, Tensor]) -> object:
    """A value of a Paddle file with its arrays, directly or one level down, as tensors.

    Args:
        name: Name of the value, for errors.
        value: The value.
        tensors: Tensors created so far, by the `id` of their array. A file may refer to an array many times, which must
            not take memory each time.
    """
    if isinstance(value, dict):
        return {
            key: _tensor(f"{name}.{_text(key)}", inner, tensors) if isinstance(inner, PickledArray) else inner
            for key, inner in value.items()
            if key != NAME_TABLE
        }
    return _tensor(name, value, tensors) if isinstance(value, PickledArray) else value


def _tensor(name: str, pickled: PickledArray, tensors: dict[int, Tensor]) -> Tensor:
    if id(pickled) not in tensors:
        try:
            array = pickled.array()
        except StyleSwapError as error:
            raise StyleSwapError(f"is inconsistent: {name} {error}") from error
        # PyTorch supports only the native byte order.
        tensors[id(pickled)] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    return tensors[id(pickled)]


def _read_torch(path: Path) -> object:
    try:
        return load_torch(path)
    except StyleSwapError as error:
        cause = error.__cause__
        if not isinstance(cause, pickle.UnpicklingError):
            raise
        raise StyleSwapError(
            f"{path} {_what_it_tried(path, str(cause))}; it was refused, and none of its code was run: "
            "ask its author for a file of tensors only"
        ) from cause


def _what_it_tried(path: Path, message: str) -> str:
    named = re.search(r"GLOBAL (\S+)", message)
    if named:
        return f"tries to use {named.group(1)}"
    # torch.load stopped before the name. Its own checkpoints name only these packages.
    known = ("torch.", "collections.OrderedDict", "numpy.", "argparse.Namespace")
    names = [name for data in pickles_in(path) for name in names_in_pickle(data) if not name.startswith(known)]
    if names:
        return f"tries to use {', '.join(dict.fromkeys(names))}"
    return "is damaged, or holds more than tensors"


def _choose(path: Path, container: str, content: object, part: str | None) -> ForeignFile:
    """The named part of a checkpoint, by default the first one of PARTS, or the file itself if it has no parts."""
    if not isinstance(content, Mapping):
        raise StyleSwapError(f"{path} holds a {type(content).__name__}; expected a table of tensors, a state dict")
    nested = [name for name, value in content.items() if isinstance(value, Mapping) and _has_tensors(value)]
    if part is not None and part not in nested:
        there = ", ".join(map(_text, nested)) or "a single state dict without parts"
        raise StyleSwapError(f"{path} has no part {part!r}; it has {there}")
    chosen = part or next((name for name in PARTS if name in nested), "")
    if not chosen and not _has_tensors(content):
        there = ", ".join(map(_text, content)) or "nothing"
        raise StyleSwapError(
            f"{path} has no tensors of a generator; it has {there}: choose the checkpoint of a generator"
        )
    table: Mapping[object, object] = content[chosen] if chosen else content
    tensors = {_text(name): value for name, value in table.items() if isinstance(value, Tensor)}
    if all(name.startswith("module.") for name in tensors):
        # Saved from inside DistributedDataParallel.
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    others = tuple(_text(name) for name, value in table.items() if not isinstance(value, Tensor))
    other_parts = tuple(_text(name) for name in content if name != chosen) if chosen else ()
    return ForeignFile(container, tensors, chosen, other_parts, others)


def _text(key: object) -> str:
    """A key of a table as text; keys of other kinds by their type, since a deeply nested one cannot be written."""
    return key if isinstance(key, str) else f"<{type(key).__name__}>"


def _has_tensors(table: Mapping[object, object]) -> bool:
    return any(isinstance(value, Tensor) for value in table.values())


def _check_bytes(path: Path, size: int, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors larger than the file, which repeat values or claim data that is missing."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise StyleSwapError(f"{path}: {name} is sparse or quantized; expected dense tensors, export them as such")
        claimed = max(tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size())
        if claimed > size:
            raise StyleSwapError(
                f"{path} is inconsistent: {name} claims the shape {tuple(tensor.shape)}, {claimed} bytes, but the whole"
                f" file has {size} bytes; download or copy the file again"
            )
