"""Training on a folder of pictures, entirely by the command line: prepare, train (two processes), evaluate.

    python benchmarks/own_pictures.py --data runs/data/columns --out runs/own-pictures --table docs/own-pictures.md

The pictures show people of the face world, three files of each and a video of some, so that the result can be compared
with exact swaps of held-out people. Training sees only the prepared set. For comparison, the same network is evaluated
untrained, and trained with exact swaps on the columns at the same budget. An interrupted run continues with the same
command.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from commands import assignments, styleswap
from comparison import comparison_table, evaluated, write_page

from styleswap_core.metrics.suite_synthetic import DEFAULT_SEED
from styleswap_core.synthetic.columns import ColumnSet

# Photos per person; people in the video, seconds of each, and frames per second.
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
    """Write JPEG files into folders with spaces in their names, and one video that shows people one after another."""
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
    for number, faces in enumerate(bgr):
        home = folder / f"album {number % 10}" / f"person {number:03d}"
        home.mkdir(parents=True, exist_ok=True)
        for photo, picture in enumerate(faces[:PHOTOS]):
            cv2.imwrite(str(home / f"{photo}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    side = bgr[0][0].shape[0]
    video = cv2.VideoWriter(str(folder / "a video.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), RATE, (side, side))
    for faces in bgr[:FILMED]:
        for _ in range(SECONDS * RATE):
            video.write(faces[PHOTOS])
    video.release()


def train(args: argparse.Namespace, run: Path, data: Path, steps: int, settings: dict) -> Path:
    """Train in two processes with one thread each; returns the generator file."""
    common = {
        "data": data,
        "model": args.model,
        "steps": steps,
        "batch": args.batch,
        "warmup_steps": 50,
        "schedule": "linear",
        "checkpoint_every": 200,
        "sample_every": 100_000,
    }
    words = ["train", "--device", "cpu", "--threads", "1", "--resume", "--out", str(run)]
    styleswap([*words, *assignments({**common, **settings})], threads=1, processes=2)
    return run / "generator_ema.safetensors"


def table(args: argparse.Namespace, prepared: dict, reports: dict[str, dict]) -> str:
    """The generated part of the page."""
    command = (
        "python benchmarks/own_pictures.py --data runs/data/columns --out runs/own-pictures"
        f" --steps {args.steps} --batch {args.batch} --table docs/own-pictures.md"
    )
    training = f"`{args.model}`, two processes, {args.steps} steps of {args.batch} pictures"
    return (
        f"# Training on a folder of pictures\n\n```\n{command}\n```\n\n"
        f"{PHOTOS * args.people} JPEG files of {args.people} people and a video of {FILMED} of them are processed by"
        f" `styleswap prepare` (which keeps {prepared['pictures']} pictures and distinguishes {prepared['people']}"
        f" people), `styleswap train` ({training}, default settings for photographs) and `styleswap evaluate`"
        f" ({args.identities} unseen people x 4 settings). The last row is the same network, trained on the columns"
        " with exact swaps and the loss terms of the demo model, at the same budget.\n\n"
        + comparison_table("generator", reports, KEYS)
    )


def main() -> None:
    """Prepare, train, evaluate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of columns")
    parser.add_argument("--out", type=Path, required=True, help="folder for all results")
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
        name: evaluated(model, model.parent / "evaluation.json", args.identities, DEFAULT_SEED)
        for name, model in models.items()
    }
    text = table(args, json.loads((prepared / "prepared.json").read_text(encoding="utf-8")), reports)
    print(text)
    if args.table:
        write_page(args.table, text)


if __name__ == "__main__":
    main()
