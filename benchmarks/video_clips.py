"""Video clips for benchmarks: a rendered head that moves over a backdrop, of any length, with sound."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from styleswap_core.io.images import to_uint8
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

RATE = 25
SOUND_RATE = 48000
ROOT = Path(__file__).resolve().parents[1]
# Frames after which the motion begins again.
_LOOP = 100


def head(seed: int, size: int) -> np.ndarray:
    """Portrait (size, size, 3) uint8 of a person of the face world."""
    return to_uint8(render(Identities.from_seeds([seed]), Attributes.from_seeds([seed]), size=size).image)[0]


def moving_frames(size: tuple[int, int]) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of one loop: a head that moves along an ellipse over a backdrop with some detail."""
    width, height = size
    side = height * 2 // 3
    portrait = head(3, side)
    y, x = np.mgrid[0:height, 0:width]
    backdrop = np.stack([90 + 50 * np.sin(x / 31 + c) * np.cos(y / 23 - c) for c in range(3)], 2).astype(np.uint8)
    frames = []
    for number in range(_LOOP):
        angle = 2 * np.pi * number / _LOOP
        left = round((width - side) / 2 + 0.2 * width * np.sin(angle))
        top = round((height - side) / 2 + 0.1 * height * np.cos(angle))
        frame = backdrop.copy()
        frame[top : top + side, left : left + side] = portrait
        frames.append(frame)
    return frames


def write_clip(path: Path, count: int, size: tuple[int, int]) -> Path:
    """A clip of so many frames, H.264 with AAC, made by looping."""
    frames = [av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p") for frame in moving_frames(size)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "18"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE)
        tone = (np.sin(np.arange(SOUND_RATE) / 20) * 8000).astype(np.int16)
        for number in range(count):
            frame = frames[number % _LOOP]
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, RATE), 0
            container.mux(video.encode(frame))
            if number % RATE == 0:
                sound = av.AudioFrame.from_ndarray(tone[None].repeat(2, 0).T.reshape(1, -1), "s16", "stereo")
                sound.sample_rate, sound.pts = SOUND_RATE, number // RATE * SOUND_RATE
                container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    return path


def sound_of(path: Path) -> list[bytes]:
    """Packets of the sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def count_frames(path: Path) -> int:
    """Number of decoded frames."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for _ in container.decode(video=0))


def growth(samples: list[tuple[int, float]], after: int) -> dict[str, float]:
    """Memory in MB from a frame on: first value, largest, last."""
    late = [memory for frame, memory in samples if frame >= after]
    return {"first": late[0], "largest": max(late), "last": late[-1], "growth": round(max(late) - late[0], 1)}


def start_command(words: list[str], **options) -> subprocess.Popen:
    """The `styleswap` command of this working tree, in a process."""
    return subprocess.Popen([sys.executable, "-m", "styleswap_core", *words], cwd=ROOT, **options)


def threads(count: int) -> None:
    """CPU threads of torch and of libraries that follow OpenMP."""
    torch.set_num_threads(count)
