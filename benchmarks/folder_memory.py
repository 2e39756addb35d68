"""Memory of `styleswap swap` over a folder of many frames, which must not grow with their number.

Runs the command on a folder of small pictures, and reads the resident memory of its process while it works:

    python benchmarks/folder_memory.py --frames 10000

The network is the demo model, or the file named by --model.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from video_clips import growth, head, moving_frames, start_command
from video_memory import resident_mb

_PROGRESS = re.compile(rb"swap: [^\r]*?(\d+)/\d+ ")
_SHOWN_EVERY = 500


def write_frames(folder: Path, count: int, size: tuple[int, int]) -> None:
    """So many numbered pictures, which are links to those of one loop."""
    frames = moving_frames(size)
    for number in range(count):
        path, first = folder / f"{number:06d}.png", folder / f"{number % len(frames):06d}.png"
        if number < len(frames):
            Image.fromarray(frames[number]).save(path)
        else:
            os.link(first, path)


def watch(process: subprocess.Popen) -> list[tuple[int, float]]:
    """Number of finished frames and memory in MB at each update of the progress."""
    rows: list[tuple[int, float]] = []
    while chunk := process.stderr.read1():
        for frame in _PROGRESS.findall(chunk)[-1:]:
            if rows and int(frame) <= rows[-1][0]:
                continue
            rows.append((int(frame), round(resident_mb(process.pid), 1)))
            if len(rows) < 2 or rows[-1][0] // _SHOWN_EVERY > rows[-2][0] // _SHOWN_EVERY:
                print(*rows[-1], "MB", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 72), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--after", type=int, default=200, help="frames after which memory must stay the same")
    parser.add_argument("--model", help="file of a swapping network (default: the demo model)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        write_frames(folder / "in", args.frames, tuple(args.size))
        Image.fromarray(head(5, 256)).save(folder / "source.png")
        words = ["swap", "--source", str(folder / "source.png"), "--target", str(folder / "in")]
        words += ["--out", str(folder / "out"), "--device", "cpu", *(["--model", args.model] if args.model else [])]
        began = time.perf_counter()
        process = start_command(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        rows = watch(process)
        code = process.wait()
        result = {
            "frames": args.frames,
            "exit code": code,
            "results": len(list((folder / "out").iterdir())),
            "seconds": round(time.perf_counter() - began),
            "memory in MB": growth(rows, args.after),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
