"""`styleswap train-detector`: its arguments, and what they start."""

import argparse
import dataclasses
import json
from pathlib import Path

from ...io.assets import ASSETS
from .detector_config import DetectorConfig
from .detector_training import train_detector

_OUTPUT = ASSETS / "demo_pack" / "det_demo.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; `run` reads them. What is not given keeps the configuration's default."""
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="folders of full-frame columns")
    parser.add_argument("--validation", type=Path, help="folder of such columns of unseen people")
    parser.add_argument(
        "--output", type=Path, default=_OUTPUT, help="ONNX file to write (default: the demo pack's own)"
    )
    parser.add_argument("--steps", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--points-weight", type=float, help="weight of the five points' loss")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device")


def config_from(arguments: argparse.Namespace) -> DetectorConfig:
    """The configuration that parsed arguments describe."""
    names = ("steps", "learning_rate", "points_weight", "seed", "threads", "device", "validation")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return DetectorConfig(output=arguments.output, pictures=tuple(arguments.pictures), **given)


def run(arguments: argparse.Namespace) -> int:
    """Train as told and print the report; the exit status."""
    config = config_from(arguments)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(dataclasses.asdict(train_detector(config)), indent=2))
    return 0
