"""JSON from files that anyone may have written: limits of size and depth, and one kind of error."""

import json
import re
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError, decoding
from .files import require_file

MAX_JSON_BYTES = 64 << 20
"""Largest JSON text. The lists that the product writes have a few megabytes."""

MAX_JSON_DEPTH = 64
"""Deepest nesting of tables and lists. The product nests less than ten; walking thousands overflows the stack."""

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def parse_json(text: str, problem: str, remedy: str) -> Any:
    """Value of a JSON text.

    Args:
        text: The text.
        problem: What is wrong if it cannot be read, such as "PATH is not valid JSON".
        remedy: What to do about it.

    Raises:
        StyleSwapError: No JSON, numbers of thousands of digits, or beyond the limits; the message is
            "PROBLEM (reason); REMEDY".
    """
    with decoding(problem, remedy):
        if len(text) > MAX_JSON_BYTES:
            raise ValueError(f"{len(text) >> 20} MB; at most {MAX_JSON_BYTES >> 20} are read")
        if text.count("[") + text.count("{") > MAX_JSON_DEPTH and _depth(text) > MAX_JSON_DEPTH:
            raise ValueError(f"nested more than {MAX_JSON_DEPTH} deep")
        return json.loads(text)


def read_json(path: Path, problem: str, remedy: str) -> Any:
    """Value of a JSON file in UTF-8; see `parse_json`."""
    require_file(path, "a JSON file")
    with decoding(problem, remedy):
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise ValueError(f"{size >> 20} MB; at most {MAX_JSON_BYTES >> 20} are read")
        text = path.read_text(encoding="utf-8")
    return parse_json(text, problem, remedy)


def require_table(value: Any, problem: str, remedy: str, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """Check that a value is a table with entries of certain kinds; true and false are no numbers.

    Raises:
        StyleSwapError: It is not; the message is "PROBLEM (reason); REMEDY".
    """
    if not isinstance(value, dict):
        raise StyleSwapError(f"{problem} (expected a table, got {type(value).__name__}); {remedy}")
    for name, kind in kinds.items():
        entry = value.get(name)
        if not isinstance(entry, kind) or isinstance(entry, bool):
            raise StyleSwapError(f"{problem} ({name} is {_shown(entry)}); {remedy}")
    return value


def read_record(path: Path, **kinds: type | tuple[type, ...]) -> dict[str, Any] | None:
    """Table in a JSON file that the product wrote to go on from; see `require_table`.

    Returns:
        The table; None if the file is missing, damaged or of another form, so that its work is done again.
    """
    problem, remedy = f"{path} is damaged", "delete it"
    try:
        return require_table(read_json(path, problem, remedy), problem, remedy, **kinds)
    except (StyleSwapError, OSError):
        return None


def _shown(entry: object) -> str:
    return "missing" if entry is None else f"of the kind {type(entry).__name__}"


def _depth(text: str) -> int:
    """Deepest nesting, counted up to just above the limit."""
    depth = deepest = 0
    for token in _BRACKETS.finditer(text):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
            if depth > MAX_JSON_DEPTH:
                break
        elif token[0] in "]}":
            depth -= 1
    return deepest
