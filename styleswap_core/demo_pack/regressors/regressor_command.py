"""`styleswap train-regressors`: columns of the face world to the regressors that judge pose, expression and gaze."""

import argparse
import json
import sys
from pathlib import Path

from ...devices import choose_device
from ...errors import StyleSwapError
from .regressor_training import RegressorTraining, train_regressors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    defaults = RegressorTraining()
    parser.add_argument("--columns", type=Path, required=True, metavar="FOLDER", help="training columns")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.safetensors", help="where to write the regressors"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=defaults.steps, help="optimization steps (default: %(default)s)")
    length.add_argument("--minutes", type=float, help="train by the clock instead of by steps")
    parser.add_argument("--batch", type=int, default=defaults.batch, help="pictures per step (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--no-bf16", action="store_true", help="compute in float32 throughout")
    parser.add_argument("--json", action="store_true", help="print the errors as JSON")


def run(args: argparse.Namespace) -> int:
    """Train, write, and print the errors on columns kept away from training."""
    if args.steps < 1 or args.batch < 2 or (args.minutes is not None and args.minutes <= 0):
        raise StyleSwapError("expected --steps of 1 or more, --minutes above 0 and --batch of 2 or more; change them")
    training = RegressorTraining(
        steps=args.steps, minutes=args.minutes, batch=args.batch, seed=args.seed, bf16=False if args.no_bf16 else None
    )
    errors = train_regressors(args.columns, args.out, training, choose_device(args.device), sys.stderr.isatty())
    if args.json:
        print(json.dumps(errors))
    else:
        print(
            f"{args.out}: {errors['steps']:.0f} steps; pose {errors['pose_error_deg']:.2f} deg, expression "
            f"{errors['expression_error']:.3f}, gaze {errors['gaze_error_deg']:.2f} deg on columns not trained on"
        )
    return 0
