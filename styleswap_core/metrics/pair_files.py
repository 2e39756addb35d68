"""Lists of who is swapped onto whom: CSV with a header, JSON lines, or a split of FaceForensics++."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import StyleSwapError

COLUMNS = ("source", "target", "result", "person")
_NEEDED = COLUMNS[:2]


@dataclass(frozen=True)
class PairRow:
    """One row: the paths as they are written in the file.

    number: counted from 1. result: "" where the pair is still to be swapped. person: whose face the source shows; "" where
    the source's name says that.
    """

    number: int
    source: str
    target: str
    result: str = ""
    person: str = ""


def read_pairs(path: str | Path) -> tuple[list[PairRow], list[str]]:
    """The rows of a list, and a sentence for each row that is none.

    CSV needs a header line with `source` and `target`, and may have `result` and `person`; JSON lines are objects with
    these keys. A JSON array of pairs is a split of FaceForensics++: each pair stands for both directions.

    Raises:
        StyleSwapError: a file that is missing, not text, or without a single row.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StyleSwapError(f"cannot read the list of pairs {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise StyleSwapError(f"{path} is not UTF-8 text; expected CSV or JSON lines with source and target") from error
    start = text.lstrip()[:1]
    raw = _split_rows(path, text) if start == "[" else _json_rows(text) if start == "{" else _csv_rows(path, text)
    rows, problems = [], []
    for number, fields in enumerate(raw, 1):
        if isinstance(fields, str):
            problems.append(f"row {number}: {fields}")
        elif missing := [name for name in _NEEDED if not fields.get(name)]:
            problems.append(f"row {number}: expected source and target, {' and '.join(missing)} is missing")
        else:
            rows.append(PairRow(number, **{name: fields.get(name) or "" for name in COLUMNS}))
    if not rows:
        detail = f": {problems[0]}" if problems else ""
        raise StyleSwapError(f"{path} lists no pair of source and target{detail}")
    return rows, problems


def _csv_rows(path: Path, text: str) -> list[dict[str, str] | str]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not set(_NEEDED) <= set(header):
            raise StyleSwapError(
                f"expected a first line such as source,target or source,target,result in {path}, got {','.join(header)[:80]!r}"
            )
        # Empty lines are no rows.
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise StyleSwapError(f"{path} is not CSV: {error}; mend it near line {reader.line_num}") from error
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
            fields = json.loads(line)
        except ValueError as error:
            rows.append(f"not JSON: {error}")
            continue
        fine = isinstance(fields, dict) and all(isinstance(fields.get(name) or "", str) for name in COLUMNS)
        rows.append(fields if fine else "expected an object with source and target as text")
    return rows


def _split_rows(path: Path, text: str) -> list[dict[str, str] | str]:
    try:
        pairs = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StyleSwapError(f"{path} is not JSON: {error}; expected CSV, JSON lines or an array of pairs") from error
    rows: list[dict[str, str] | str] = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            rows.append("expected a pair of names")
            continue
        rows += [{"target": target, "source": source} for target, source in (pair, pair[::-1])]
    return rows
