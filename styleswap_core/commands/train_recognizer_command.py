"""`styleswap train-recognizer`: train the demo pack's recognizer, or the judge, on rendered faces."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from ..demo_pack.recognizer.recognizer_config import RecognizerConfig, judge_config
from ..demo_pack.recognizer.recognizer_training import train_recognizer
from ..io.assets import ASSETS
from .arguments import fraction, number, whole_number

_OUTPUT = ASSETS / "demo_pack" / "arcface_demo.onnx"
_JUDGE_OUTPUT = ASSETS / "judge.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train-recognizer`; the defaults are those of `RecognizerConfig`."""
    parser.add_argument("--judge", action="store_true", help="train the judge, the recognizer used for evaluation only")
    parser.add_argument("--columns", type=Path, nargs="+", required=True, help="folders of training columns")
    parser.add_argument("--validation", type=Path, help="folder of columns with unseen people")
    parser.add_argument("--output", type=Path, help="ONNX file to write (default: the demo pack's own)")
    parser.add_argument(
        "--identity-range",
        type=whole_number(0),
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="train only on identity seeds with FIRST <= seed < LAST",
    )
    parser.add_argument("--steps", type=whole_number(), help="optimization steps")
    parser.add_argument("--batch", type=whole_number(2), help="pictures per step")
    parser.add_argument("--learning-rate", type=fraction, help="peak learning rate of AdamW")
    parser.add_argument(
        "--identity-weight", type=number(0, 1e6), help="weight of the regression of identity parameters"
    )
    parser.add_argument("--seed", type=whole_number(0), help="seed of weights, batches and augmentation")
    parser.add_argument("--threads", type=whole_number(), help="CPU threads of torch (default: torch's own choice)")
    parser.add_argument("--device", help="cpu or cuda (default: cpu)")


def config_from(args: argparse.Namespace) -> RecognizerConfig:
    """Configuration of the training that the parsed arguments describe."""
    output = args.output or (_JUDGE_OUTPUT if args.judge else _OUTPUT)
    base = judge_config(output) if args.judge else RecognizerConfig(output)
    names = ("steps", "batch", "learning_rate", "identity_weight", "seed", "threads", "device", "validation")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.identity_range is not None:
        given["identity_range"] = tuple(args.identity_range)
    return replace(base, columns=tuple(args.columns), **given)


def run(args: argparse.Namespace) -> int:
    """Train a recognizer and print the report as JSON; returns 0."""
    config = config_from(args)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(asdict(train_recognizer(config)), indent=2))
    return 0
