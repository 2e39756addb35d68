"""`styleswap demo`: two rendered faces, swapped through the same files and code as `styleswap swap`."""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from .arguments import whole_number
from .swap_command import add_model_arguments, load_swapper

SIZE = 512
"""Side in pixels of the rendered pictures."""

COLUMNS = ("source", "target", "result", "mask", "exact swap")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap demo`."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="FOLDER", help="where to write (demo-output)"
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="other people, other settings (0)")
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Render, swap, write source.png, target.png, result.png, mask.png and sheet.png; returns 0."""
    from ..identities.provenance import MARK
    from ..io.images import load_image, save_image
    from ..io.sheets import labeled_sheet
    from .swap_setup import say

    start = time.perf_counter()
    swapper = load_swapper(args)
    args.out.mkdir(parents=True, exist_ok=True)
    paths = {name: args.out / f"{name}.png" for name in ("source", "target", "result", "mask", "sheet")}
    exact, points = _render(args.seed, paths)
    identity, _ = swapper.identify([paths["source"]])
    done = swapper.swap_file(identity, paths["target"], paths["result"], paths["mask"], rendered_source=True)
    pictures = [load_image(paths[name]) for name in ("source", "target", "result", "mask")]
    save_image(paths["sheet"], labeled_sheet([[*pictures, exact]], COLUMNS, cell=320), {MARK: "face swapped"})
    if done.report["notice"]:
        say(done.report["notice"])
    face = done.report["faces"][0]
    report = {
        "files": {name: str(path) for name, path in paths.items()},
        "likeness_to_source": {
            "target": face["similarity_before"],
            "result": face["similarity"],
            "exact_swap": round(float(swapper.analyzer.embed(exact, points) @ identity.id_embedding.numpy()), 4),
        },
        "swap_seconds": done.report["seconds"],
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
    # The source's picture, the target's, and the source's face under all that is the target's, body included.
    face, setting, body = torch.tensor([0, 1, 0]), torch.tensor([0, 1, 1]), torch.tensor([0, 1, 1])
    with one_thread():
        rendered = render(people[face], settings[setting], size=SIZE, body=people[body])
    source, target, exact = to_uint8(rendered.image)
    for name, picture in (("source", source), ("target", target)):
        save_image(paths[name], picture, {PROVENANCE_KEY: PROVENANCE_SYNTHETIC})
    return exact, rendered.points[2].numpy()


def _text(report: dict) -> str:
    likeness = report["likeness_to_source"]
    measured = "not measured: the pack's recognizer is not the model's"
    if likeness["result"] is not None:
        measured = (
            f"{likeness['result']:.2f} (the untouched target {likeness['target']:.2f}, "
            f"the exact swap {likeness['exact_swap']:.2f})"
        )
    return "\n".join(
        [
            f"likeness of the result to the source, cosine by the recognizer: {measured}",
            f"the swap took {report['swap_seconds']:.2f} s, everything {report['seconds']:.1f} s",
            f"look at {report['files']['sheet']}",
        ]
    )
