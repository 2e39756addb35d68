"""Generators side by side: what `styleswap evaluate` says of each, as a Markdown table above what people wrote below it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def judged(model: Path, report: Path, identities: int, seed: int) -> dict:
    """The synthetic suite's report on a generator's file, made if it is not there; 4 settings of each person."""
    if not report.exists():
        subprocess.run(
            [
                sys.executable,
                "-m",
                "styleswap_core.cli",
                "evaluate",
                "--suite",
                "synthetic",
                "--model",
                str(model),
                "--identities",
                str(identities),
                "--settings",
                "4",
                "--seed",
                str(seed),
                "--out",
                str(report),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return json.loads(report.read_text(encoding="utf-8"))


def comparison_table(title: str, reports: dict[str, dict], keys: Sequence[str]) -> str:
    """A line for the copied target, the exact swap and every report; `title` heads the first column."""
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
    """Write a page anew; what people wrote under "What follows" stays."""
    written = page.read_text(encoding="utf-8") if page.exists() else ""
    page.write_text(text + "".join(written.partition("\n## What follows")[1:]), encoding="utf-8")
