"""Memory and time of a video in ComfyUI: Swap Face on all frames of a clip against Swap Face in Video.

    python benchmarks/comfyui_video.py --frames 300 --size 640 360

Prints a table. Each graph runs in a ComfyUI process of its own, on the CPU, after a short clip that loads the models;
how ComfyUI is found is described in tests/comfyui/comfy_server.py. Memory is the peak of the process above what it
holds before the run.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "comfyui"))

from comfy_server import ComfyServer, PeakMemory, Run, link_pack
from machine import machine_name
from workflow_files import SWAP, SWAP_VIDEO, SYNTHETIC, load_prompt, only

from styleswap_core.io.images import to_uint8
from styleswap_core.synthetic.scene import SyntheticScene

RATE, SOUND_RATE = 30, 48_000
HEADS, WARM_UP_FRAMES = 5, 8
MB = 1e6


@lru_cache(maxsize=1)
def _heads(side: int) -> np.ndarray:
    """Pictures (HEADS, side, side, 3) uint8 of a head that turns."""
    scene = SyntheticScene(target_person=3, target_setting=18, motion_setting=5, size=side, frames=2 * HEADS)
    return np.concatenate([to_uint8(scene.target_frame(number)[0][None]) for number in range(HEADS)])


def write_clip(path: Path, frames: int, size: tuple[int, int]) -> None:
    """A clip with sound: a moving head in front of a gradient that drifts to and fro."""
    width, height = size
    heads = _heads(height)
    ramp = np.broadcast_to(np.linspace(40, 200, width, dtype=np.uint8)[None, :, None], (height, width, 3))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE)
        for number in range(frames):
            picture = ramp.copy()
            left = round((width - height) * (0.5 + 0.25 * np.sin(number / 20)))
            picture[:, left : left + height] = heads[abs(number % (2 * HEADS - 2) - HEADS + 1)]
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        tone = np.sin(np.arange(SOUND_RATE * frames // RATE) * 0.05)[None].astype(np.float32)
        sound = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
        sound.sample_rate, sound.pts = SOUND_RATE, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def stream_prompt(clip: str, tracking: bool) -> dict:
    """Load Video -> Swap Face in Video -> Save Video."""
    prompt = load_prompt("12_video_stream")
    key = only(prompt, "CreateVideo")
    prompt[key] = {"class_type": "LoadVideo", "inputs": {"file": clip}}
    prompt[only(prompt, SWAP_VIDEO)]["inputs"]["tracking"] = tracking
    prompt[only(prompt, SYNTHETIC)]["inputs"]["frames"] = 1
    return prompt


def batch_prompt(clip: str, tracking: bool) -> dict:
    """Load Video -> Get Video Components -> Swap Face -> Create Video -> Save Video."""
    prompt = load_prompt("05_video_frames")
    components = only(prompt, "GetVideoComponents")
    del prompt[prompt[components]["inputs"]["video"][0]]
    prompt["clip"] = {"class_type": "LoadVideo", "inputs": {"file": clip}}
    prompt[components]["inputs"]["video"] = ["clip", 0]
    swap = prompt[only(prompt, SWAP)]["inputs"]
    swap |= {"tracking": tracking, "faces": "largest"}
    for unused in ("ImageFromBatch", "StyleSwap_SaveImage"):
        del prompt[only(prompt, unused)]
    prompt[only(prompt, SYNTHETIC)]["inputs"]["frames"] = 1
    return prompt


GRAPHS: dict[str, tuple[Callable[[str, bool], dict], bool]] = {
    "Swap Face": (batch_prompt, False),
    "Swap Face, tracking": (batch_prompt, True),
    "Swap Face in Video": (stream_prompt, True),
}


def measure(
    prompt_of: Callable[[str, bool], dict], tracking: bool, frames: int, size: tuple[int, int]
) -> tuple[float, float, int]:
    """Seconds of a run, the processor's part of them, and bytes that it takes at its peak."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        link_pack(base)
        (base / "input").mkdir()
        write_clip(base / "input" / "short.mp4", WARM_UP_FRAMES, size)
        write_clip(base / "input" / "clip.mp4", frames, size)
        with ComfyServer(base) as server:
            server.run(prompt_of("short.mp4", tracking))
            before, spent = server.rss(), processor_seconds(server)
            with PeakMemory(server) as memory:
                run = server.run(prompt_of("clip.mp4", tracking), seconds=36_000)
            _check(run, frames)
            return _seconds(run), processor_seconds(server) - spent, memory.peak - before


def _check(run: Run, frames: int) -> None:
    prompt: Mapping = run.entry["prompt"][2]
    (report,) = run.texts(only(prompt, "PreviewAny"))
    if f"in {frames} of {frames} frames" not in report:
        raise SystemExit(f"expected {frames} swapped frames, got: {report.splitlines()[0]}")


def _seconds(run: Run) -> float:
    times = {name: values["timestamp"] for name, values in run.entry["status"]["messages"] if "timestamp" in values}
    return (times["execution_success"] - times["execution_start"]) / 1000


def processor_seconds(server: ComfyServer) -> float:
    """Time that all cores together have spent on a server (Linux)."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[300], help="lengths of the clip")
    parser.add_argument("--size", type=int, nargs=2, default=[640, 360], metavar=("WIDTH", "HEIGHT"))
    args = parser.parse_args()
    width, height = args.size
    print(f"{width} x {height}, {machine_name('cpu')}\n")
    print("| node | frames | seconds | processor seconds | memory |")
    print("| --- | --- | --- | --- | --- |")
    for frames in args.frames:
        for label, (prompt_of, tracking) in GRAPHS.items():
            seconds, processor, peak = measure(prompt_of, tracking, frames, (width, height))
            row = (label, frames, f"{seconds:.1f}", f"{processor:.1f}", f"{peak / MB:.0f} MB")
            print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
