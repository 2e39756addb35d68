"""A single measurement, printed as a JSON object; `speed.py` runs each in a separate process.

python benchmarks/measure.py generator --contender baked-bfloat16 --preset released-256 --batch 8 --threads 4
python benchmarks/measure.py peak --dtype bfloat16 --threads 4
python benchmarks/measure.py frames --contender baked-bfloat16 --preset released-256 --faces 3 --threads 4
python benchmarks/measure.py guest --preset demo-128 --faces 3 --threads 4
"""

import argparse
import gc
import json
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

MIN_TIMINGS = 3
# If a single timing takes longer than the time for all of them.
MIN_SLOW_TIMINGS = 2
# A timing spans the same number of frames for every batch size. Otherwise, the median over single frames would hide
# disturbances that a batch of eight cannot avoid.
FRAMES_PER_TIMING = 8
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def synchronize(device: str) -> None:
    """Wait for a GPU; does nothing on a CPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def time_runs(
    run: Callable[[], object],
    seconds: float,
    device: str,
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Timings of a function after one warm-up call.

    Args:
        run: The function.
        seconds: Approximate total time; at least MIN_TIMINGS are taken, or MIN_SLOW_TIMINGS of slow functions.
        device: "cpu" or "cuda".
        calls: Calls per timing.
        clock: Seconds that count, such as those on the clock or of the processor.

    Returns:
        Seconds per call of each timing.
    """
    start = clock()
    run()
    synchronize(device)
    least = MIN_TIMINGS if (clock() - start) * calls < seconds else MIN_SLOW_TIMINGS
    times: list[float] = []
    while len(times) < least or sum(times) * calls < seconds:
        start = clock()
        for _ in range(calls):
            run()
        synchronize(device)
        times.append((clock() - start) / calls)
    return times


class PeakMemory:
    """Context that measures peak memory, of the process on a CPU and of the GPU's allocator on "cuda".

    Attributes:
        bytes: The result, after the context.
    """

    def __init__(self, device: str) -> None:
        self.device, self.bytes = device, 0

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        elif _RESET.exists():
            # 5 resets the high-water mark, so that building the networks does not count. Linux only.
            _RESET.write_text("5")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.device == "cuda":
            self.bytes = torch.cuda.max_memory_allocated()
        elif _STATUS.exists():
            line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
            self.bytes = int(line.split()[1]) * 1024
        else:
            self.bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure_generator(args: argparse.Namespace) -> dict:
    """Times of whole batches, peak memory, and the largest difference from the unbaked generator."""
    from contenders import build, make_crops, make_generator

    crops = make_crops(args.preset, args.batch, args.device)
    generator, embedding = make_generator(args.preset)
    with torch.inference_mode():
        expected = generator(crops[:1].cpu(), embedding).image
    del generator
    with torch.no_grad():
        run = build(args.contender, args.preset, args.device, args.threads)
        difference = (run(crops[:1]).float().cpu() - expected).abs().max()
        with PeakMemory(args.device) as memory:
            calls = max(1, FRAMES_PER_TIMING // args.batch)
            times = time_runs(lambda: run(crops), args.seconds, args.device, calls)
    return {"seconds": times, "calls": calls * len(times), "peak_bytes": memory.bytes, "difference": float(difference)}


def measure_product(args: argparse.Namespace) -> dict:
    """Peak rate of matrix products, see `matrix_peak.measure_peak`."""
    from matrix_peak import measure_peak

    timer = partial(time_runs, device=args.device)
    return measure_peak(getattr(torch, args.dtype), args.device, args.threads, args.seconds, timer)


def measure_frames(args: argparse.Namespace) -> dict:
    """Time of 1080p frames by stage, see `end_to_end.measure`."""
    from end_to_end import measure

    return measure(args.contender, args.preset, args.faces, args.device, args.seconds, args.frames)


def measure_guest(args: argparse.Namespace) -> dict:
    """Time of 1080p frames with a guest network, see `guest_stream.measure`."""
    from guest_stream import measure

    return measure(args.preset, args.faces, args.seconds, args.frames)


def main() -> None:
    """Take the measurement that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("generator", "peak", "frames", "guest"))
    parser.add_argument("--contender", default="unbaked")
    parser.add_argument("--preset", default="demo-64")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16, help="number of 1080p frames")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    measures = {
        "generator": measure_generator,
        "peak": measure_product,
        "frames": measure_frames,
        "guest": measure_guest,
    }
    measured = measures[args.what](args)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
