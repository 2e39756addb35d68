"""`styleswap demo`: renders two faces and swaps them with the code and the kinds of files of `styleswap swap`."""

import argparse
import json
import time
from pathlib import Path
from typing import TypedDict

import numpy as np

from .arguments import add_json_argument, add_seed_argument, add_swapper_arguments
from .console import print_note
from .picture_files import SwapFiles

SIZE = 512
"""Side in pixels of the rendered pictures."""

COLUMNS = ("source", "target", "result", "mask", "exact swap")


class Similarities(TypedDict):
    """Cosine similarity of pictures to the source, by the face recognizer; None if it was not measured."""

    target: float | None
    result: float | None
    exact_swap: float


class DemoReport(TypedDict):
    """Report of the command."""

    files: dict[str, str]
    likeness_to_source: Similarities
    swap_seconds: float
    seconds: float
    model: dict[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap demo`."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo-output"),
        metavar="FOLDER",
        help="folder to write to (default: %(default)s)",
    )
    add_seed_argument(parser, "chooses the two people, their expression, pose and light")
    add_swapper_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Render, swap, and write source.png, target.png, result.png, mask.png and sheet.png; returns 0."""
    from ..identities.provenance import MARK
    from ..io.images import load_image, save_image
    from ..io.sheets import labeled_sheet
    from .file_swapper import FileSwapper

    start = time.perf_counter()
    swapper = FileSwapper.from_arguments(args)
    args.out.mkdir(parents=True, exist_ok=True)
    paths = {name: args.out / f"{name}.png" for name in ("source", "target", "result", "mask", "sheet")}
    exact, points = _render(args.seed, paths)
    identity, _ = swapper.identify([paths["source"]])
    files = SwapFiles(paths["target"], paths["result"], paths["mask"])
    swap = swapper.swap_file([identity], files, rendered_source=True)
    pictures = [load_image(paths[name]) for name in ("source", "target", "result", "mask")]
    save_image(paths["sheet"], labeled_sheet([[*pictures, exact]], COLUMNS, cell=320), {MARK: "face swapped"})
    if swap["notice"]:
        print_note(swap["notice"])
    face = swap["faces"][0]
    report: DemoReport = {
        "files": {name: str(path) for name, path in paths.items()},
        "likeness_to_source": {
            "target": face["similarity_before"],
            "result": face["similarity"],
            "exact_swap": round(float(swapper.analyzer.embed(exact, points) @ identity.id_embedding.numpy()), 4),
        },
        "swap_seconds": swap["seconds"],
        "seconds": round(time.perf_counter() - start, 1),
        "model": swapper.model_card(),
    }
    print(json.dumps(report, indent=1) if args.json else _text(report))
    return 0


def _render(seed: int, paths: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Write source and target; return the exact swap (S, S, 3) uint8 and its five points (5, 2)."""
    import torch

    from ..devices import one_thread
    from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC, save_image, to_uint8
    from ..synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities, pick_seeds
    from ..synthetic.world import render

    people = Identities.from_seeds(pick_seeds(IDENTITY_SEEDS["test"], 2, seed))
    settings = Attributes.from_seeds(pick_seeds(ATTRIBUTE_SEEDS["test"], 2, seed))
    # The source picture, the target picture, and the source's face with attributes and body of the target.
    face, setting, body = torch.tensor([0, 1, 0]), torch.tensor([0, 1, 1]), torch.tensor([0, 1, 1])
    with one_thread():
        rendered = render(people[face], settings[setting], size=SIZE, body=people[body])
    source, target, exact = to_uint8(rendered.image)
    for name, picture in (("source", source), ("target", target)):
        save_image(paths[name], picture, {PROVENANCE_KEY: PROVENANCE_SYNTHETIC})
    return exact, rendered.points[2].numpy()


def _text(report: DemoReport) -> str:
    target, result, exact = (report["likeness_to_source"][name] for name in ("target", "result", "exact_swap"))
    measured = "not measured, since the pack has another recognizer than the model"
    if target is not None and result is not None:
        measured = f"{result:.2f} (unchanged target: {target:.2f}, exact swap: {exact:.2f})"
    return "\n".join(
        [
            f"cosine similarity of the result to the source: {measured}",
            f"time: {report['swap_seconds']:.2f} s for the swap, {report['seconds']:.1f} s in total",
            f"result: {report['files']['sheet']}",
        ]
    )
