"""Likeness and faithfulness of swaps at several strengths, on rendered pictures.

    python benchmarks/strength.py

The network is a guest, the demo generator exported in the form of HyperSwap (another one with --model). For each
strength: cosine similarity of the result to the source and to the target, and PSNR to the exact swap inside the mask,
averaged over random scenes.
"""

import argparse
import random
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch

from styleswap_core import Identity, SwapOptions, Swapper, load_face_analysis, load_model
from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.io.images import to_uint8
from styleswap_core.synthetic.scene import PEOPLE, SETTINGS, SyntheticScene


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, metavar="FILE", help="network (default: the demo, exported)")
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.5, 1.0, 1.25, 1.5], metavar="S")
    parser.add_argument("--scenes", type=int, default=24, metavar="N")
    parser.add_argument("--size", type=int, default=256, metavar="PX")
    parser.add_argument("--seed", type=int, default=11, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or export_demo(Path(folder))
        swapper = Swapper(load_model(model, "cpu"), load_face_analysis())
        rows: dict[float, list[tuple[float, float, float]]] = {strength: [] for strength in args.strengths}
        draw = random.Random(args.seed)
        while len(rows[args.strengths[0]]) < args.scenes:
            scene = SyntheticScene(
                draw.randrange(PEOPLE),
                draw.randrange(PEOPLE),
                draw.randrange(SETTINGS),
                draw.randrange(SETTINGS),
                size=args.size,
            )
            for strength, row in measure(swapper, scene, args.strengths).items():
                rows[strength].append(row)
    print("| strength | similarity to the source | to the target | PSNR |\n| ---: | ---: | ---: | ---: |")
    for strength, found in rows.items():
        source, target, psnr = map(statistics.mean, zip(*found, strict=True))
        print(f"| {strength:g} | {source:.2f} | {target:.2f} | {psnr:.1f} |")


def export_demo(folder: Path) -> Path:
    """The demo generator in the form of HyperSwap."""
    path = folder / "demo_hyperswap.onnx"
    export_guest(path, load_generator(DEMO_MODEL)[0], "hyperswap", template_ok=True)
    return path


def measure(swapper: Swapper, scene: SyntheticScene, strengths: list[float]) -> dict[float, tuple[float, float, float]]:
    """Similarity to source and target, and PSNR, for each strength; nothing if a face is not found."""
    source, target, exact = (
        to_uint8(picture[None])[0]
        for picture in (next(scene.source_photos()), scene.target_frame(0)[0], scene.exact_frame(0))
    )
    people = swapper.analysis.detect(source)
    if not people or not swapper.analysis.detect(target):
        return {}
    identity = Identity(torch.from_numpy(people[0].id_embedding), swapper.analysis.recognizer)
    rows = {}
    for strength in strengths:
        result = swapper.swap(target, identity, options=SwapOptions(strength=strength))
        inside = result.mask.numpy() > 0.5
        error = np.square(np.asarray(result.image, dtype=float) - exact)[inside].mean()
        (face,) = result.faces
        rows[strength] = face.similarity, face.similarity_to_target, 10 * np.log10(255.0**2 / error)
    return rows


if __name__ == "__main__":
    main()
