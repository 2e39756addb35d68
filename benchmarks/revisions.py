"""Speed of this revision compared with an earlier one: both alternate on the rows of `speed.py`, as paired ratios.

    git worktree add ../before v0.1.0
    python benchmarks/revisions.py ../before --threads 2 --out revisions.md

Each measurement runs in a separate process. Which revision goes first alternates between rounds, so that a drift of the
machine's speed cancels out.
"""

import argparse
import os
import statistics
from pathlib import Path

from commands import ROOT, measured
from contenders import REFERENCE
from speed import FRAME_CONTENDERS, FRAME_PRESETS
from tqdm import tqdm

PRESETS = ("demo-128", "released-256")
CONTENDERS = ("unbaked", "baked-float32", "baked-bfloat16", "onnx-runtime")
# Ratios above this are marked in the table.
SLOWER = 1.05


def plan(presets: list[str], contenders: list[str]) -> list[tuple[str, dict[str, object]]]:
    """Rows of the table: what is measured, and the options of `measure.py`."""
    rows: list[tuple[str, dict[str, object]]] = [
        ("generator", {"contender": contender, "preset": preset, "batch": batch})
        for preset in presets
        for batch in (1, 8)
        for contender in contenders
    ]
    for preset in (preset for preset in presets if preset in FRAME_PRESETS):
        rows += [
            ("frames", {"contender": contender, "preset": preset, "faces": faces, "frames": 4})
            for faces in (1, 3)
            for contender in contenders
            if contender in FRAME_CONTENDERS
        ]
    return rows


def measure(tree: Path, what: str, options: dict[str, object], args: argparse.Namespace) -> float:
    """Milliseconds of one measurement in a source tree: a frame of the generator, or a 1080p frame from end to end."""
    words = [what, "--seconds", args.seconds]
    for name, value in options.items():
        words += [f"--{name}", value]
    found = measured(tree / "benchmarks" / "measure.py", words, args.threads)
    if what == "frames":
        return float(found["whole_ms_per_frame"]["in turn"])
    return 1e3 * statistics.median(found["seconds"]) / int(str(options["batch"]))


def compare(row: tuple[str, dict[str, object]], args: argparse.Namespace) -> list[tuple[float, float]]:
    """Pairs of milliseconds, old and new, one per round."""
    pairs = []
    for number in range(args.rounds):
        found: dict[Path, float] = {}
        for tree in (args.before, ROOT) if number % 2 == 0 else (ROOT, args.before):
            found[tree] = measure(tree, *row, args)
        pairs.append((found[args.before], found[ROOT]))
    return pairs


def line(row: tuple[str, dict[str, object]], pairs: list[tuple[float, float]]) -> str:
    """Row of the table."""
    ratios = sorted(new / old for old, new in pairs)
    ratio = statistics.median(ratios)
    name = " ".join(f"{key} {value}" if key in ("batch", "faces") else str(value) for key, value in row[1].items())
    old, new = (statistics.median(values) for values in zip(*pairs, strict=True))
    shown = f"**{ratio:.2f}**" if ratio > SLOWER else f"{ratio:.2f}"
    return f"| {row[0]} | {name} | {old:.1f} | {new:.1f} | {shown} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"


def main() -> None:
    """Measure and print the table; with --out also write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=lambda text: Path(text).resolve(), help="source tree of the earlier revision")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each measurement takes")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        "| measured | row | before, ms per frame | after | ratio, median of pairs | range |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    print("\n".join(lines), flush=True)
    for row in tqdm(plan(args.presets, [name for name in args.contenders if name != REFERENCE])):
        lines.append(line(row, compare(row, args)))
        print(lines[-1], flush=True)
        if args.out:
            args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
