"""Memory of Swap Face in Video over a long clip in ComfyUI, which must not grow with its length.

    python benchmarks/comfyui_video_memory.py --frames 20000

Runs Load Video -> Swap Face in Video -> Save Video in a ComfyUI on the CPU, reads the resident memory of its process
while the node works, and compares number of frames and packets of sound of the result with those of the source. How
ComfyUI is found is described in tests/comfyui/comfy_server.py.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from comfyui_video import stream_prompt
from video_clips import count_frames, growth, sound_of, write_clip

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "comfyui"))

from comfy_server import ComfyServer, error_message, link_pack
from workflow_files import only

_MB = 1e6
_PAUSE = 0.5
_SHOWN_EVERY = 60


def watch(server: ComfyServer, prompt_id: str, frames: int) -> dict[str, list[tuple[int, float]]]:
    """Frame and resident memory in MB of a server until a prompt ends, by phase."""
    samples: dict[str, list[tuple[int, float]]] = {"follow faces": [], "swap": []}
    shown = 0.0
    while prompt_id not in server.get(f"/history/{prompt_id}"):
        steps = server.get("/probe/progress")["steps"]
        phase, frame = ("swap", steps - frames) if steps > frames else ("follow faces", steps)
        samples[phase].append((frame, round(server.rss() / _MB, 1)))
        if time.monotonic() - shown >= _SHOWN_EVERY:
            shown = time.monotonic()
            print(phase, *samples[phase][-1], "MB", file=sys.stderr, flush=True)
        time.sleep(_PAUSE)
    return samples


def measure(base: Path, frames: int, size: tuple[int, int], after: int) -> dict:
    """Results of a run in a base folder."""
    link_pack(base)
    shutil.copytree(Path(__file__).resolve().parents[1] / "tests/comfyui/probe_pack", base / "custom_nodes/probe_pack")
    (base / "input").mkdir()
    clip = write_clip(base / "input" / "clip.mp4", frames, size)
    prompt = stream_prompt(clip.name, True)
    with ComfyServer(base) as server:
        began = time.perf_counter()
        prompt_id = server.queue(prompt)
        samples = watch(server, prompt_id, frames)
        seconds = time.perf_counter() - began
        entry = server.await_end(prompt_id)
    if entry["status"]["status_str"] != "success":
        raise SystemExit(f"the prompt failed: {error_message(entry)}")
    (saved,) = entry["outputs"][only(prompt, "SaveVideo")]["images"]
    out = base / "output" / saved["subfolder"] / saved["filename"]
    return {
        "frames": frames,
        "frames of the result": count_frames(out),
        "report": entry["outputs"][only(prompt, "PreviewAny")]["text"][0].splitlines()[0],
        "sound is the same": sound_of(out) == sound_of(clip),
        "seconds": round(seconds),
        **{f"memory in MB, {phase}": growth(rows, after) for phase, rows in samples.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--after", type=int, default=500, help="frames after which memory must stay the same")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), args.frames, tuple(args.size), args.after), indent=1))


if __name__ == "__main__":
    main()
