"""Packed convolutions with maps of their own against the same convolutions that write into a kept buffer.

    PYTHONPATH=. python benchmarks/map_buffers.py --threads 2

Between calls, glibc may return the memory of a baked generator's maps to the system, and the next call takes page
faults for it. Buffers kept by the network would avoid them, but oneDNN's packed convolutions write into a given tensor
in one form only, the one that adds onto it: the buffer must be cleared first, and the leaky ReLU cannot be fused. The
table says what that costs and saves. CPU time is that of the process, in the kernel as well.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable

import torch

from styleswap_core.model.inference.packed_conv import FoldedConv

# Channels and resolution of typical layers.
SHAPES = ((32, 128), (64, 64), (64, 128), (128, 32), (128, 64))
BATCH = 2


def measure(run: Callable[[], object], calls: int) -> tuple[float, float, float]:
    """Milliseconds of wall-clock time (median), milliseconds of CPU time, and page faults per call."""
    for _ in range(3):
        run()
    times = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(calls):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return statistics.median(times) * 1e3, cpu / calls * 1e3, (after.ru_minflt - before.ru_minflt) / calls


def compare(channels: int, resolution: int, calls: int, rounds: int) -> str:
    """Row of the table: medians over alternating rounds."""
    x = torch.randn(BATCH, channels, resolution, resolution).contiguous(memory_format=torch.channels_last)
    conv = FoldedConv(torch.randn(channels, channels, 3, 3), torch.randn(channels), padding=1, activate=True)
    conv.pack(tuple(x.shape))
    buffer = torch.empty_like(x)
    own, kept = [], []
    for _ in range(rounds):
        own.append(measure(lambda: conv.run(x), calls))
        kept.append(measure(lambda: conv(x, onto=buffer.zero_()), calls))
    wall, cpu = (
        statistics.median(after[column] / before[column] for before, after in zip(own, kept, strict=True))
        for column in (0, 1)
    )
    faults = [statistics.median(row[2] for row in rows) for rows in (own, kept)]
    return f"| {channels} x {resolution} x {resolution} | {faults[0]:.0f} | {faults[1]:.0f} | {wall:.2f} | {cpu:.2f} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| maps | faults per call, own maps | kept buffer | wall-clock time, kept / own | CPU time, kept / own |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with torch.inference_mode():
        for channels, resolution in SHAPES:
            print(compare(channels, resolution, args.calls, args.rounds), flush=True)


if __name__ == "__main__":
    main()
