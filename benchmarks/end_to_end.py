"""1080p frames from the detector to the finished picture, split by stage."""

from __future__ import annotations

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


def make_frames(faces: int, count: int) -> list[np.ndarray]:
    """(1080, 1920, 3) uint8 each: rendered heads on a gradient, a few pixels further in every frame."""
    heads = to_uint8(
        render(Identities.from_seeds(range(faces)), Attributes.from_seeds(range(faces)), size=FACE_SIDE).image
    )
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
    """Seconds spent in each stage; synchronises the device around each, so that its time is its own."""

    def __init__(self, device: str) -> None:
        """device: "cpu" or "cuda"."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device

    def timed(self, stage: str, function: Callable) -> Callable:
        """The function, with its time added to a stage."""

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
        """Time methods of a class: method = stage."""
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


class Remembered:
    """A face analysis that has seen all frames already: what remains is the work after detection."""

    def __init__(self, analyzer, frames: list[np.ndarray]) -> None:
        self.recognizer = analyzer.recognizer
        # By object: uint8 frames reach the analysis as they are, and the caller keeps them alive.
        self._found = {id(frame): analyzer.detect(frame, embed=False) for frame in frames}

    def detect(self, picture: np.ndarray, order: str = "largest", embed: bool = True):
        """What was found in one of the frames, the very object."""
        return self._found[id(picture)]


@torch.no_grad()
def measure(contender: str, name: str, faces: int, device: str, seconds: float, count: int) -> dict:
    """Milliseconds per frame of each stage, each alone, and of the whole: detection in turn with the generator and beside it."""
    generator, embedding = make_generator(name)
    generator = generator.to(device)
    # As many threads as the generator: ONNX Runtime would take all processors.
    analyzer = load_face_analysis(providers=["CPUExecutionProvider"], threads=torch.get_num_threads())
    identity = Identity(embedding[0], analyzer.recognizer)
    frames = make_frames(faces, count)
    found = [len(analyzer.detect(frame, embed=False)) for frame in frames]
    baked = contender != "unbaked"
    dtype = getattr(torch, contender.split("-")[1]) if baked else None
    model = StyleSwapNetwork(generator, baked=baked, dtype=dtype)
    stages = Stages(device)

    def swap(analysis, network: SwappingNetwork, beside: bool = False) -> None:
        swapper = Swapper(network, analysis, detect_beside=beside)
        for _ in swapper.swap_frames(frames, identity, FaceChoice("all", "left-right")):
            pass

    swap(analyzer, model)
    rounds, start, detect = 0, time.perf_counter(), stages.timed("detection", analyzer.detect)
    remembered = Remembered(analyzer, frames)
    with (
        stages.watching(Canvas, read_crops="cutting crops", paste="pasting back"),
        stages.watching(StyleSwapNetwork, swap_crops="generator"),
    ):
        while not rounds or time.perf_counter() - start < seconds:
            for frame in frames:
                detect(frame, embed=False)
            stages.timed("without detection", swap)(remembered, model)
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
