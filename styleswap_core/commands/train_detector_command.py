"""`styleswap train-detector`: trains the face detector of the demo pack on rendered pictures."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ..demo_pack.detector.detector_config import DetectorConfig
from ..demo_pack.detector.detector_training import train_detector
from ..devices import choose_device
from ..faces.pack_folders import DEMO_PACK
from .arguments import add_device_argument, add_seed_argument, add_threads_argument, fraction, number, whole_number

_OUT = DEMO_PACK / "det_demo.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train-detector`."""
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="columns of whole pictures to train on, from `styleswap render columns --template none`",
    )
    parser.add_argument(
        "--validation", type=Path, metavar="FOLDER", help="columns of whole pictures of people not trained on"
    )
    parser.add_argument(
        "--out",
        "--output",
        type=Path,
        default=_OUT,
        metavar="FILE.onnx",
        help="file to write (default: that of the demo pack)",
    )
    parser.add_argument(
        "--steps",
        type=whole_number(),
        default=DetectorConfig.steps,
        metavar="N",
        help="number of optimization steps (default: %(default)s)",
    )
    parser.add_argument(
        "--learning-rate",
        type=fraction,
        default=DetectorConfig.learning_rate,
        metavar="RATE",
        help="learning rate of Adam, which trains biases and norms (default: %(default)s)",
    )
    parser.add_argument(
        "--points-weight",
        type=number(0, 1e6),
        default=DetectorConfig.points_weight,
        metavar="WEIGHT",
        help="weight of the loss of the five points (default: %(default)s)",
    )
    add_seed_argument(parser, "seed of weights, scenes and corruption", DetectorConfig.seed)
    add_threads_argument(parser)
    add_device_argument(parser)


def config_from(args: argparse.Namespace) -> DetectorConfig:
    """Configuration of the training that the parsed arguments describe."""
    return DetectorConfig(
        output=args.out,
        pictures=tuple(args.pictures),
        validation=args.validation,
        steps=args.steps,
        learning_rate=args.learning_rate,
        points_weight=args.points_weight,
        seed=args.seed,
        threads=args.threads or None,
        device=str(choose_device(args.device)),
    )


def run(args: argparse.Namespace) -> int:
    """Train a detector and print the report as JSON; returns 0."""
    config = config_from(args)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(asdict(train_detector(config)), indent=2))
    return 0
