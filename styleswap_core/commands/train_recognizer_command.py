"""`styleswap train-recognizer`: trains the recognizer of the demo pack, or that of evaluations, on rendered faces."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from ..demo_pack.recognizer.recognizer_config import RecognizerConfig, judge_config
from ..demo_pack.recognizer.recognizer_training import train_recognizer
from ..devices import choose_device
from ..faces.pack_folders import DEMO_PACK
from ..faces.recognition import SHIPPED_JUDGE
from .arguments import MAX_SEED, add_device_argument, add_threads_argument, fraction, number, whole_number

_OUT = DEMO_PACK / "arcface_demo.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train-recognizer`."""
    add = parser.add_argument
    add("--judge", action="store_true", help="train the recognizer that evaluations use, instead of that of the pack")
    add(
        "--columns",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="columns to train on, from `styleswap render columns`",
    )
    add("--validation", type=Path, metavar="FOLDER", help="columns of people not trained on")
    add(
        "--out",
        "--output",
        type=Path,
        metavar="FILE.onnx",
        help="file to write (default: that of the demo pack, or with --judge that of evaluations)",
    )
    add(
        "--identity-range",
        type=whole_number(0),
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="train on people with FIRST <= identity seed < LAST only (default: all)",
    )
    _add_optimization_arguments(parser)
    add_threads_argument(parser)
    add_device_argument(parser)


def _add_optimization_arguments(parser: argparse.ArgumentParser) -> None:
    judge = judge_config(SHIPPED_JUDGE)
    add = parser.add_argument
    add(
        "--steps",
        type=whole_number(),
        default=RecognizerConfig.steps,
        metavar="N",
        help="number of optimization steps (default: %(default)s)",
    )
    add(
        "--batch",
        type=whole_number(2),
        default=RecognizerConfig.batch,
        metavar="N",
        help="pictures per step (default: %(default)s)",
    )
    add(
        "--learning-rate",
        type=fraction,
        default=RecognizerConfig.learning_rate,
        metavar="RATE",
        help="peak learning rate of AdamW (default: %(default)s)",
    )
    add(
        "--identity-weight",
        type=number(0, 1e6),
        metavar="WEIGHT",
        help="weight of the regression of identity parameters "
        f"(default: {RecognizerConfig.identity_weight}; with --judge {judge.identity_weight})",
    )
    add(
        "--seed",
        type=whole_number(0, MAX_SEED),
        metavar="N",
        help="seed of weights, batches and augmentation; the same seed gives the same result "
        f"(default: {RecognizerConfig.seed}; with --judge {judge.seed})",
    )


def config_from(args: argparse.Namespace) -> RecognizerConfig:
    """Configuration of the training that the parsed arguments describe."""
    out = args.out or (SHIPPED_JUDGE if args.judge else _OUT)
    base = judge_config(out) if args.judge else RecognizerConfig(out)
    return replace(
        base,
        columns=tuple(args.columns),
        validation=args.validation,
        identity_range=None if args.identity_range is None else tuple(args.identity_range),
        steps=args.steps,
        batch=args.batch,
        learning_rate=args.learning_rate,
        identity_weight=base.identity_weight if args.identity_weight is None else args.identity_weight,
        seed=base.seed if args.seed is None else args.seed,
        threads=args.threads or None,
        device=str(choose_device(args.device)),
    )


def run(args: argparse.Namespace) -> int:
    """Train a recognizer and print the report as JSON; returns 0."""
    config = config_from(args)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(asdict(train_recognizer(config)), indent=2))
    return 0
