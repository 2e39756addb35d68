"""What training costs on this machine: pictures per second, memory, and hours for the recipes of docs/training.md.

    python benchmarks/training.py --out docs/benchmarks
    python benchmarks/training.py --out /tmp/benchmarks --quick

Every line of the table is `styleswap train --measure` in fresh processes, on columns that are rendered first. Each process
has the same number of pictures at once, so that processes and threads can be compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
RECIPES = {"photos-256": 256, "photos-512": 512}
COLUMNS, MEMBERS, PEOPLE = 12, 2, 6


class Setting(NamedTuple):
    """One line of the table."""

    name: str  # a recipe, or a preset
    size: int
    processes: int
    threads: int


def styleswap(words: list[str], threads: int, processes: int = 1) -> str:
    """Run the command and return what it prints; what goes wrong stands on stderr and ends the benchmark."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, "-m", "styleswap_core.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def render(folder: Path, size: int) -> None:
    """A small set of columns: what it shows does not matter here."""
    if not folder.exists():
        styleswap(["render", "columns", "--out", str(folder), "--size", str(size), "--columns", str(COLUMNS), "--members",
                   str(MEMBERS), "--identities", str(PEOPLE), "--workers", "1"], threads=1)


def measure(setting: Setting, data: Path, args: argparse.Namespace) -> dict:
    """One line: what `train --measure` reports."""
    recipe = ROOT / "docs" / "recipes" / f"{setting.name}.json"
    words = ["train", "--measure", str(args.seconds), "--json", "--device", args.device, "--threads", str(setting.threads),
             "--set", f"data={data}", "--set", f"batch={args.pictures * setting.processes}", "--set", "accumulate=1",
             "--set", f"stddev_group={min(4, args.pictures)}", "--set", "recognizer_rows=0"]
    words += ["--config", str(recipe)] if recipe.exists() else ["--set", f"model={setting.name}"]
    return json.loads(styleswap(words, setting.threads, setting.processes).splitlines()[-1])


def plan(args: argparse.Namespace) -> list[Setting]:
    """One process of one thread, then more threads, then more processes."""
    if args.quick:
        return [Setting("demo-32", 32, processes, 1) for processes in (1, 2)]
    rows = []
    for name in args.recipes:
        shapes = [(1, threads) for threads in args.threads] + [(count, 1) for count in args.processes if count > 1]
        if args.device == "cuda":
            shapes = [(count, 1) for count in args.processes]
        rows += [Setting(name, RECIPES[name], *shape) for shape in shapes]
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
    lines = ["| recipe | processes x threads | pictures/s | times the first | per core or GPU | GiB per process | hours for the recipe |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    first: dict[str, float] = {}
    for setting, measured in results:
        rate = measured["images_per_second"]
        base = first.setdefault(setting.name, rate)
        pictures = pictures_of(setting.name)
        hours = "" if pictures is None else f"{pictures / rate / 3600:,.0f}"
        lines.append(
            f"| {setting.name} | {setting.processes} x {setting.threads} | {rate:.3g} | {rate / base:.2f} | "
            f"{rate / (setting.processes * setting.threads):.3g} | {measured['peak_bytes'] / 2**30:.2f} | {hours} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for training.json and training.md")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of a single process")
    parser.add_argument("--pictures", type=int, default=2, help="at once in each process")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seconds", type=float, default=30.0, help="about how long each line is timed")
    parser.add_argument("--data", type=Path, help="where to keep the rendered columns; default: a temporary folder")
    parser.add_argument("--quick", action="store_true", help="a tiny model: does everything work?")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results: list[tuple[Setting, dict]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for setting in tqdm(plan(args)):
            data = (args.data or Path(temporary)) / f"columns-{setting.size}"
            render(data, setting.size)
            results.append((setting, measure(setting, data, args)))
            # After each line: a benchmark that is stopped leaves what it finished.
            (args.out / "training.json").write_text(
                json.dumps([{**row._asdict(), **found} for row, found in results], indent=2) + "\n", encoding="utf-8")
            (args.out / "training.md").write_text(table(results), encoding="utf-8")
    print(table(results), end="")


if __name__ == "__main__":
    main()
