"""Speed of the generator and of whole swaps, compared between contenders, as a table and a plot.

    python benchmarks/speed.py --out docs/benchmarks --threads 4
    python benchmarks/speed.py --quick --out /tmp/benchmarks

Every measurement runs in a separate process, with the same inputs and threads; the contenders alternate for `--rounds`
rounds. If the time exceeds `--minutes`, later rounds omit the slowest measurements that have at least MIN_CALLS timed
calls; the table states the number of calls.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from subprocess import CalledProcessError

import torch
from commands import measured
from contenders import CONTENDERS, REFERENCE, count_flops
from machine import instruction_sets, limits, machine_name
from speed_report import write_report
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
SETTINGS = [(name, batch) for name in ("demo-128", "released-256", "released-512") for batch in (1, 8)]
# Contenders that are slow on a CPU are measured only where `speed_report.targets` needs them.
SLOW_ON_CPU = {("released-512", 1): (), ("released-512", 8): (REFERENCE, "baked-bfloat16")}
QUICK_SETTINGS = [("demo-64", 1), ("demo-64", 2)]
MIN_CALLS = 2
FRAME_PRESETS, QUICK_FRAME_PRESETS = ("demo-128", "released-256"), ("demo-64",)
FRAME_CONTENDERS = ("unbaked", "baked-float32", "baked-bfloat16")
# 128 px is inswapper's size, and insightface's class takes no other.
GUEST_PRESET = "demo-128"


def run(what: str, args: argparse.Namespace, **options: object) -> dict | None:
    """Result of one measurement; None if it failed."""
    words = [what, "--device", args.device, "--seconds", args.seconds]
    for name, value in options.items():
        words += [f"--{name}", value]
    try:
        return measured(HERE / "measure.py", words, args.threads)
    except CalledProcessError as error:
        print(f"failed: {' '.join(error.cmd[1:])}", file=sys.stderr)
        return None


def plan(args: argparse.Namespace) -> list[tuple[str, dict]]:
    """The measurements of one round, in order."""
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
    if args.device == "cpu" and (args.quick or not args.presets or GUEST_PRESET in args.presets):
        jobs += [("guest", {"preset": GUEST_PRESET, "faces": faces, "frames": 4}) for faces in (1, 3)]
    return jobs


class Rounds:
    """Runs the measurements in rounds within a time limit and collects the results.

    Args:
        jobs: From `plan`.
        args: Command line arguments.

    Attributes:
        results: What was measured.
        failed: Number of measurements that failed.
    """

    def __init__(self, jobs: list[tuple[str, dict]], args: argparse.Namespace) -> None:
        self.results: list[dict] = []
        self.failed = 0
        self._jobs, self._args = jobs, args
        self._end = time.monotonic() + 60 * args.minutes
        self._took = [0.0] * len(jobs)
        self._calls = [0] * len(jobs)

    def run(self, number: int) -> None:
        """Run a round: all measurements in the first, in later ones those that there is time for."""
        chosen = self._chosen(number)
        with tqdm(chosen, desc=f"round {number + 1}") as bar:
            for job in bar:
                what, options = self._jobs[job]
                bar.set_postfix_str(" ".join(map(str, options.values())))
                start = time.monotonic()
                result = run(what, self._args, **options)
                self._took[job] = time.monotonic() - start
                if result is None:
                    self.failed += 1
                else:
                    self._calls[job] += len(result.get("seconds", [0] * MIN_CALLS))
                    self.results.append({"what": what, "round": number, **options, **result})

    def _chosen(self, number: int) -> list[int]:
        """Indices of the jobs of a round, in order."""
        chosen = set(range(len(self._jobs)))
        # The remaining time is divided equally among this round and the following ones.
        left = (self._end - time.monotonic()) / (self._args.rounds - number)
        for job in sorted(chosen, key=lambda job: -self._took[job]):
            if sum(self._took[other] for other in chosen) <= left:
                break
            if self._calls[job] >= MIN_CALLS:
                chosen.remove(job)
        return sorted(chosen)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for speed.json, speed.md and the plot")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20.0, help="time limit for the rounds after the first")
    parser.add_argument("--seconds", type=float, default=3.0, help="approximate time per contender and round")
    parser.add_argument("--presets", nargs="+", help="measure only these presets")
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--quick", action="store_true", help="smoke test: a tiny preset and one round")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.3
    if REFERENCE not in args.contenders:
        parser.error(f"expected {REFERENCE} among --contenders, since all others are compared with it")
    return args


def main() -> None:
    """Run all measurements and write the report after each round."""
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = plan(args)
    names = dict.fromkeys(options["preset"] for what, options in jobs if what == "generator")
    rounds = Rounds(jobs, args)
    record = {
        "device": args.device,
        "machine": machine_name(args.device),
        "instructions": instruction_sets() if args.device == "cpu" else {},
        "limits": limits(),
        "torch": torch.__version__,
        "threads": args.threads,
        "rounds": 0,
        "seconds": args.seconds,
        "flops": {name: count_flops(name) for name in names},
        "results": rounds.results,
    }
    for number in range(args.rounds):
        rounds.run(number)
        # After each round, so that an interrupted run leaves a report.
        record["rounds"] = 1 + max((row["round"] for row in rounds.results), default=-1)
        page = write_report(args.out, record)
    print(page)
    if args.quick and rounds.failed:
        sys.exit(f"{rounds.failed} of {len(jobs)} measurements failed")


if __name__ == "__main__":
    main()
