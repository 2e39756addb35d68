"""From a folder of pictures to a judged generator, by the command line alone: prepare, train (two processes), evaluate.

    python benchmarks/own_pictures.py --data runs/data/columns --out runs/own-pictures --table docs/own-pictures.md

The pictures are of people of the face world, three files of each and a video of some, so that held-out exact swaps can
judge. Training sees the prepared set alone. Beside it stand the same network untrained, and one trained with exact
swaps at the same budget, on the columns. Stopped at any moment, it goes on with the same command.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from commands import styleswap
from comparison import comparison_table, judged, write_page

from styleswap_core.metrics.suite_synthetic import DEFAULT_SEED
from styleswap_core.synthetic.columns import ColumnSet

PHOTOS, FILMED, SECONDS, RATE = 3, 60, 1, 10
KEYS = (
    "id_retrieval_top1",
    "id_cos_other_photo",
    "id_cos_target",
    "face_psnr",
    "psnr",
    "sharpness_ratio",
    "mask_iou",
    "expression_error",
)


def write_pictures(columns: Path, folder: Path, people: int) -> None:
    """JPEG files in a tree of folders with spaces in their names, and one video in which people take turns."""
    pictures = ColumnSet(columns)
    seeds, images = np.asarray(pictures.identity_seeds), pictures.images
    places = [list(zip(*np.nonzero(seeds == seed), strict=True)) for seed in np.unique(seeds)]
    places = [found for found in places if len(found) > PHOTOS][:people]
    if len(places) < people:
        raise SystemExit(f"expected {people} people with {PHOTOS + 1} pictures each, {columns} has {len(places)}")
    bgr = [
        [np.ascontiguousarray(images[place].transpose(1, 2, 0)[..., ::-1]) for place in found[: PHOTOS + 1]]
        for found in places
    ]
    for number, shown in enumerate(bgr):
        home = folder / f"album {number % 10}" / f"person {number:03d}"
        home.mkdir(parents=True, exist_ok=True)
        for photo, picture in enumerate(shown[:PHOTOS]):
            cv2.imwrite(str(home / f"{photo}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    side = bgr[0][0].shape[0]
    video = cv2.VideoWriter(str(folder / "a video.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), RATE, (side, side))
    for shown in bgr[:FILMED]:
        for _ in range(SECONDS * RATE):
            video.write(shown[PHOTOS])
    video.release()


def train(args: argparse.Namespace, run: Path, data: Path, steps: int, settings: dict) -> Path:
    """Two processes of one thread; the generator's file."""
    words = [
        "train",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--resume",
        "--out",
        str(run),
        "--set",
        f"data={data}",
        "--set",
        f"model={args.model}",
        "--set",
        f"steps={steps}",
        "--set",
        f"batch={args.batch}",
        "--set",
        "warmup_steps=50",
        "--set",
        "schedule=linear",
        "--set",
        "checkpoint_every=200",
        "--set",
        "sample_every=100000",
    ]
    for name, value in settings.items():
        words += ["--set", f"{name}={json.dumps(value)}"]
    styleswap(words, threads=1, processes=2)
    return run / "generator_ema.safetensors"


def table(args: argparse.Namespace, prepared: dict, reports: dict[str, dict]) -> str:
    """Markdown."""
    return (
        f"# From a folder of pictures to a judged generator\n\n```\npython benchmarks/own_pictures.py --data runs/data/columns --out "
        f"runs/own-pictures --steps {args.steps} --batch {args.batch} --table docs/own-pictures.md\n```\n\n"
        f"{PHOTOS * args.people} JPEG files of {args.people} people and a video of {FILMED} go through `styleswap prepare` "
        f"({prepared['pictures']} pictures kept, {prepared['people']} people told apart by likeness), `styleswap train` "
        f"(`{args.model}`, two processes, {args.steps} steps of {args.batch} pictures, default settings for photographs) and "
        f"`styleswap evaluate` ({args.identities} unseen people x 4 settings). The line with exact swaps is the same network at "
        "the same budget on the columns, with the terms of the demo model.\n\n"
        + comparison_table("generator", reports, KEYS)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of columns")
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--model", default="demo-32")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=36)
    parser.add_argument("--identities", type=int, default=50)
    args = parser.parse_args()
    photos, prepared = args.out / "pictures", args.out / "prepared"
    if not (photos / "a video.mp4").exists():
        write_pictures(args.data, photos, args.people)
    styleswap(["prepare", str(photos), str(prepared), "--size", "64"], threads=1)
    exact = {
        "weights.adversarial": 0,
        "weights.identity": 1,
        "weights.truth_identity": 2,
        "weights.mask": 2,
        "weights.swap_gradients": 3,
        "weights.swap_laplacian": 3,
    }
    models = {
        "untrained": train(args, args.out / "untrained", prepared, 1, {}),
        "trained on the prepared pictures": train(args, args.out / "photographs", prepared, args.steps, {}),
        "trained with exact swaps": train(args, args.out / "exact", args.data, args.steps, exact),
    }
    reports = {
        name: judged(model, model.parent / "evaluation.json", args.identities, DEFAULT_SEED)
        for name, model in models.items()
    }
    text = table(args, json.loads((prepared / "prepared.json").read_text(encoding="utf-8")), reports)
    print(text)
    if args.table:
        write_page(args.table, text)


if __name__ == "__main__":
    main()
