"""Speed of the generator in processor time: contenders take turns in one process, for busy machines.

    python benchmarks/processor_time.py --presets released-256 --out docs/benchmarks/processor-time.md
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 python benchmarks/processor_time.py

`speed.py` measures what users wait for, with all threads, and needs a quiet machine. Here one thread runs, and what
counts is the time that the process spends on a processor. In each round every contender runs once, and so does a matrix
product, whose rate is the peak. Ratios are medians of the ratios within a round. The second form limits PyTorch to the
instructions of a processor without AVX-512; ONNX Runtime, which cannot be limited, is then left out.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from contenders import CONTENDERS, REFERENCE, build, count_flops, make_crops
from machine import limits, machine_name
from matrix_peak import methods

SIZE = 1024
PEAK = "peak"
HEAD = (
    "| preset | batch | contender | ms per picture | speed relative to the reference | share of the peak |\n"
    "| --- | ---: | --- | ---: | ---: | ---: |"
)
Runs = dict[str, Callable[[], object]]


def peak_products() -> Runs:
    """Every method for the product of two matrices (SIZE, SIZE), with one thread."""
    a, b = (torch.randn(SIZE, SIZE) for _ in range(2))
    return {f"{PEAK} {name}": product for name, product in methods(a, b, 1)}


def take_turns(runs: Runs, rounds: int) -> list[dict[str, float]]:
    """Seconds of processor time of each run, for every round."""
    for run in runs.values():
        run()
    taken = []
    for _ in range(rounds):
        seconds = {}
        for name, run in runs.items():
            began = time.process_time()
            run()
            seconds[name] = time.process_time() - began
        taken.append(seconds)
    return taken


def rows(preset: str, batch: int, contenders: list[str], rounds: int) -> list[str]:
    """Rows of the table for a preset and a batch."""
    crops = make_crops(preset, batch, "cpu")
    built = {name: build(name, preset, "cpu", 1) for name in contenders}
    runs: Runs = {name: lambda run=run: run(crops) for name, run in built.items()}
    with torch.inference_mode():
        taken = take_turns(runs | peak_products(), rounds)
    operations, found = count_flops(preset)["baked"] * batch, []
    for name in contenders:
        milliseconds = statistics.median(seconds[name] for seconds in taken) * 1e3 / batch
        faster = statistics.median(seconds[REFERENCE] / seconds[name] for seconds in taken)
        share = statistics.median(operations / seconds[name] / _peak(seconds) for seconds in taken)
        cells = (preset, batch, CONTENDERS[name].label, f"{milliseconds:.1f}", f"{faster:.2f}", f"{share:.0%}")
        found.append(f"| {' | '.join(map(str, cells))} |")
    return found


def _peak(seconds: dict[str, float]) -> float:
    """Operations per second of the fastest matrix product of a round."""
    return 2 * SIZE**3 / min(taken for name, taken in seconds.items() if name.startswith(PEAK))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["demo-128", "released-256"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--contenders", nargs="+", default=["unbaked", "baked-float32", "onnx-runtime"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    left_out = {REFERENCE} | ({"onnx-runtime"} if limits() else set())
    contenders = [REFERENCE, *(name for name in args.contenders if name not in left_out)]
    lines = [f"{machine_name('cpu')}, PyTorch {torch.__version__}, one thread, processor time.\n", HEAD]
    print(*lines, sep="\n")
    for preset in args.presets:
        for batch in args.batches:
            found = rows(preset, batch, contenders, args.rounds)
            print(*found, sep="\n", flush=True)
            lines += found
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
