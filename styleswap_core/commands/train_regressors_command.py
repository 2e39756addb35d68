"""`styleswap train-regressors`: trains the networks that measure pose, expression and gaze in evaluations."""

import argparse
import json
import sys
from pathlib import Path

from ..demo_pack.regressors.regressor_training import RegressorTraining, train_regressors
from ..devices import choose_device
from .arguments import add_device_argument, add_json_argument, add_seed_argument, number, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train-regressors`."""
    parser.add_argument(
        "--columns",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="columns to train on, from `styleswap render columns`",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors", help="file to write")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--steps",
        type=whole_number(),
        default=RegressorTraining.steps,
        metavar="N",
        help="number of optimization steps (default: %(default)s)",
    )
    length.add_argument(
        "--minutes", type=number(0.01, 1e6), metavar="MINUTES", help="train for this time instead of --steps"
    )
    parser.add_argument(
        "--batch",
        type=whole_number(2),
        default=RegressorTraining.batch,
        metavar="N",
        help="pictures per step (default: %(default)s)",
    )
    add_seed_argument(parser, "seed of weights and batches", RegressorTraining.seed)
    parser.add_argument("--no-bf16", action="store_true", help="use float32 even where the hardware supports bfloat16")
    add_device_argument(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train the regressors, write them, and print their errors on held-out columns; returns 0.

    Raises:
        StyleSwapError: The device is unknown, there are too few columns, or the file cannot be written.
    """
    training = RegressorTraining(
        steps=args.steps,
        minutes=args.minutes,
        batch=args.batch,
        seed=args.seed,
        precision="fp32" if args.no_bf16 else "auto",
        device=str(choose_device(args.device)),
    )
    errors = train_regressors(args.columns, args.out, training, sys.stderr.isatty())
    if args.json:
        print(json.dumps(errors))
    else:
        print(
            f"{args.out}: {errors['steps']:.0f} steps; pose {errors['pose_error_deg']:.2f} deg, expression "
            f"{errors['expression_error']:.3f}, gaze {errors['gaze_error_deg']:.2f} deg on held-out columns"
        )
    return 0
