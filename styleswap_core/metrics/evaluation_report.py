"""A suite's figures as JSON, as a Markdown table, and held to what must be reached."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import StyleSwapError
from ..io.files import atomic_write
from ..io.images import save_image
from .bounds import Bound, Verdict, check


@dataclass(frozen=True)
class Report:
    """What a suite hands back.

    figures: key -> value, with `_floor` and `_ceiling` where they exist. facts: what was measured, and with what; plain JSON
    values. bounds: what must be reached, in the order of the table. sheet: (H,W,3) uint8 picture sheet, and `provenance`, text
    for its file. table: Markdown that stands in place of the usual table of floor, result and ceiling. lists: what stands
    behind the figures, such as every case; plain JSON values, at the end of the file.
    """

    figures: dict[str, float]
    facts: dict[str, object]
    bounds: dict[str, Bound] = field(default_factory=dict)
    sheet: np.ndarray | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    table: str = ""
    lists: dict[str, list] = field(default_factory=dict)

    def verdicts(self) -> list[Verdict]:
        """For each bound whether its figure reaches it, in the order of `bounds`."""
        return check(self.figures, self.bounds)

    def to_json(self) -> str:
        """One object: facts first, then figures, then lists; a figure that is not a number is null."""
        figures = {key: None if math.isnan(value) else value for key, value in self.figures.items()}
        return json.dumps({**self.facts, **figures, **self.lists}, indent=2, allow_nan=False) + "\n"


def sheet_path(out: Path) -> Path:
    """Where the picture sheet lies: beside the JSON file, under its name."""
    return out.with_suffix(".png")


def check_out(out: Path) -> None:
    """Refuse a file name that could not be written, before the long work.

    Raises:
        StyleSwapError: not a .json file name, or a folder that does not exist.
    """
    if out.suffix != ".json":
        raise StyleSwapError(
            f"expected --out to name a .json file, got {out}; the picture sheet lies beside it as .png"
        )
    if not out.parent.is_dir():
        raise StyleSwapError(f"cannot write {out}: the folder {out.parent} does not exist; create it first")


def write(report: Report, out: Path) -> None:
    """The JSON file, and the picture sheet beside it; each appears complete or not at all."""
    if report.sheet is not None:
        save_image(sheet_path(out), report.sheet, report.provenance)
    with atomic_write(out) as temporary:
        temporary.write_text(report.to_json(), encoding="utf-8")


def markdown(report: Report) -> str:
    """A table of every figure with floor, ceiling, what must be reached, what is aimed at, and whether it is."""
    if report.table:
        return report.table
    keys = [key for key in report.figures if not key.endswith(("_floor", "_ceiling"))]
    ordered = [*(key for key in report.bounds if key in keys), *(key for key in keys if key not in report.bounds)]
    verdicts = {verdict.key: verdict for verdict in report.verdicts()}
    lines = [
        "| key | copied target | result | exact swap | must reach | aim | |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    for key in ordered:
        verdict = verdicts.get(key)
        limit = f"{verdict.relation} {number(verdict.limit)}" if verdict else ""
        aim = report.bounds[key].aim if verdict else ""
        passed = ("yes" if verdict.passed else "**no**") if verdict else ""
        values = (number(report.figures.get(name)) for name in (f"{key}_floor", key, f"{key}_ceiling"))
        lines.append(f"| `{key}` | {' | '.join(values)} | {limit} | {aim} | {passed} |")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """A figure as a table shows it: three decimals, or one from 10 on; empty for None and NaN."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
