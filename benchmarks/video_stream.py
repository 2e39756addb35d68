"""Speed of swapping a video as a stream, against the same frames as picture files, with the same network.

Both run in turn, in pairs; ratios are those of the pairs, so that changes of the machine's speed cancel out:

    python benchmarks/video_stream.py --threads 2 --rounds 5

With --processor-time, the time of the processor is measured, for one thread on a machine that does other work as well.

Without options, a rendered head, the demo model and the demo pack; --clip, --source, --model and --pack name others.
The second ratio is that of a detection in every frame to following faces (detection and tracking, without the swap).
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import av
import numpy as np
from machine import machine_name
from PIL import Image
from video_clips import head, threads, write_clip

from styleswap_core.commands.file_swapper import FileSwapper
from styleswap_core.commands.picture_files import SwapFiles
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.identities.extraction import extract_identity
from styleswap_core.identities.identity import Identity
from styleswap_core.media.frame_reader import open_video
from styleswap_core.media.video_source import read_info
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.model_files import load_model
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video

FILM_HOURS = 2
FILM_RATE = 24


@dataclass
class Clip:
    """A video, its frames as PNG files and as arrays."""

    path: Path
    files: list[Path]
    frames: list[np.ndarray]

    @classmethod
    def unpacked(cls, path: Path, folder: Path, limit: int) -> "Clip":
        """Frames of a video as files in a folder."""
        folder.mkdir()
        files, frames = [], []
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number == limit:
                    break
                frames.append(frame.to_ndarray(format="rgb24"))
                files.append(folder / f"{number:06d}.png")
                Image.fromarray(frames[-1]).save(files[-1], compress_level=1)
        return cls(path, files, frames)


def as_stream(swapper: Swapper, clip: Clip, identity: Identity, out: Path) -> None:
    """Swap the video file."""
    info = read_info(clip.path)
    duration = None if len(clip.frames) >= info.frames else len(clip.frames) / float(info.rate)
    report = swap_video(swapper, clip.path, out / "out.mp4", identity, clip=ClipOptions(duration=duration))
    assert report.counts.swapped_frames, "expected a face in the clip"


def as_files(swapper: Swapper, clip: Clip, identity: Identity, out: Path) -> None:
    """What `styleswap swap` does with a folder of frames."""
    tool = FileSwapper(swapper.model, Path(), swapper.analysis)
    for file in clip.files:
        tool.swap_file([identity], SwapFiles(file, out / file.name, None))


def follow(swapper: Swapper, clip: Clip, identity: Identity) -> None:
    """Detection every few frames, and tracking."""
    info = read_info(clip.path)
    with open_video(clip.path, info) as reader:
        timed = (one for one, _ in zip(reader.frames(), clip.frames, strict=False))
        swapper.track((info.layout.look(one.frame) for one in timed), identity)


def detect_all(swapper: Swapper, clip: Clip) -> None:
    """Detection in every frame, without embeddings."""
    info = read_info(clip.path)
    with open_video(clip.path, info) as reader:
        for one, _ in zip(reader.frames(), clip.frames, strict=False):
            swapper.analysis.detect(info.layout.rgb(one.frame), "largest", False)


def seconds_of(run: Callable[[], None], clock: Callable[[], float]) -> float:
    """Time that a call takes."""
    began = clock()
    run()
    return clock() - began


def compare(
    first: Callable[[], None], second: Callable[[], None], rounds: int, clock: Callable[[], float]
) -> dict[str, object]:
    """Median seconds of two calls, and the ratios of the second to the first in each pair; both warm up once."""
    pairs = []
    for number in range(rounds + 1):
        # Either one goes first.
        order = (first, second) if number % 2 else (second, first)
        times = {call: seconds_of(call, clock) for call in order}
        pairs.append((times[first], times[second]))
    pairs = pairs[1:]
    ratios = [two / one for one, two in pairs]
    return {
        "seconds": [round(median(side), 2) for side in zip(*pairs, strict=True)],
        "ratio": round(median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in sorted(ratios)],
    }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All figures."""
    path = Path(args.clip) if args.clip else write_clip(folder / "clip.mp4", args.frames, tuple(args.size))
    clip = Clip.unpacked(path, folder / "frames", args.frames)
    analysis = load_face_analysis(args.pack, threads=args.threads)
    swapper = Swapper(load_model(args.model, args.device), analysis)
    source = Path(args.source) if args.source else folder / "source.png"
    if not args.source:
        Image.fromarray(head(5, 256)).save(source)
    identity, _ = extract_identity([source], analysis)
    out = folder / "out"
    out.mkdir()
    clock = time.process_time if args.processor_time else time.perf_counter
    swap = compare(
        lambda: as_stream(swapper, clip, identity, out),
        lambda: as_files(swapper, clip, identity, out),
        args.rounds,
        clock,
    )
    detection = compare(lambda: follow(swapper, clip, identity), lambda: detect_all(swapper, clip), args.rounds, clock)
    count = len(clip.frames)
    stream, files = (round(count / seconds, 1) for seconds in swap["seconds"])
    film = FILM_HOURS * 3600 * FILM_RATE
    return {
        "machine": machine_name(args.device),
        "threads": args.threads,
        "clock": "processor" if args.processor_time else "wall",
        "frames": count,
        "size": list(clip.frames[0].shape[1::-1]),
        "network": swapper.model.name,
        "frames per second": {"stream": stream, "files": files},
        "stream to files": swap,
        "milliseconds per frame": {
            "followed": round(detection["seconds"][0] / count * 1e3, 1),
            "detected in every frame": round(detection["seconds"][1] / count * 1e3, 1),
        },
        "detection in every frame to following": detection,
        f"forecast for {FILM_HOURS} hours at {FILM_RATE} frames per second": (
            f"{film} frames / {stream} = {film / stream / 3600:.1f} hours of one such machine"
        ),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", help="video (default: a rendered head)")
    parser.add_argument("--source", help="picture of the source person (default: rendered)")
    parser.add_argument("--model", help="file of a swapping network (default: the demo model)")
    parser.add_argument("--pack", help="face analysis pack (default: the demo pack)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--frames", type=int, default=100, help="number of frames, at most")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(args, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
