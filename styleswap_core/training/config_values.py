"""Plain values of a configuration: files, `key=value` assignments, and their conversion to dataclasses."""

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Container
from pathlib import Path
from typing import Any, TypeVar

from ..errors import StyleSwapError, decoding
from ..io.files import require_file
from ..io.json_text import parse_json

# Seeds and counts are used as 64-bit numbers.
MAX_NUMBER = 2**53

Config = TypeVar("Config")


def read_values(path: str | Path) -> dict[str, Any]:
    """Values in a .json or .toml file, not yet checked against any fields.

    Raises:
        StyleSwapError: The file cannot be read, or its syntax is invalid.
    """
    path = Path(path)
    require_file(path, "a configuration")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StyleSwapError(f"cannot read the configuration {path}: {error}; name a text file") from error
    if path.suffix == ".toml":
        values = _parse_toml(text, path)
    else:
        values = parse_json(text, f"{path} is not valid JSON", "correct it there")
    check(isinstance(values, dict), f"{path}: expected a table of settings, got {type(values).__name__}")
    return values


def assign(values: dict[str, Any], assignments: list[str], text_fields: Container[str]) -> dict[str, Any]:
    """Values with `key=value` assignments applied; `weights.identity=5` sets an entry of a table.

    Args:
        values: JSON-compatible values; they are not modified.
        assignments: Values are read as JSON, otherwise as Python reads numbers and booleans (`.002`, `True`), otherwise
            as text.
        text_fields: Keys whose values are always text.

    Raises:
        StyleSwapError: An assignment has no "=", or sets an entry of something that is no table.
    """
    values = json.loads(json.dumps(values))
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        check(bool(key and sign), f"--set: expected key=value, got {assignment!r}")
        table = values
        *parents, last = key.split(".")
        for parent in parents:
            table = table.setdefault(parent, {})
            check(isinstance(table, dict), f"--set {assignment}: {parent} is a single value, not a table")
        table[last] = text.strip('"') if key in text_fields else _parse_value(text)
    return values


def build(kind: type[Config], values: dict[str, Any], origin: str) -> Config:
    """Dataclass from plain values; absent keys take their defaults.

    Args:
        kind: The dataclass; its fields may be dataclasses, which are built from tables, or tuples, from lists.
        values: By field.
        origin: Start of error messages, such as the name of the file.

    Raises:
        StyleSwapError: An unknown key, or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    check(not unknown, f"{origin}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(hints))}")
    return kind(**{name: _convert(value, hints[name], f"{origin}: {name}") for name, value in values.items()})


def check(condition: bool, message: str) -> None:
    """Raise StyleSwapError unless the condition holds."""
    if not condition:
        raise StyleSwapError(message)


def _parse_value(text: str) -> Any:
    for parse in (json.loads, int, float):
        try:
            return parse(text)
        # RecursionError: brackets nested thousands deep.
        except (ValueError, RecursionError):
            continue
    return {"True": True, "False": False}.get(text, text)


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        with decoding(f"{path} is not valid TOML", "correct it there"):
            return tomllib.loads(text)
    raise StyleSwapError(f"reading {path} needs Python 3.11 or newer; write the settings as JSON")


def _convert(value: Any, hint: Any, where: str) -> Any:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        check(isinstance(value, dict), f"{where}: expected a table, got {value!r}")
        return build(hint, value, where)
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is tuple:
        check(
            isinstance(value, (list, tuple)) and len(value) == len(hint.__args__),
            f"{where}: expected {len(hint.__args__)} numbers, got {value!r}",
        )
        return tuple(_convert(item, kind, where) for item, kind in zip(value, hint.__args__, strict=True))
    plain = getattr(hint, "__origin__", hint)
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        check(abs(value) <= MAX_NUMBER, f"{where}: expected a number up to {MAX_NUMBER}, got {str(value)[:40]}")
        value = float(value)
    fits = isinstance(value, plain) and not (plain is int and isinstance(value, bool))
    check(fits, f"{where}: expected {plain.__name__}, got {value!r}")
    return value
