"""Which form of the generator, or of its training, is best at one small equal budget: trains every variant, evaluates it,
writes a table.

    python benchmarks/ablation.py --data runs/data/columns --out runs/ablation --table docs/ablation.md
    python benchmarks/ablation.py --study unpaired --data runs/data/columns --out runs/unpaired --table docs/unpaired.md

Stopped at any moment, it goes on with the same command: a trained or evaluated variant is not done again.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from comparison import comparison_table, judged, write_page

from styleswap_core.training import photograph_defaults

# The paper's own paradigm never sees an exact swap: identity, realism and mask are all that judge its swaps.
_PAPER = {
    "exact_swap": False,
    "weights.adversarial": 0.1,
    "weights.feature_matching": 1.0,
    "weights.identity": 2.0,
    "weights.truth_identity": 0.0,
    "weights.perceptual": 1.0,
}

# Light terms of the recognizer: at full weight they slow the others down for long.
_BASE = {
    "warmup_steps": 50,
    "schedule": "linear",
    "weights.adversarial": 0.0,
    "weights.identity": 0.0,
    "weights.truth_identity": 0.5,
    "weights.perceptual": 0.3,
    "weights.swap_perceptual": 0.3,
    "weights.mask": 2.0,
}

_ARCHITECTURE: dict[str, dict] = {
    "block (base)": {},
    "masking none": {"model_overrides.attribute_masking": "none"},
    "masking mean": {"model_overrides.attribute_masking": "mean"},
    "injection at every convolution": {"model_overrides.attribute_injection": "every_conv"},
    "no mask branch": {"model_overrides.mask_branch": False, "model_overrides.attribute_masking": "none"},
    "Adam in place of Muon": {"optimizer": "adam"},
    "no exact swaps (the paper's paradigm)": _PAPER,
    "no exact swaps, swapped back": {
        "exact_swap": False,
        "back_translated_share": 0.5,
        "back_translation_start": 100,
        "weights.identity": 2.0,
    },
}


def _flat(settings: dict) -> dict:
    # {"weights": {"identity": 2}} -> {"weights.identity": 2}
    plain = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    return plain | {
        f"{table}.{name}": value
        for table, values in settings.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }


_PHOTOGRAPHS = _flat(photograph_defaults.PHOTOGRAPH_DEFAULTS)
_UNPAIRED: dict[str, dict] = {
    "with exact swaps": {"weights.swap_sharpness": 2.0},
    "the paper's own terms": _PAPER,
    "back-translation alone": {
        **_PHOTOGRAPHS,
        "occluded_share": 0.0,
        "consistency_share": 0.0,
        "back_translated_share": 0.5,
    },
    "occlusion and back-translation, no consistency": {**_PHOTOGRAPHS, "consistency_share": 0.0},
    "default for photographs": _PHOTOGRAPHS,
    "the default, with a quarter of each batch from the face world": {**_PHOTOGRAPHS, "world_share": 0.25},
}
TITLES = {
    "architecture": "Ablation\n\nEvery variant differs from the first as its name states; all are trained and evaluated in the same way:",
    "unpaired": "Training without exact swaps\n\nThe face world has the exact result of every swap. In this study, as with "
    "photographs, training does not see it; only the evaluation does:",
}
STUDIES = {"architecture": _ARCHITECTURE, "unpaired": _UNPAIRED}
KEYS = (
    "face_psnr",
    "psnr",
    "ssim",
    "sharpness_ratio",
    "id_retrieval_top1",
    "id_cos_target",
    "mask_iou",
    "outside_l1",
    "pose_error_deg",
    "expression_error",
    "gaze_error_deg",
)


def folder_name(variant: str) -> str:
    """Where a variant is trained, below the folder for all."""
    return "".join(c if c.isalnum() else "-" for c in variant).strip("-")


def train(variant: str, args: argparse.Namespace) -> None:
    """Train a variant, or go on with it; nothing if it is finished."""
    run = args.out / folder_name(variant)
    if (run / "finished").exists():
        return
    settings = {
        "model": args.model,
        "data": str(args.data),
        "steps": args.steps,
        "batch": args.batch,
        "checkpoint_every": 500,
        **_BASE,
        **STUDIES[args.study][variant],
    }
    if settings.get("world_share"):
        settings["world_data"] = str(args.data)
    if args.recognizer:
        settings["recognizer"] = str(args.recognizer)
    command = [
        sys.executable,
        "-m",
        "styleswap_core.cli",
        "train",
        "--out",
        str(run),
        "--resume",
        "--threads",
        str(args.threads),
    ]
    for key, value in settings.items():
        command += ["--set", f"{key}={json.dumps(value)}"]
    run.mkdir(parents=True, exist_ok=True)
    with open(run / "output.txt", "a", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    (run / "finished").touch()


def evaluate(variant: str, args: argparse.Namespace) -> dict:
    """The report of `styleswap evaluate` on a trained variant, made if it is not there."""
    run = args.out / folder_name(variant)
    return judged(run / "generator_ema.safetensors", run / "evaluation.json", args.identities, args.seed)


def table(reports: dict[str, dict], args: argparse.Namespace) -> str:
    """Markdown, with the command that makes it."""
    page = "docs/ablation.md" if args.study == "architecture" else f"docs/{args.study}.md"
    head = (
        f"# {TITLES[args.study]}\n\n```\n"
        f"python benchmarks/ablation.py --study {args.study} --data runs/data/columns --out runs/{args.study} --model {args.model} "
        f"--steps {args.steps} --batch {args.batch} --table {page}\n```\n\n"
        f"Preset `{args.model}`, {args.steps} steps of {args.batch} pictures, {args.identities} unseen people x 4 settings, "
        f"seed {args.seed}.\n\n"
    )
    return head + comparison_table("variant", reports, KEYS)


def main() -> None:
    """Train and evaluate all variants, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of columns")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument(
        "--recognizer", type=Path, help="ONNX file that drives the generators (default: the demo pack's)"
    )
    parser.add_argument("--model", default="demo-64")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--identities", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--threads", type=int, default=1, help="per training")
    parser.add_argument("--parallel", type=int, default=3, help="trainings at once")
    parser.add_argument(
        "--study",
        choices=list(STUDIES),
        default="architecture",
        help="of the generator's form, or of training without exact swaps",
    )
    parser.add_argument("--only", nargs="+", help="train these variants and stop")
    args = parser.parse_args()
    variants = STUDIES[args.study]
    if not set(args.only or ()) <= set(variants):
        parser.error(f"--only: the study {args.study} has {', '.join(variants)}")
    with ThreadPoolExecutor(args.parallel) as pool:
        list(pool.map(lambda variant: train(variant, args), args.only or variants))
    if args.only:
        return
    text = table({variant: evaluate(variant, args) for variant in variants}, args)
    print(text)
    if args.table:
        write_page(args.table, text)


if __name__ == "__main__":
    main()
