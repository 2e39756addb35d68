"""Ablation of the generator's architecture, or of training without exact swaps, at a small budget.

Trains and evaluates every variant with the same budget, and writes a table.

    python benchmarks/ablation.py --data runs/data/columns --out runs/ablation --table docs/ablation.md
    python benchmarks/ablation.py --study unpaired --data runs/data/columns --out runs/unpaired --table docs/unpaired.md

An interrupted run continues with the same command; finished variants are neither trained nor evaluated again.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commands import assignments, styleswap
from comparison import comparison_table, evaluated, write_page

from styleswap_core.training import photograph_defaults

# The paper trains without exact swaps: only identity, realism and mask terms apply to its swaps.
_PAPER = {
    "exact_swap": False,
    "weights.adversarial": 0.1,
    "weights.feature_matching": 1.0,
    "weights.identity": 2.0,
    "weights.truth_identity": 0.0,
    "weights.perceptual": 1.0,
}

# Low weights of the terms that use the recognizer: at full weight they slow down the others for long.
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
    "Adam instead of Muon": {"optimizer": "adam"},
    "no exact swaps (the paper's paradigm)": _PAPER,
    "no exact swaps, back-translation": {
        "exact_swap": False,
        "back_translated_share": 0.5,
        "back_translation_start": 100,
        "weights.identity": 2.0,
    },
}


def _flat(settings: dict) -> dict:
    """{"weights": {"identity": 2}} -> {"weights.identity": 2}."""
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
INTRODUCTIONS = {
    "architecture": "# Ablation\n\nEvery variant differs from the first as its name states; all are trained and"
    " evaluated in the same way:",
    "unpaired": "# Training without exact swaps\n\nThe face world has the exact result of every swap. In this study, as"
    " with photographs, training does not see it; only the evaluation does:",
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
    """Name of a variant's run folder."""
    return "".join(c if c.isalnum() else "-" for c in variant).strip("-")


def train(variant: str, args: argparse.Namespace) -> None:
    """Train a variant, or continue; does nothing if it is finished."""
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
    run.mkdir(parents=True, exist_ok=True)
    words = ["train", "--out", str(run), "--resume", "--threads", str(args.threads)]
    with open(run / "output.txt", "a", encoding="utf-8") as log:
        styleswap([*words, *assignments(settings)], log=log)
    (run / "finished").touch()


def evaluate(variant: str, args: argparse.Namespace) -> dict:
    """Report of `styleswap evaluate` on a trained variant."""
    run = args.out / folder_name(variant)
    return evaluated(run / "generator_ema.safetensors", run / "evaluation.json", args.identities, args.seed)


def table(reports: dict[str, dict], args: argparse.Namespace) -> str:
    """The generated part of the page."""
    page = "docs/ablation.md" if args.study == "architecture" else f"docs/{args.study}.md"
    command = (
        f"python benchmarks/ablation.py --study {args.study} --data runs/data/columns --out runs/{args.study}"
        f" --model {args.model} --steps {args.steps} --batch {args.batch} --table {page}"
    )
    head = (
        f"{INTRODUCTIONS[args.study]}\n\n```\n{command}\n```\n\nPreset `{args.model}`, {args.steps} steps of"
        f" {args.batch} pictures, {args.identities} unseen people x 4 settings, seed {args.seed}.\n\n"
    )
    return head + comparison_table("variant", reports, KEYS)


def main() -> None:
    """Train and evaluate all variants, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of columns")
    parser.add_argument("--out", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--recognizer", type=Path, help="ONNX file of the recognizer (default: the demo pack's)")
    parser.add_argument("--model", default="demo-64")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--identities", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--threads", type=int, default=1, help="threads per training")
    parser.add_argument("--parallel", type=int, default=3, help="number of concurrent trainings")
    parser.add_argument(
        "--study",
        choices=list(STUDIES),
        default="architecture",
        help="ablation of the architecture, or of training without exact swaps",
    )
    parser.add_argument("--only", nargs="+", help="only train these variants")
    args = parser.parse_args()
    variants = STUDIES[args.study]
    if not set(args.only or ()) <= set(variants):
        parser.error(f"expected --only with variants of the study {args.study}: {', '.join(variants)}")
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
