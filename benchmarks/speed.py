"""How fast the generator runs, and a swap from end to end: contenders in alternation, a table and a plot.

    python benchmarks/speed.py --out docs/benchmarks --threads 4
    python benchmarks/speed.py --quick --out /tmp/benchmarks

Every measurement is a process of its own, with the same inputs and threads; the contenders take turns, `--rounds` times.
What `--minutes` has no room for is left out of the later rounds, the slowest measurements first, none of them before it has
LEAST_CALLS timed calls; the table tells how many each has.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from contenders import CONTENDERS, REFERENCE, count_flops
from speed_report import write_report
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
SETTINGS = [(name, batch) for name in ("demo-128", "released-256", "released-512") for batch in (1, 8)]
# What a CPU takes minutes for is measured where something is wanted of it, see `speed_report.checks`.
SLOW_ON_CPU = {("released-512", 1): (), ("released-512", 8): (REFERENCE, "baked-bfloat16")}
QUICK_SETTINGS = [("demo-64", 1), ("demo-64", 2)]
LEAST_CALLS = 2
FRAME_PRESETS, QUICK_FRAME_PRESETS = ("demo-128", "released-256"), ("demo-64",)
FRAME_CONTENDERS = ("unbaked", "baked-float32", "baked-bfloat16")


def run(what: str, args: argparse.Namespace, **options: object) -> dict | None:
    """One measurement, or None where it failed; what it said then stands on stderr."""
    words = [
        sys.executable,
        str(HERE / "measure.py"),
        what,
        "--device",
        args.device,
        "--threads",
        str(args.threads),
        "--seconds",
        str(args.seconds),
    ]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    # ONNX Runtime and OpenMP read the environment before torch can be told.
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        print(f"failed: {' '.join(words[1:])}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def plan(args: argparse.Namespace) -> list[tuple[str, dict]]:
    """All measurements of one round, in order."""
    contenders = [name for name in args.contenders if args.device in CONTENDERS[name].devices]
    dtypes = sorted({CONTENDERS[name].dtype for name in contenders})
    jobs: list[tuple[str, dict]] = [("peak", {"dtype": dtype}) for dtype in dtypes]
    settings = [
        row for row in (QUICK_SETTINGS if args.quick else SETTINGS) if not args.presets or row[0] in args.presets
    ]
    for name, batch in settings:
        wanted = SLOW_ON_CPU.get((name, batch), contenders) if args.device == "cpu" else contenders
        jobs += [
            ("generator", {"contender": contender, "preset": name, "batch": batch})
            for contender in contenders
            if contender in wanted
        ]
    for name in QUICK_FRAME_PRESETS if args.quick else FRAME_PRESETS:
        if args.presets and name not in args.presets:
            continue
        for faces in (1, 3):
            jobs += [
                ("frames", {"contender": contender, "preset": name, "faces": faces, "frames": 4 if args.quick else 16})
                for contender in FRAME_CONTENDERS
                if contender in contenders
            ]
    return jobs


class Rounds:
    """Runs the measurements round after round within a time, and keeps what they find."""

    def __init__(self, jobs: list[tuple[str, dict]], args: argparse.Namespace) -> None:
        """jobs: of `plan`; args: of the command line."""
        self.results: list[dict] = []
        self._jobs, self._args = jobs, args
        self._end = time.monotonic() + 60 * args.minutes
        self._took = [0.0] * len(jobs)
        self._calls = [0] * len(jobs)

    def run(self, number: int) -> None:
        """One round: all measurements, or in a later one those that there is time for."""
        chosen = self._chosen(number)
        with tqdm(chosen, desc=f"round {number + 1}") as bar:
            for job in bar:
                what, options = self._jobs[job]
                bar.set_postfix_str(" ".join(map(str, options.values())))
                start = time.monotonic()
                measured = run(what, self._args, **options)
                self._took[job] = time.monotonic() - start
                if measured is not None:
                    self._calls[job] += len(measured.get("seconds", [0] * LEAST_CALLS))
                    self.results.append({"what": what, "round": number, **options, **measured})

    def _chosen(self, number: int) -> list[int]:
        """Numbers of the jobs of a round, in order."""
        chosen = set(range(len(self._jobs)))
        # An equal part of what is left for this round and each after it.
        left = (self._end - time.monotonic()) / (self._args.rounds - number)
        for job in sorted(chosen, key=lambda job: -self._took[job]):
            if sum(self._took[other] for other in chosen) <= left:
                break
            if self._calls[job] >= LEAST_CALLS:
                chosen.remove(job)
        return sorted(chosen)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for speed.json, speed.md and the plot")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20.0, help="in which rounds after the first have to end")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each contender is timed in a round")
    parser.add_argument("--presets", nargs="+", help="only these")
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--quick", action="store_true", help="a tiny preset and one round: does everything work?")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.3
    if REFERENCE not in args.contenders:
        parser.error(f"--contenders must hold {REFERENCE}: all others are compared with it")
    return args


def main() -> None:
    """All measurements, and after each round the report."""
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = plan(args)
    names = dict.fromkeys(options["preset"] for what, options in jobs if what == "generator")
    rounds = Rounds(jobs, args)
    record = {
        "device": args.device,
        "threads": args.threads,
        "rounds": 0,
        "seconds": args.seconds,
        "flops": {name: count_flops(name) for name in names},
        "results": rounds.results,
    }
    for number in range(args.rounds):
        rounds.run(number)
        # After each round: a run that is stopped leaves the rounds that it finished.
        record["rounds"] = 1 + max((row["round"] for row in rounds.results), default=-1)
        page = write_report(args.out, record)
    print(page)


if __name__ == "__main__":
    main()
