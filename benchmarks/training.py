"""Cost of preparation and training on this machine: pictures per second, memory, and hours for each recipe.

    python benchmarks/training.py --out docs/benchmarks
    python benchmarks/training.py --out /tmp/benchmarks --quick

Training is measured by `styleswap train --measure` in fresh processes, on columns that are rendered first. Each process
computes the same number of pictures at once, so that processes and threads can be compared. Preparation is measured by
`styleswap prepare`, see preparation.py.
"""

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from commands import ROOT, assignments, styleswap
from machine import machine_name
from preparation import Preparation, measure_preparation, preparation_table
from tqdm import tqdm

# A preset and the recipes of docs/training.md, with the size of their pictures.
MODELS = {"demo-128": 128, "photos-256": 256, "photos-512": 512}
COLUMNS, MEMBERS, PEOPLE = 12, 2, 6


class Setting(NamedTuple):
    """Row of the table; `name` is a recipe or a preset."""

    name: str
    size: int
    processes: int
    threads: int


def render(folder: Path, size: int) -> None:
    """Render a small set of columns, unless it exists; its content does not matter here."""
    if not folder.exists():
        counts = ["--columns", str(COLUMNS), "--members", str(MEMBERS), "--identities", str(PEOPLE)]
        words = ["--out", str(folder), "--size", str(size), *counts, "--workers", "1"]
        styleswap(["render", "columns", *words], threads=1)


def measure(setting: Setting, data: Path, args: argparse.Namespace) -> dict:
    """Report of `styleswap train --measure`."""
    settings = {
        "data": data,
        "batch": args.pictures * setting.processes,
        "gradient_accumulation": 1,
        "stddev_group": min(4, args.pictures),
        "recognizer_rows": 0,
    }
    recipe = ROOT / "docs" / "recipes" / f"{setting.name}.json"
    source = ["--config", str(recipe)] if recipe.exists() else assignments({"model": setting.name})
    words = ["--measure", str(args.seconds), "--json", "--device", args.device, "--threads", str(setting.threads)]
    printed = styleswap(["train", *words, *source, *assignments(settings)], setting.threads, setting.processes)
    return json.loads(printed.splitlines()[-1])


def plan(args: argparse.Namespace) -> list[Setting]:
    """The rows: one process with one thread, then more threads, then more processes."""
    if args.quick:
        return [Setting("demo-32", 32, processes, 1) for processes in (1, 2)]
    rows = []
    for name in args.models:
        shapes = [(1, threads) for threads in args.threads] + [(count, 1) for count in args.processes if count > 1]
        if args.device == "cuda":
            shapes = [(count, 1) for count in args.processes]
        rows += [Setting(name, MODELS[name], *shape) for shape in shapes]
    return rows


def pictures_of(name: str) -> int | None:
    """Number of pictures that a recipe trains on; None for a preset."""
    path = ROOT / "docs" / "recipes" / f"{name}.json"
    if not path.exists():
        return None
    recipe = json.loads(path.read_text(encoding="utf-8"))
    return recipe["steps"] * recipe["batch"]


def table(results: list[tuple[Setting, dict]]) -> str:
    """Markdown table, with speed-ups over the first row of the same recipe."""
    columns = ("pictures/s", "speed-up", "per core or GPU", "GiB per process", "hours for the recipe")
    lines = [
        f"| recipe or preset | processes x threads | {' | '.join(columns)} |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    first: dict[str, float] = {}
    for setting, measured in results:
        rate = measured["images_per_second"]
        base = first.setdefault(setting.name, rate)
        pictures = pictures_of(setting.name)
        hours = "" if pictures is None else f"{pictures / rate / 3600:,.0f}"
        lines.append(
            f"| {setting.name} | {setting.processes} x {setting.threads} | {rate:.3g} | {rate / base:.2f} | "
            f"{rate / (setting.processes * setting.threads):.3g} | {measured['peak_bytes'] / 2**30:.2f} | {hours} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all rows and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for training.json and training.md")
    parser.add_argument(
        "--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="recipes or presets to train"
    )
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="threads of a single process")
    parser.add_argument("--pictures", type=int, default=2, help="pictures at once in each process")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seconds", type=float, default=30.0, help="approximate time per row")
    parser.add_argument(
        "--workers",
        nargs="+",
        type=int,
        default=list(range(1, (os.cpu_count() or 1) + 1)),
        help="numbers of processes for the preparation; 0 omits it",
    )
    parser.add_argument("--prepared", type=int, default=400, help="pictures per process")
    parser.add_argument("--pack", default="", help="insightface pack for the preparation (default: the demo pack)")
    parser.add_argument("--data", type=Path, help="folder for the rendered columns (default: a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="smoke test with a tiny model")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    prepared: list[Preparation] = []
    trained: list[tuple[Setting, dict]] = []
    workers = [count for count in args.workers if count > 0]
    with tempfile.TemporaryDirectory() as temporary:
        for count in tqdm([1, 2] if args.quick else workers, desc="preparation"):
            pictures, size = (24, 64) if args.quick else (args.prepared, 256)
            prepared.append(measure_preparation(Path(temporary), count, pictures, size, args.pack))
            write(args, prepared, trained)
        for setting in tqdm(plan(args), desc="training"):
            data = (args.data or Path(temporary)) / f"columns-{setting.size}"
            render(data, setting.size)
            trained.append((setting, measure(setting, data, args)))
            write(args, prepared, trained)
    print((args.out / "training.md").read_text(encoding="utf-8"), end="")


def write(args: argparse.Namespace, prepared: list[Preparation], trained: list[tuple[Setting, dict]]) -> None:
    """Write the record and the page; called after each row, so that an interrupted run leaves a page."""
    record = {
        "machine": machine_name(args.device),
        "cores": os.cpu_count(),
        "device": args.device,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pack": args.pack or "demo",
        "preparation": [row._asdict() for row in prepared],
        "training": [{**row._asdict(), **found} for row, found in trained],
    }
    (args.out / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    machine = f"{record['machine']}, {record['cores']} cores"
    parts = [f"# Speed of preparation and training\n\nMeasured by `benchmarks/training.py` on {machine}.\n"]
    if prepared:
        parts.append(
            f"## `styleswap prepare`\n\nWith the {args.pack or 'demo pack'}, one face per picture; the start of the"
            f" program is not counted.\n\n{preparation_table(prepared)}"
        )
    if trained:
        parts.append(f"## `styleswap train`\n\n{args.pictures} pictures at once in each process.\n\n{table(trained)}")
    (args.out / "training.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
