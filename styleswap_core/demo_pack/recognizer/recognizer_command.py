"""`styleswap train-recognizer`: its arguments, and what they start."""

import argparse
import dataclasses
import json
from pathlib import Path

from ...io.assets import ASSETS
from .recognizer_config import RecognizerConfig, judge_config
from .recognizer_training import train_recognizer

_OUTPUT = ASSETS / "demo_pack" / "arcface_demo.onnx"
_JUDGE_OUTPUT = ASSETS / "judge.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; `run` reads them. What is not given keeps the configuration's default."""
    parser.add_argument("--judge", action="store_true", help="train the recognizer that only judges")
    parser.add_argument("--columns", type=Path, nargs="+", required=True, help="folders of columns to learn from")
    parser.add_argument("--validation", type=Path, help="folder of columns of unseen people")
    parser.add_argument("--output", type=Path, help="ONNX file to write (default: the demo pack's own)")
    parser.add_argument(
        "--identity-range", type=int, nargs=2, metavar=("FIRST", "LAST"), help="learn FIRST <= seed < LAST"
    )
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--identity-weight", type=float, help="weight of the identity parameters' regression")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device")


def config_from(arguments: argparse.Namespace) -> RecognizerConfig:
    """The configuration that parsed arguments describe."""
    output = arguments.output or (_JUDGE_OUTPUT if arguments.judge else _OUTPUT)
    base = judge_config(output) if arguments.judge else RecognizerConfig(output)
    names = ("steps", "batch", "learning_rate", "identity_weight", "seed", "threads", "device", "validation")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.identity_range is not None:
        given["identity_range"] = tuple(arguments.identity_range)
    return dataclasses.replace(base, columns=tuple(arguments.columns), **given)


def run(arguments: argparse.Namespace) -> int:
    """Train as told and print the report; the exit status."""
    config = config_from(arguments)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(dataclasses.asdict(train_recognizer(config)), indent=2))
    return 0
