"""`styleswap train-regressors`: train the regressors that estimate pose, expression and gaze in evaluation."""

import argparse
import json
import sys
from pathlib import Path

from ..demo_pack.regressors.regressor_training import RegressorTraining, train_regressors
from ..devices import choose_device
from ..errors import StyleSwapError
from .arguments import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train-regressors`."""
    defaults = RegressorTraining()
    parser.add_argument("--columns", type=Path, required=True, metavar="FOLDER", help="folder of training columns")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors", help="file to write")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--steps", type=whole_number(), default=defaults.steps, help="optimization steps (default: %(default)s)"
    )
    length.add_argument("--minutes", type=float, help="train for this long instead of a number of steps")
    parser.add_argument(
        "--batch", type=whole_number(2), default=defaults.batch, help="pictures per step (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=defaults.seed, help="seed of weights and batches (default: %(default)s)"
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--no-bf16", action="store_true", help="compute in float32 throughout")
    parser.add_argument("--json", action="store_true", help="print the errors as JSON")


def run(args: argparse.Namespace) -> int:
    """Train the regressors, write them, and print their errors on held-out columns; returns 0.

    Raises:
        StyleSwapError: A time limit that is not positive, an unknown device, too few columns, or a file that cannot be
            written.
    """
    if args.minutes is not None and args.minutes <= 0:
        raise StyleSwapError(f"expected --minutes above 0, got {args.minutes:g}")
    training = RegressorTraining(
        steps=args.steps, minutes=args.minutes, batch=args.batch, seed=args.seed, bf16=False if args.no_bf16 else None
    )
    errors = train_regressors(args.columns, args.out, training, choose_device(args.device), sys.stderr.isatty())
    if args.json:
        print(json.dumps(errors))
    else:
        print(
            f"{args.out}: {errors['steps']:.0f} steps; pose {errors['pose_error_deg']:.2f} deg, expression "
            f"{errors['expression_error']:.3f}, gaze {errors['gaze_error_deg']:.2f} deg on held-out columns"
        )
    return 0
