"""One measurement in a process of its own; prints one JSON object. `speed.py` runs it.

    python benchmarks/measure.py generator --contender baked-bfloat16 --preset released-256 --batch 8 --threads 4
    python benchmarks/measure.py peak --dtype bfloat16 --threads 4
    python benchmarks/measure.py frames --contender baked-bfloat16 --preset released-256 --faces 3 --threads 4
"""

import argparse
import gc
import json
import resource
import time
from pathlib import Path

import torch

LEAST_RUNS = 3
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def time_runs(run, seconds: float, device: str) -> list[float]:
    """Seconds of each run after one that does not count; for about `seconds`, and LEAST_RUNS runs at least."""
    run()
    synchronize(device)
    times: list[float] = []
    while len(times) < LEAST_RUNS or sum(times) < seconds:
        start = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return times


class PeakMemory:
    """Largest memory of the process (of the GPU, where there is one) inside of the block, in bytes."""

    def __init__(self, device: str) -> None:
        self.device, self.bytes = device, 0

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        elif _RESET.exists():
            # 5: forget the high-water mark, so that building the networks does not count. Linux only.
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
    """Times of whole batches, peak memory, and how far the picture is from the unbaked generator's."""
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
            times = time_runs(lambda: run(crops), args.seconds, args.device)
    return {"seconds": times, "peak_bytes": memory.bytes, "difference": float(difference)}


def measure_peak(args: argparse.Namespace) -> dict:
    """The best rate of a product of two large square matrices."""
    size = 8192 if args.device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=args.device).to(getattr(torch, args.dtype)) for _ in range(2))
    with torch.inference_mode():
        times = time_runs(lambda: a @ b, args.seconds, args.device)
    return {"flops_per_second": 2 * size**3 / min(times)}


def measure_frames(args: argparse.Namespace) -> dict:
    from end_to_end import measure

    return measure(args.contender, args.preset, args.faces, args.device, args.seconds, args.frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("generator", "peak", "frames"))
    parser.add_argument("--contender", default="unbaked")
    parser.add_argument("--preset", default="demo-64")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16, help="1080p frames of a clip")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    measured = {"generator": measure_generator, "peak": measure_peak, "frames": measure_frames}[args.what](args)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
