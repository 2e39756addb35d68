"""Memory of `styleswap swap` over a long video, which must not grow with its length.

Runs the command on a clip that is made by looping, reads the resident memory of its process while it works, and
compares number of frames and packets of sound of the result with those of the source:

    python benchmarks/video_memory.py --frames 20000

The network is the demo model, or the file named by --model.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from video_clips import count_frames, growth, head, sound_of, start_command, write_clip

_PROGRESS = re.compile(rb"(follow faces|swap): [^\r]*?(\d+)/\d+ ")
_KB = 1024
_SHOWN_EVERY = 500


def resident_mb(process: int) -> float:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / _KB


def watch(process: subprocess.Popen) -> dict[str, list[tuple[int, float]]]:
    """Frame and memory at each update of the progress, by phase."""
    samples: dict[str, list[tuple[int, float]]] = {}
    while chunk := process.stderr.read1():
        for word, frame in _PROGRESS.findall(chunk):
            phase = word.decode()
            # All bars are drawn again at the end.
            if phase in list(samples)[:-1]:
                continue
            rows = samples.setdefault(phase, [])
            rows.append((int(frame), round(resident_mb(process.pid), 1)))
            if len(rows) < 2 or rows[-1][0] // _SHOWN_EVERY > rows[-2][0] // _SHOWN_EVERY:
                print(phase, *rows[-1], "MB", file=sys.stderr, flush=True)
    return samples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--after", type=int, default=500, help="frames after which memory must stay the same")
    parser.add_argument("--model", help="file of a swapping network (default: the demo model)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip, out, portrait = folder / "clip.mp4", folder / "out.mp4", folder / "source.png"
        write_clip(clip, args.frames, tuple(args.size))
        Image.fromarray(head(5, 256)).save(portrait)
        words = [
            "swap",
            "--source",
            str(portrait),
            "--target",
            str(clip),
            "--out",
            str(out),
            "--device",
            "cpu",
            "--json",
        ]
        began = time.perf_counter()
        process = start_command(
            words + (["--model", args.model] if args.model else []), stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        samples = watch(process)
        output = process.stdout.read()
        if process.wait():
            raise SystemExit(f"the command failed with exit code {process.returncode}")
        seconds = time.perf_counter() - began
        (video,) = json.loads(output)["videos"]
        result = {
            "frames": args.frames,
            "frames of the result": count_frames(out),
            "swapped frames": video["swapped_frames"],
            "sound is the same": sound_of(out) == sound_of(clip),
            "seconds": round(seconds),
            **{f"memory in MB, {phase}": growth(rows, args.after) for phase, rows in samples.items()},
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
