"""Training on photographs with and without a teacher, entirely by the command line: prepare, train, evaluate.

    python benchmarks/with_teacher.py --out runs/teacher --table docs/teacher.md

The pictures show people of the face world and are prepared as if they were photographs. The teacher is the demo model,
exported in the form of inswapper files, which take a recognizer's embedding and have no mask. The same network is
trained on the prepared pictures without the teacher, with the teacher's swaps as targets, and, for comparison, with the
exact swaps of the renderer; all see the same number of pictures. The evaluation compares with exact swaps of people who
appear in no training data. An interrupted run continues with the same command.
"""

import argparse
import json
import shutil
from pathlib import Path

from commands import assignments, styleswap
from comparison import comparison_table, evaluated, write_page
from own_pictures import KEYS, write_pictures

from styleswap_core.checkpoints import DEMO_MODEL
from styleswap_core.metrics.suite_synthetic import DEFAULT_SEED

# Size of the pictures, members of a column, and rendered pictures of ten people.
SIZE, MEMBERS, PICTURES = 64, 4, 48
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
    """Render pictures, at least `PHOTOS + 1` of each person."""
    if args.data is not None:
        return args.data
    folder, count = args.out / "columns", PICTURES * args.people // (10 * MEMBERS)
    words = ["render", "columns", "--out", str(folder), "--columns", str(count), "--members", str(MEMBERS)]
    styleswap([*words, "--identities", str(args.people), "--size", str(SIZE)])
    return folder


def export_teacher(args: argparse.Namespace) -> Path:
    """The demo model in the form of inswapper files."""
    file = args.out / "demo_inswapper.onnx"
    if not file.exists():
        styleswap(["export", str(DEMO_MODEL), str(file), "--form", "inswapper", "--template-ok"])
    return file


def prepare(args: argparse.Namespace, columns: Path, teacher: Path) -> tuple[Path, Path]:
    """Sets without and with swaps of the teacher."""
    photos, plain, taught = args.out / "pictures", args.out / "prepared", args.out / "taught"
    if not (photos / "a video.mp4").exists():
        write_pictures(columns, photos, args.people)
    words = ["prepare", str(photos), str(plain), "--size", str(SIZE), "--workers", str(args.threads)]
    styleswap(words, threads=1)
    if not taught.exists():
        copy = args.out / "copy"
        shutil.copytree(plain, copy, dirs_exist_ok=True)
        copy.rename(taught)
    words = ["prepare", str(photos), str(taught), "--size", str(SIZE), "--workers", str(args.threads)]
    swaps = ["--teacher", str(teacher), "--teacher-swaps", str(args.swaps), "--device", "cpu"]
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
        "# Training with a teacher\n\n```\npython benchmarks/with_teacher.py --out runs/teacher"
        f" --steps {args.steps} --batch {args.batch} --table docs/teacher.md\n```\n\n"
        f"`styleswap prepare` makes a set of {manifest['pictures']} pictures of {args.people} people of the face world"
        f" and {card['kept'] + sum(card['dropped'].values())} swaps of them by the teacher {card['file']}, of which"
        f" {card['kept']} are kept. `{args.model}` is trained for {args.steps} steps of {args.batch} pictures;"
        f" the evaluation has {args.identities} unseen people x 4 settings.\n\n"
        + comparison_table("generator", reports, KEYS)
    )


def main() -> None:
    """Render, prepare, train, evaluate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all results")
    parser.add_argument("--data", type=Path, help="folder of columns of 64 px or more; by default they are rendered")
    parser.add_argument(
        "--teacher", type=Path, help="file of another teacher that takes the demo recognizer's embeddings"
    )
    parser.add_argument("--swaps", type=int, default=1, help="swaps per picture")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--model", default="demo-32")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--identities", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    columns, teacher = render_columns(args), args.teacher or export_teacher(args)
    plain, taught = prepare(args, columns, teacher)
    models = {
        "without a teacher": train(args, "without", plain, {}),
        "with the teacher's swaps": train(args, "with", taught, {}),
        "with exact swaps": train(args, "exact", columns, EXACT),
        "the demo model": DEMO_MODEL,
    }
    reports = {
        name: evaluated(model, args.out / f"{model.parent.name}.json", args.identities, DEFAULT_SEED)
        for name, model in models.items()
    }
    manifest = json.loads((taught / "prepared.json").read_text(encoding="utf-8"))
    text = table(args, manifest, reports)
    print(text)
    if args.table:
        write_page(args.table, text)


if __name__ == "__main__":
    main()
