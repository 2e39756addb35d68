"""Reports of an evaluation: figures as JSON and as a Markdown table, checked against bounds."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import StyleSwapError
from ..io.files import atomic_write, require_folder_of
from ..io.images import save_image
from .bounds import Bound, Verdict, check
from .figure_tables import bound_cells, bounded_first, format_figure


@dataclass(frozen=True)
class Report:
    """Result of a suite, ready to be written and printed.

    Attributes:
        figures: Value by key, with suffix `_floor` or `_ceiling` for the copied target and the exact swap.
        facts: What was measured and with which files, as plain JSON values.
        bounds: Bounds of figures, in the order of the table.
        sheet: (H, W, 3) uint8 contact sheet.
        provenance: Text metadata for the file of the sheet.
        table: Markdown to print instead of the standard table.
        lists: Details such as all cases, as plain JSON values; at the end of the file, so that figures come first.
    """

    figures: Mapping[str, float]
    facts: Mapping[str, object]
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    sheet: np.ndarray | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    table: str = ""
    lists: Mapping[str, Sequence[object]] = field(default_factory=dict)

    def verdicts(self) -> list[Verdict]:
        """Result of each bound, in the order of `bounds`."""
        return check(self.figures, self.bounds)

    def to_json(self) -> str:
        """One JSON object: facts, then figures, then lists. NaN becomes null."""
        figures = {key: None if math.isnan(value) else value for key, value in self.figures.items()}
        return json.dumps({**self.facts, **figures, **self.lists}, indent=2, allow_nan=False) + "\n"


def sheet_path(out: Path) -> Path:
    """Path of the contact sheet that belongs to a JSON file."""
    return out.with_suffix(".png")


def check_out(out: Path) -> None:
    """Check the output path before the long work.

    Raises:
        StyleSwapError: The suffix is not .json, or the folder does not exist.
    """
    if out.suffix != ".json":
        raise StyleSwapError(
            f"expected --out to name a .json file, got {out}; the contact sheet is written next to it as .png"
        )
    require_folder_of(out)


def write_report(report: Report, out: Path) -> None:
    """Write the JSON file, and the contact sheet next to it; each atomically."""
    if report.sheet is not None:
        save_image(sheet_path(out), report.sheet, report.provenance)
    with atomic_write(out) as temporary:
        temporary.write_text(report.to_json(), encoding="utf-8")


def markdown_table(report: Report) -> str:
    """Table of all figures with floor, ceiling, bound, aim, and whether the bound is kept."""
    if report.table:
        return report.table
    keys = [key for key in report.figures if not key.endswith(("_floor", "_ceiling"))]
    verdicts = {verdict.key: verdict for verdict in report.verdicts()}
    lines = [
        "| key | copied target | result | exact swap | must reach | aim | |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    for key in bounded_first(keys, report.bounds):
        limit, passed = bound_cells(verdicts.get(key))
        aim = report.bounds[key].aim if key in report.bounds else ""
        values = (format_figure(report.figures.get(name)) for name in (f"{key}_floor", key, f"{key}_ceiling"))
        lines.append(f"| `{key}` | {' | '.join(values)} | {limit} | {aim} | {passed} |")
    return "\n".join(lines)
