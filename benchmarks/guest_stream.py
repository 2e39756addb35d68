"""1080p frames with a guest network: this project's stream against a plain loop, with the same network and detector.

The loop is the one that most face swap packs have: insightface's `FaceAnalysis.get` on each frame, then its
`INSwapper.get`, which warps the swapped crop and two masks over the whole frame. The network is a generator with random
weights, exported in inswapper's form.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from contenders import make_generator
from end_to_end import make_frames

from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.packs import build_analysis, find_pack, session_options, stdout_to_stderr
from styleswap_core.identities.identity import Identity
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.guest_files import read_guest
from styleswap_core.swappers.guest_network import GuestNetwork

PROVIDERS = ["CPUExecutionProvider"]


class _SourceFace:
    """Source of insightface's swapper."""

    def __init__(self, embedding: np.ndarray) -> None:
        self.normed_embedding = embedding


def measure(name: str, faces: int, seconds: float, count: int) -> dict:
    """Milliseconds per frame of the stream, of the loop, and of the network alone.

    Args:
        name: Preset of the network.
        faces: Faces per frame.
        seconds: Approximate time for each of the three, which alternate.
        count: Number of frames.
    """
    threads = torch.get_num_threads()
    frames = make_frames(faces, count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inswapper_128.onnx"
        generator, embedding = make_generator(name)
        export_guest(path, generator, "inswapper", template_ok=True)
        stream = _stream(path, embedding[0], frames, threads)
        loop, network = _plain_loop(path, embedding[0].numpy(), frames, threads)
        spent: dict[str, list[float]] = {"stream": [], "loop": [], "network": []}
        start = time.perf_counter()
        while time.perf_counter() - start < 3 * seconds or len(spent["loop"]) < 2:
            for label, run in (("stream", stream), ("loop", loop), ("network", lambda: network(faces * count))):
                began = time.perf_counter()
                run()
                spent[label].append(time.perf_counter() - began)
    # The first round warms up.
    return {label: float(np.median(times[1:])) / count * 1e3 for label, times in spent.items()}


def _stream(path: Path, embedding: torch.Tensor, frames: list[np.ndarray], threads: int) -> Callable[[], None]:
    """This project's way, at the network's own resolution."""
    analyzer = load_face_analysis(providers=PROVIDERS, threads=threads)
    network = GuestNetwork(read_guest(path), torch.device("cpu"), any_recognizer=True, threads=threads)
    swapper = Swapper(network, analyzer, SwapOptions(resolution=1))
    identity = Identity(embedding, analyzer.recognizer)

    def run() -> None:
        for result in swapper.swap_frames(frames, identity, FaceChoice("all", "left-right")):
            assert result.faces, "expected a face in every frame"

    return run


def _plain_loop(
    path: Path, embedding: np.ndarray, frames: list[np.ndarray], threads: int
) -> tuple[Callable[[], None], Callable[[int], None]]:
    """The peer's way, and its network alone, for a number of faces."""
    with stdout_to_stderr():
        from insightface.model_zoo.inswapper import INSwapper

        analysis = build_analysis(find_pack(None), PROVIDERS, threads)
        analysis.prepare(ctx_id=-1, det_thresh=0.5, det_size=(640, 640))
        session = onnxruntime.InferenceSession(str(path), providers=PROVIDERS, **session_options(threads))
        # Its inputs have a free batch dimension; the class needs the size only.
        swapper = INSwapper(str(path), session)
    source = _SourceFace(embedding)

    def loop() -> None:
        for frame in frames:
            bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
            found = analysis.get(bgr)
            assert found, "expected a face in every frame"
            for face in found:
                bgr = swapper.get(bgr, face, source, paste_back=True)
            cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    crop = np.random.default_rng(0).random((1, 3, *swapper.input_size), dtype=np.float32)
    latent = embedding[None]

    def network(calls: int) -> None:
        for _ in range(calls):
            swapper.session.run(swapper.output_names, {swapper.input_names[0]: crop, swapper.input_names[1]: latent})

    return loop, network
