"""Time of 1080p frames from detection to the finished picture, by stage."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from contenders import make_generator

from styleswap_core.compositing.canvas import Canvas
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.identities.identity import Identity
from styleswap_core.io.images import to_uint8
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappingNetwork
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

WIDTH, HEIGHT = 1920, 1080
FACE_SIDE = 480


def make_frames(faces: int, count: int, rendered: int = FACE_SIDE) -> list[np.ndarray]:
    """Frames (1080, 1920, 3) uint8: heads on a gradient that move a few pixels per frame.

    Args:
        faces: Number of heads.
        count: Number of frames.
        rendered: Side at which heads are rendered before they are enlarged to FACE_SIDE.
    """
    small = render(Identities.from_seeds(range(faces)), Attributes.from_seeds(range(faces)), size=rendered).image
    heads = to_uint8(torch.nn.functional.interpolate(small, (FACE_SIDE, FACE_SIDE), mode="bilinear"))
    ramp = np.linspace(40, 200, WIDTH, dtype=np.uint8)
    background = np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3))
    frames = []
    for number in range(count):
        frame = background.copy()
        for place, head in enumerate(heads):
            x = 60 + place * 620 + 3 * number
            y = 250 + 2 * number
            frame[y : y + FACE_SIDE, x : x + FACE_SIDE] = head
        frames.append(frame)
    return frames


class Stages:
    """Seconds spent in each stage; the device is synchronized around each, so that stages do not overlap.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device

    def timed(self, stage: str, function: Callable) -> Callable:
        """Wrap a function so that its time is added to a stage."""

        def run(*arguments, **options):
            self._synchronize()
            start = time.perf_counter()
            result = function(*arguments, **options)
            self._synchronize()
            self.seconds[stage] += time.perf_counter() - start
            return result

        return run

    @contextmanager
    def watching(self, owner: type, **stages: str) -> Iterator[None]:
        """Context in which methods of a class are timed, given as method=stage."""
        originals = {method: getattr(owner, method) for method in stages}
        for method, stage in stages.items():
            setattr(owner, method, self.timed(stage, originals[method]))
        try:
            yield
        finally:
            for method, original in originals.items():
                setattr(owner, method, original)

    def _synchronize(self) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()


class CachedAnalysis:
    """A face analysis with precomputed detections, to time everything except detection."""

    def __init__(self, analyzer, frames: list[np.ndarray]) -> None:
        self.recognizer = analyzer.recognizer
        # By identity: uint8 frames reach the analysis unchanged, and the caller keeps them alive.
        self._found = {id(frame): analyzer.detect(frame, embed=False) for frame in frames}

    def detect(self, picture: np.ndarray, order: str = "largest", embed: bool = True, quick: bool = False):
        """The faces of one of the frames, which must be the same object."""
        return self._found[id(picture)]


@torch.no_grad()
def measure(
    contender: str, name: str, faces: int, device: str, seconds: float, count: int, rendered: int = FACE_SIDE
) -> dict:
    """Milliseconds per frame of each stage by itself, and of the whole stream.

    The whole stream is timed with detection and generator one after the other ("in turn") and overlapped ("beside").
    """
    generator, embedding = make_generator(name)
    generator = generator.to(device)
    # As many threads as the generator; by default, ONNX Runtime would use all cores.
    analyzer = load_face_analysis(providers=["CPUExecutionProvider"], threads=torch.get_num_threads())
    identity = Identity(embedding[0], analyzer.recognizer)
    frames = make_frames(faces, count, rendered)
    found = [len(analyzer.detect(frame, embed=False)) for frame in frames]
    baked = contender != "unbaked"
    dtype = getattr(torch, contender.split("-")[1]) if baked else None
    model = StyleSwapNetwork(generator, baked=baked, dtype=dtype)
    stages = Stages(device)

    def swap(analysis, network: SwappingNetwork, beside: bool = False) -> None:
        swapper = Swapper(network, analysis, background_detection=beside)
        for _ in swapper.swap_frames(frames, identity, FaceChoice("all", "left-right")):
            pass

    swap(analyzer, model)
    rounds, start, detect = 0, time.perf_counter(), stages.timed("detection", analyzer.detect)
    cached = CachedAnalysis(analyzer, frames)
    with (
        stages.watching(Canvas, read_crops="cutting crops", paste="pasting back"),
        stages.watching(StyleSwapNetwork, swap_crops="generator"),
    ):
        while not rounds or time.perf_counter() - start < seconds:
            for frame in frames:
                detect(frame, embed=False)
            stages.timed("without detection", swap)(cached, model)
            rounds += 1
    whole = Stages(device)
    for _ in range(rounds):
        whole.timed("in turn", swap)(analyzer, model)
        whole.timed("beside", swap)(analyzer, model, beside=True)
    split = {stage: spent / rounds / count * 1e3 for stage, spent in stages.seconds.items()}
    split["masks and copies"] = split.pop("without detection") - sum(
        split[stage] for stage in ("generator", "cutting crops", "pasting back")
    )
    return {
        "ms_per_frame": split,
        "whole_ms_per_frame": {way: spent / rounds / count * 1e3 for way, spent in whole.seconds.items()},
        "faces_found": sum(found) / count,
    }
