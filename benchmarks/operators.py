"""Where the time of a baked generator goes: its convolutions by kind, with their share of the peak, and the rest.

    python benchmarks/operators.py --preset released-256 --threads 2
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 python benchmarks/operators.py

Prints a table. The second form shows a newer processor as one without AVX-512. Times are medians over the calls; those
of one thread, the default, are processor time, for busy machines. The peak is that of matrix products in the same run,
and operations are those of the direct convolution, so that kinds that take fewer multiplications may exceed it.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from contenders import make_crops, make_generator
from machine import machine_name
from matrix_peak import measure_peak
from measure import time_runs
from torch import Tensor

from styleswap_core.model.inference.baked_generator import bake
from styleswap_core.model.inference.packed_conv import FoldedConv
from styleswap_core.model.inference.winograd_conv import suits_winograd

GIGA = 1e9
Clock = Callable[[], float]


def kind_of(conv: FoldedConv, input_size: tuple[int, ...]) -> str:
    """Kind of a convolution, as the table names it."""
    side = conv.weight.shape[-1]
    if conv.groups > 1:
        return f"{side}x{side}, one channel each"
    if conv.transposed:
        return f"{side}x{side}, transposed"
    if conv.weight.dtype == torch.float32 and suits_winograd(conv.weight, input_size, conv.stride, conv.padding):
        return f"{side}x{side}, Winograd"
    return f"{side}x{side}" + (f", stride {conv.stride}" if conv.stride > 1 else "")


def operations(conv: FoldedConv, x: Tensor, y: Tensor) -> int:
    """Floating-point operations of the direct convolution."""
    pixels = x if conv.transposed else y
    return 2 * conv.weight.numel() * pixels.shape[0] * pixels.shape[2] * pixels.shape[3]


class Stopwatch:
    """Seconds and operations of one call of a network, by kind of convolution."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        self.operations: dict[str, int] = defaultdict(int)
        self._running = False

    def watch(self, conv: FoldedConv) -> None:
        """Time every call of a convolution."""
        conv.run = self._timed(conv, conv.run)
        conv.forward = self._timed(conv, conv.forward)

    def _timed(self, conv: FoldedConv, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def timed(x: Tensor, *more: Tensor, **named: Tensor) -> Tensor:
            if self._running:
                return function(x, *more, **named)
            self._running = True
            began = self.clock()
            y = function(x, *more, **named)
            kind = kind_of(conv, tuple(x.shape))
            self.seconds[kind] += self.clock() - began
            self.operations[kind] += operations(conv, x, y)
            self._running = False
            return y

        return timed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="released-256")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calls", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = getattr(torch, args.dtype)
    generator, embedding = make_generator(args.preset)
    with torch.inference_mode():
        w_plus = generator.broadcast(generator.map_identity(embedding))
        network, crops = bake(generator, w_plus, dtype), make_crops(args.preset, args.batch, "cpu")
        clock = time.process_time if args.threads == 1 else time.perf_counter
        stopwatch = Stopwatch(clock)
        for module in network.modules():
            if isinstance(module, FoldedConv):
                stopwatch.watch(module)
        network(crops)
        calls = []
        for _ in range(args.calls):
            stopwatch.seconds.clear()
            stopwatch.operations.clear()
            began = clock()
            network(crops)
            calls.append((clock() - began, dict(stopwatch.seconds)))
    peak = measure_peak(dtype, "cpu", args.threads, 3, lambda run, seconds: time_runs(run, seconds, "cpu", clock=clock))
    print_table(args, calls, stopwatch.operations, peak["flops_per_second"])


def print_table(
    args: argparse.Namespace, calls: list[tuple[float, dict[str, float]]], counts: dict[str, int], peak: float
) -> None:
    """Print the table of some calls (seconds, seconds by kind), with operations by kind and the peak per second."""
    total = statistics.median(seconds for seconds, _ in calls)
    print(f"{args.preset}, batch {args.batch}, {args.dtype}, {args.threads} threads, {machine_name('cpu')},")
    print(f"peak {peak / GIGA:.0f} GFLOP/s\n")
    print("| operator | ms | share of the time | GFLOP | GFLOP/s | share of the peak |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    spent = {kind: statistics.median(by_kind[kind] for _, by_kind in calls) for kind in counts}
    rest = total - sum(spent.values())
    rows = [(kind, spent[kind], counts[kind]) for kind in sorted(counts, key=lambda kind: -spent[kind])]
    for kind, seconds, count in [*rows, ("everything else", rest, 0), ("total", total, sum(counts.values()))]:
        rate = [f"{count / GIGA:.2f}", f"{count / seconds / GIGA:.0f}", f"{count / seconds / peak:.0%}"]
        cells = [kind, f"{seconds * 1000:.1f}", f"{seconds / total:.0%}", *(rate if count else [""] * 3)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
