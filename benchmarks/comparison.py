"""Comparison of generators by `styleswap evaluate`, as a page with a generated table and hand-written conclusions."""

import json
from collections.abc import Sequence
from pathlib import Path

from commands import styleswap

_CONCLUSIONS = "\n## Conclusions"


def evaluated(model: Path, report: Path, identities: int, seed: int) -> dict:
    """Report of the synthetic suite on a generator file, with 4 settings per person; reused if it exists."""
    if not report.exists():
        words = ["--suite", "synthetic", "--settings", "4", "--identities", str(identities), "--seed", str(seed)]
        styleswap(["evaluate", *words, "--model", str(model), "--out", str(report)])
    return json.loads(report.read_text(encoding="utf-8"))


def comparison_table(title: str, reports: dict[str, dict], keys: Sequence[str]) -> str:
    """Table of the copied target, the exact swap, and all reports; `title` heads the first column."""
    first = next(iter(reports.values()))
    lines = [f"| {title} | " + " | ".join(keys) + " |", "| --- |" + " ---: |" * len(keys)]
    for suffix, label in (("_floor", "*target copied*"), ("_ceiling", "*exact swap*")):
        cells = [f"{first[key + suffix]:.3f}" if key + suffix in first else "" for key in keys]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += [
        f"| {name} | " + " | ".join(f"{report[key]:.3f}" for key in keys) + " |" for name, report in reports.items()
    ]
    return "\n".join(lines) + "\n"


def write_page(page: Path, text: str) -> None:
    """Replace the generated part of a page; everything from "Conclusions" on is kept."""
    written = page.read_text(encoding="utf-8") if page.exists() else ""
    page.write_text(text + "".join(written.partition(_CONCLUSIONS)[1:]), encoding="utf-8")
