"""Training on photographs with and without a teacher, entirely by the command line: prepare, train, evaluate.

    python benchmarks/teacher.py --out runs/teacher --table docs/teacher.md

The pictures show people of the face world and are prepared as if they were photographs; the teacher is the demo model,
or any other network that knows the demo recognizer. The same network is trained on the prepared pictures without the
teacher, with the teacher's swaps as targets, and, as an upper bound, with the exact swaps of the renderer; all see the
same number of pictures. The evaluation compares with exact swaps of people whom no training has seen. An interrupted
run continues with the same command.
"""

import argparse
import json
import shutil
from pathlib import Path

from commands import assignments, styleswap
from comparison import comparison_table, evaluated, write_page
from own_pictures import KEYS, PHOTOS, write_pictures

from styleswap_core.checkpoints import DEMO_MODEL
from styleswap_core.metrics.suite_synthetic import DEFAULT_SEED

SIZE, MEMBERS = 64, 4
# Loss terms of the demo model, for training with exact swaps.
EXACT = {
    "weights.adversarial": 0,
    "weights.identity": 1,
    "weights.truth_identity": 2,
    "weights.mask": 2,
    "weights.swap_gradients": 3,
    "weights.swap_laplacian": 3,
}


def render_columns(args: argparse.Namespace) -> Path:
    """Render the pictures, about `PHOTOS + 1` of each person."""
    folder = args.data or args.out / "columns"
    if not (folder / "columns.json").exists() and args.data is None:
        count = (PHOTOS + 2) * args.people // MEMBERS
        words = ["render", "columns", "--out", str(folder), "--columns", str(count), "--members", str(MEMBERS)]
        styleswap([*words, "--identities", str(args.people), "--size", str(SIZE)])
    return folder


def prepare(args: argparse.Namespace, columns: Path) -> tuple[Path, Path]:
    """Sets without and with swaps of the teacher."""
    photos, plain, taught = args.out / "pictures", args.out / "prepared", args.out / "taught"
    if not (photos / "a video.mp4").exists():
        write_pictures(columns, photos, args.people)
    words = ["prepare", str(photos), str(plain), "--size", str(SIZE), "--workers", str(args.threads)]
    styleswap(words, threads=1)
    if not taught.exists():
        shutil.copytree(plain, args.out / "copy", dirs_exist_ok=True)
        (args.out / "copy").rename(taught)
    words = ["prepare", str(photos), str(taught), "--size", str(SIZE), "--workers", str(args.threads)]
    swaps = ["--teacher", str(args.teacher), "--teacher-swaps", str(args.swaps), "--device", "cpu"]
    styleswap([*words, *swaps], threads=args.threads)
    return plain, taught


def train(args: argparse.Namespace, name: str, data: Path, settings: dict[str, object]) -> Path:
    """Train a network, or continue; returns the generator file."""
    run = args.out / name
    common = {
        "data": data,
        "model": args.model,
        "steps": args.steps,
        "batch": args.batch,
        "warmup_steps": 50,
        "schedule": "linear",
        "checkpoint_every": 200,
        "sample_every": 100_000,
        "validation_images": 0,
    }
    words = ["train", "--device", "cpu", "--threads", str(args.threads), "--resume", "--out", str(run)]
    styleswap([*words, *assignments({**common, **settings})], threads=args.threads)
    return run / "generator_ema.safetensors"


def table(args: argparse.Namespace, manifest: dict, reports: dict[str, dict]) -> str:
    """The generated part of the page."""
    card = manifest["teacher"]
    return (
        "# Training with a teacher\n\n```\npython benchmarks/teacher.py --out runs/teacher"
        f" --steps {args.steps} --batch {args.batch} --table docs/teacher.md\n```\n\n"
        f"`styleswap prepare` makes a set of {manifest['pictures']} pictures of {args.people} people of the face world"
        f" and has every picture swapped {card['swaps']} time(s) by the teacher {card['file']}, of which"
        f" {card['kept']} swaps are kept. `{args.model}` is trained for {args.steps} steps of {args.batch} pictures;"
        f" the evaluation has {args.identities} unseen people x 4 settings.\n\n"
        + comparison_table("generator", reports, KEYS)
    )


def main() -> None:
    """Render, prepare, train, evaluate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all results")
    parser.add_argument("--data", type=Path, help="folder of columns of 64 px or more; by default they are rendered")
    parser.add_argument("--teacher", type=Path, default=DEMO_MODEL, help="file of the teacher")
    parser.add_argument("--swaps", type=int, default=1, help="swaps per picture")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--model", default="demo-32")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=36)
    parser.add_argument("--identities", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    columns = render_columns(args)
    plain, taught = prepare(args, columns)
    models = {
        "without a teacher": train(args, "without", plain, {}),
        "with the teacher's swaps": train(args, "with", taught, {}),
        "with exact swaps": train(args, "exact", columns, EXACT),
    }
    models["the teacher"] = args.teacher
    reports = {
        name: evaluated(model, args.out / f"{name}.json", args.identities, DEFAULT_SEED)
        for name, model in models.items()
    }
    manifest = json.loads((taught / "prepared.json").read_text(encoding="utf-8"))
    text = table(args, manifest, reports)
    print(text)
    if args.table:
        write_page(args.table, text)


if __name__ == "__main__":
    main()
