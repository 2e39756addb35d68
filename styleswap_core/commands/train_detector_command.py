"""`styleswap train-detector`: train the demo pack's face detector on rendered pictures."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ..demo_pack.detector.detector_config import DetectorConfig
from ..demo_pack.detector.detector_training import train_detector
from ..io.assets import ASSETS
from .arguments import fraction, number, whole_number

_OUTPUT = ASSETS / "demo_pack" / "det_demo.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train-detector`; the defaults are those of `DetectorConfig`."""
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="folders of full-frame columns")
    parser.add_argument("--validation", type=Path, help="folder of full-frame columns with unseen people")
    parser.add_argument(
        "--output", type=Path, default=_OUTPUT, help="ONNX file to write (default: the demo pack's own)"
    )
    parser.add_argument("--steps", type=whole_number(), help="optimization steps")
    parser.add_argument("--learning-rate", type=fraction, help="learning rate of Adam, which trains biases and norms")
    parser.add_argument("--points-weight", type=number(0, 1e6), help="weight of the loss of the five points")
    parser.add_argument("--seed", type=whole_number(0), help="seed of weights, scenes and corruption")
    parser.add_argument("--threads", type=whole_number(), help="CPU threads of torch (default: torch's own choice)")
    parser.add_argument("--device", help="cpu or cuda (default: cpu)")


def config_from(args: argparse.Namespace) -> DetectorConfig:
    """Configuration of the training that the parsed arguments describe."""
    names = ("steps", "learning_rate", "points_weight", "seed", "threads", "device", "validation")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return DetectorConfig(output=args.output, pictures=tuple(args.pictures), **given)


def run(args: argparse.Namespace) -> int:
    """Train a detector and print the report as JSON; returns 0."""
    config = config_from(args)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(asdict(train_detector(config)), indent=2))
    return 0
