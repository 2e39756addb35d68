"""What training costs on this machine: pictures per second, memory, and hours for the recipes of docs/training.md; and
pictures per second of the preparation before it.

    python benchmarks/training.py --out docs/benchmarks
    python benchmarks/training.py --out /tmp/benchmarks --quick

Every line about training is `styleswap train --measure` in fresh processes, on columns that are rendered first. Each process
has the same number of pictures at once, so that processes and threads can be compared. Every line about preparation is
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
from commands import ROOT, styleswap
from machine import machine_name
from preparation import Preparation, measure_preparation, preparation_table
from tqdm import tqdm

# A preset and the recipes of docs/training.md, with the side of their pictures.
MODELS = {"demo-128": 128, "photos-256": 256, "photos-512": 512}
COLUMNS, MEMBERS, PEOPLE = 12, 2, 6


class Setting(NamedTuple):
    """One line of the table."""

    name: str  # a recipe, or a preset
    size: int
    processes: int
    threads: int


def render(folder: Path, size: int) -> None:
    """A small set of columns: what it shows does not matter here."""
    if not folder.exists():
        styleswap(
            [
                "render",
                "columns",
                "--out",
                str(folder),
                "--size",
                str(size),
                "--columns",
                str(COLUMNS),
                "--members",
                str(MEMBERS),
                "--identities",
                str(PEOPLE),
                "--workers",
                "1",
            ],
            threads=1,
        )


def measure(setting: Setting, data: Path, args: argparse.Namespace) -> dict:
    """One line: what `train --measure` reports."""
    recipe = ROOT / "docs" / "recipes" / f"{setting.name}.json"
    words = [
        "train",
        "--measure",
        str(args.seconds),
        "--json",
        "--device",
        args.device,
        "--threads",
        str(setting.threads),
        "--set",
        f"data={data}",
        "--set",
        f"batch={args.pictures * setting.processes}",
        "--set",
        "gradient_accumulation=1",
        "--set",
        f"stddev_group={min(4, args.pictures)}",
        "--set",
        "recognizer_rows=0",
    ]
    words += ["--config", str(recipe)] if recipe.exists() else ["--set", f"model={setting.name}"]
    return json.loads(styleswap(words, setting.threads, setting.processes).splitlines()[-1])


def plan(args: argparse.Namespace) -> list[Setting]:
    """One process of one thread, then more threads, then more processes."""
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
    """How many pictures a recipe trains on."""
    path = ROOT / "docs" / "recipes" / f"{name}.json"
    if not path.exists():
        return None
    recipe = json.loads(path.read_text(encoding="utf-8"))
    return recipe["steps"] * recipe["batch"]


def table(results: list[tuple[Setting, dict]]) -> str:
    """Markdown. Scaling is against the first line of the same recipe, per core where there are no GPUs."""
    lines = [
        "| recipe or preset | processes x threads | pictures/s | times the first | per core or GPU | GiB per process | hours for the recipe |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
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
    """Measure every setting, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for training.json and training.md")
    parser.add_argument(
        "--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="recipes or presets to train"
    )
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of a single process")
    parser.add_argument("--pictures", type=int, default=2, help="at once in each process")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seconds", type=float, default=30.0, help="about how long each line is timed")
    parser.add_argument(
        "--workers",
        nargs="+",
        type=int,
        default=list(range(1, (os.cpu_count() or 1) + 1)),
        help="processes that prepare; 0 leaves the preparation out",
    )
    parser.add_argument("--prepared", type=int, default=400, help="pictures that each of them prepares")
    parser.add_argument("--pack", default="", help="insightface pack of the preparation (default: the demo pack)")
    parser.add_argument("--data", type=Path, help="where to keep the rendered columns; default: a temporary folder")
    parser.add_argument("--quick", action="store_true", help="a tiny model: does everything work?")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    prepared: list[Preparation] = []
    trained: list[tuple[Setting, dict]] = []
    workers = [count for count in args.workers if count > 0]
    with tempfile.TemporaryDirectory() as temporary:
        for count in tqdm([1, 2] if args.quick else workers, desc="preparation"):
            prepared.append(
                measure_preparation(
                    Path(temporary), count, 24 if args.quick else args.prepared, 64 if args.quick else 256, args.pack
                )
            )
            write(args, prepared, trained)
        for setting in tqdm(plan(args), desc="training"):
            data = (args.data or Path(temporary)) / f"columns-{setting.size}"
            render(data, setting.size)
            trained.append((setting, measure(setting, data, args)))
            write(args, prepared, trained)
    print((args.out / "training.md").read_text(encoding="utf-8"), end="")


def write(args: argparse.Namespace, prepared: list[Preparation], trained: list[tuple[Setting, dict]]) -> None:
    """The record and its tables; after each line, so that a benchmark that is stopped leaves what it finished."""
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
    parts = [
        (
            f"# Preparing data, and training\n\nMeasured by `benchmarks/training.py` on {record['machine']},"
            f" {record['cores']} cores.\n"
        )
    ]
    if prepared:
        parts.append(
            f"## `styleswap prepare`\n\nWith the {'demo pack' if not args.pack else args.pack}, one face in each picture; "
            f"without the start of the program.\n\n{preparation_table(prepared)}"
        )
    if trained:
        parts.append(f"## `styleswap train`\n\n{args.pictures} pictures at once in each process.\n\n{table(trained)}")
    (args.out / "training.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
