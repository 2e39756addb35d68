"""The project's model file format: a safetensors file that contains its configuration.

Metadata of the file, all of it text, as safetensors requires:
    format    "styleswap-generator"
    version   "1"
    config    JSON: the fields of GeneratorConfig
    metadata  JSON, free-form: domain, model card, training configuration, ...
Nothing is unpickled.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import StyleSwapError, decoding
from ..io.assets import ASSETS
from ..io.files import atomic_write, file_sha256, require_file
from ..io.json_text import parse_json
from ..model import Generator, GeneratorConfig

FORMAT = "styleswap-generator"
VERSION = 1
DEMO_MODEL = ASSETS / "generator.safetensors"
"""The generator that ships with the package, trained on rendered faces."""

_MAX_DIGITS = 9
_DTYPES = {"float32": torch.float32, "float16": torch.float16}


def save_generator(
    path: str | Path, generator: Generator, metadata: Mapping[str, object], dtype: str = "float32"
) -> None:
    """Write a generator atomically.

    Args:
        path: The file.
        generator: Its weights and configuration are written.
        metadata: Free-form JSON values.
        dtype: "float32", or "float16", which halves the file; weights are converted back to float32 on loading.

    Raises:
        StyleSwapError: The dtype is unknown, the metadata is not JSON, weights are not finite in the dtype, or the
            folder is not writable.
    """
    path = Path(path)
    if dtype not in _DTYPES:
        raise StyleSwapError(f"dtype must be one of {', '.join(_DTYPES)}; got {dtype!r}")
    try:
        text = json.dumps(dict(metadata), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StyleSwapError(f"metadata of {path.name} must be plain JSON values; {error}") from error
    tensors = {
        name: tensor.detach().to("cpu", _DTYPES[dtype]).contiguous() for name, tensor in generator.state_dict().items()
    }
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise StyleSwapError(
                f"{name} has values that are not finite in {dtype}; save as float32 or fix the training"
            )
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "config": json.dumps(generator.config.to_dict(), sort_keys=True),
        "metadata": text,
    }
    data = _with_ordered_header(save(tensors, metadata=header))
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def load_generator(path: str | Path) -> tuple[Generator, dict[str, object]]:
    """Generator (float32, on the CPU) and free-form metadata from a file that `save_generator` wrote.

    Raises:
        StyleSwapError: The file is missing, damaged, truncated, of another kind or of a newer version, or its tensors
            are not exactly those of its configuration.
    """
    path = Path(path)
    _refuse_other_kinds(path)
    header, tensors = _read(path)
    config, metadata = _parse_header(path, header)
    _check_claims(path, config, tensors)
    # The initial weights are overwritten; drawing them must not change the caller's random state.
    with torch.random.fork_rng(devices=[]):
        generator = Generator(config)
    _check_tensors(path, generator.state_dict(), tensors)
    generator.load_state_dict(tensors)
    return generator, metadata


def load_header(path: str | Path) -> tuple[GeneratorConfig, dict[str, object]]:
    """Configuration and free-form metadata of a model file, without its weights.

    Raises:
        StyleSwapError: As for `load_generator`, except for what concerns tensors.
    """
    path = Path(path)
    _refuse_other_kinds(path)
    header, _ = _read(path, weights=False)
    return _parse_header(path, header)


def _parse_header(path: Path, header: Mapping[str, str]) -> tuple[GeneratorConfig, dict[str, object]]:
    """Configuration and free-form metadata in the header of a file, which is checked."""
    _check_header(path, header)
    problem, remedy = f"{path} is damaged: its metadata cannot be read", "download or save it again"
    config_values, metadata = (parse_json(header.get(name, ""), problem, remedy) for name in ("config", "metadata"))
    if not isinstance(metadata, dict):
        raise StyleSwapError(f"{path} is damaged: its metadata is not a table; download or save it again")
    try:
        return _with_recognizer_name(GeneratorConfig.from_dict(config_values), metadata), metadata
    except StyleSwapError as error:
        raise StyleSwapError(f"cannot build the model of {path}: {error}") from error


def _with_recognizer_name(config: GeneratorConfig, metadata: Mapping[str, object]) -> GeneratorConfig:
    """The configuration with the recognizer's name, which older files have only in the metadata."""
    name = metadata.get("recognizer")
    is_same = config.recognizer_sha256 and config.recognizer_sha256 == metadata.get("recognizer_sha256")
    if config.recognizer or not is_same or not isinstance(name, str):
        return config
    return config.replace(recognizer=name)


def model_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a model file, by which identities and reports refer to the model."""
    return file_sha256(path)


def _with_ordered_header(data: bytes) -> bytes:
    """The same file with sorted header entries, so that a model always has the same SHA-256.

    safetensors writes metadata in random order. Tensors need not move, since offsets count from the end of the header.
    """
    length = int.from_bytes(data[:8], "little")
    text = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors are aligned to 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _refuse_other_kinds(path: Path) -> None:
    """Refuse files of kinds that are often mistaken for a model file, before anything parses them."""
    expected = "expected a StyleSwap model file (.safetensors)"
    require_file(path, "a StyleSwap model file (.safetensors)")
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; {expected}, check the path") from error
    if not start:
        raise StyleSwapError(f"{path} is empty; {expected}, download or save it again")
    if is_pickle_or_archive(start):
        raise StyleSwapError(
            f"{path} is a PyTorch or Paddle checkpoint; {expected}: convert it first, which runs none of "
            f"its code: {_conversion(path)}"
        )


def is_pickle_or_archive(start: bytes) -> bool:
    """Whether a file that starts with these bytes, 8 or more, is a PyTorch or Paddle checkpoint.

    PyTorch saves zip archives; Paddle and old versions of PyTorch save pickles, which start with 0x80 and the protocol
    number from protocol 2 on. A safetensors file starts with the length of its header.
    """
    return start.startswith(b"PK") or (
        start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and start[2:8] != bytes(6)
    )


def _conversion(path: Path) -> str:
    return f"styleswap convert {shlex.quote(str(path))} MODEL.safetensors"


def _read(path: Path, weights: bool = True) -> tuple[dict[str, str], dict[str, Tensor]]:
    expected = "expected a StyleSwap model file (.safetensors), download or save it again"
    with (
        decoding(f"{path} is damaged, truncated or not a model file", expected),
        safe_open(path, framework="pt") as file,
    ):
        header = file.metadata() or {}
        if not weights or header.get("format") != FORMAT:
            return header, {}
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not iterable


def _check_header(path: Path, header: Mapping[str, str]) -> None:
    kind = header.get("format", "")
    if kind.startswith("styleswap-") and kind != FORMAT:
        raise StyleSwapError(f"{path} is a {kind} file; expected a {FORMAT} file, choose a model")
    if kind != FORMAT:
        raise StyleSwapError(
            f"{path} holds tensors without StyleSwap's configuration; expected a {FORMAT} file: "
            f"convert weights of other programs first: {_conversion(path)}"
        )
    version = header.get("version", "")
    # Python converts no text of thousands of digits.
    if not version.isdecimal() or not 1 <= int(version[:_MAX_DIGITS]) <= VERSION:
        raise StyleSwapError(
            f"{path} has format version {version[:_MAX_DIGITS] or 'none'}; this program reads 1 to {VERSION}, update"
            " the program"
        )


def _check_claims(path: Path, config: GeneratorConfig, found: Mapping[str, Tensor]) -> None:
    """Refuse a configuration with more weights or layers than the file has, before the network is built."""
    elements = sum(tensor.numel() for tensor in found.values())
    if config.min_elements > elements or max(config.mapping_layers, config.encoder_blocks) > len(found):
        raise StyleSwapError(
            f"{path} claims a larger network than its tensors form; its tensors must be exactly those of its"
            " configuration, download or save it again"
        )


def _check_tensors(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    wrong = sorted(name for name in set(expected) & set(found) if expected[name].shape != found[name].shape)
    for problem, names in (("lacks", missing), ("has unknown", extra), ("has the wrong shape for", wrong)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise StyleSwapError(
                f"{path} {problem} {names[0]}{more}; its tensors must be exactly those of its configuration, "
                "download or save it again"
            )
