"""Lists of source-target pairs: CSV with a header, JSON lines, or a split file of FaceForensics++."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from ..errors import StyleSwapError
from ..io.files import require_file
from ..io.json_text import parse_json

COLUMNS = ("source", "target", "result", "person")
_REQUIRED = COLUMNS[:2]
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class PairRow:
    """One pair, with paths as written in the file.

    Attributes:
        number: Row number, from 1.
        source: Picture or video of the source person.
        target: Picture or video whose face is replaced.
        result: Swapped picture; empty if the pair is yet to be swapped.
        person: Name of the person in the source; empty if each source shows a different person.
    """

    number: int
    source: str
    target: str
    result: str = ""
    person: str = ""


def read_pairs(path: str | Path) -> tuple[list[PairRow], list[str]]:
    """Rows of a list of pairs, and one message for each invalid row.

    CSV needs a header line with `source` and `target`; `result` and `person` are optional. JSON lines are objects with
    these keys. A JSON array of pairs is a split file of FaceForensics++, in which each pair is swapped both ways.

    Raises:
        StyleSwapError: The file is missing, is not text, or has no valid row.
    """
    path = Path(path)
    require_file(path, "a list of pairs")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StyleSwapError(f"cannot read the list of pairs {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise StyleSwapError(f"expected UTF-8 text in {path}: CSV or JSON lines with source and target") from error
    start = text.lstrip()[:1]
    raw = _split_rows(path, text) if start == "[" else _json_rows(text) if start == "{" else _csv_rows(path, text)
    rows, problems = [], []
    for number, fields in enumerate(raw, 1):
        if isinstance(fields, str):
            problems.append(f"row {number}: {fields}")
        elif missing := [name for name in _REQUIRED if not fields.get(name)]:
            problems.append(f"row {number}: expected source and target, but {' and '.join(missing)} is missing")
        else:
            rows.append(PairRow(number, **{name: fields.get(name) or "" for name in COLUMNS}))
    if not rows:
        detail = f": {problems[0]}" if problems else ""
        raise StyleSwapError(f"expected pairs of source and target in {path}, found none{detail}")
    return rows, problems


def _csv_rows(path: Path, text: str) -> list[dict[str, str] | str]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not set(_REQUIRED) <= set(header):
            raise StyleSwapError(
                f"expected a header line such as source,target or source,target,result in {path}, got "
                f"{','.join(header)[:_SHOWN_CHARACTERS]!r}"
            )
        # The reader returns empty lists for empty lines.
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise StyleSwapError(f"{path} is not valid CSV near line {reader.line_num}: {error}") from error
    return [
        dict(zip(header, line, strict=True))
        if len(line) == len(header)
        else f"expected {len(header)} columns, got {len(line)}"
        for line in lines
    ]


def _json_rows(text: str) -> list[dict[str, str] | str]:
    rows: list[dict[str, str] | str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            fields = parse_json(line, "not valid JSON", "correct it")
        except StyleSwapError as error:
            rows.append(str(error))
            continue
        valid = isinstance(fields, dict) and all(isinstance(fields.get(name) or "", str) for name in COLUMNS)
        rows.append(fields if valid else "expected an object with source and target as text")
    return rows


def _split_rows(path: Path, text: str) -> list[dict[str, str] | str]:
    pairs = parse_json(text, f"{path} is not valid JSON", "expected CSV, JSON lines or an array of pairs")
    rows: list[dict[str, str] | str] = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            rows.append("expected a pair of names")
            continue
        rows += [{"target": target, "source": source} for target, source in (pair, pair[::-1])]
    return rows
