"""`styleswap train`: train a generator on a folder of columns or prepared photographs, into a run folder."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from ..devices import choose_device, describe_precision
from ..errors import StyleSwapError
from ..preparation.prepared_set import is_prepared, read_manifest
from ..preparation.teacher_set import has_teacher
from ..training.config_values import read_values
from ..training.measurement import measure
from ..training.photograph_defaults import with_photograph_defaults
from ..training.process_group import ProcessGroup
from ..training.run_folder import RunFolder
from ..training.run_setup import set_up_run
from ..training.training_config import (
    REMOVED_SETTINGS,
    TrainingConfig,
    config_from_dict,
    config_to_dict,
    override,
    with_current_names,
)
from ..training.training_loop import train
from ..training.training_state import checkpoint_paths, newest_checkpoint
from .arguments import add_device_argument, add_threads_argument, number

_MAX_TIME = 1e9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap train`."""
    parser.add_argument(
        "--out", metavar="RUN", help="run folder for checkpoints, metrics and the model; not needed with --measure"
    )
    parser.add_argument("--config", metavar="FILE", help="JSON or TOML file of settings")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="set one setting, with precedence over the file, such as steps=1000 or weights.identity=5; repeatable",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN, or start it if there is none")
    parser.add_argument(
        "--resident",
        action="store_true",
        help="keep the pictures of columns in the device's memory instead of reading them as needed",
    )
    parser.add_argument(
        "--max-minutes",
        type=number(0, _MAX_TIME),
        default=0.0,
        metavar="MINUTES",
        help="write a checkpoint and stop after this time; --resume continues with the same schedule (default: no "
        "limit)",
    )
    parser.add_argument(
        "--measure",
        type=number(0, _MAX_TIME),
        nargs="?",
        const=30.0,
        metavar="SECONDS",
        help="only measure steps, for 30 s or the given time, estimate time and memory of the run, and say what limits "
        "its speed; writes no run folder",
    )
    parser.add_argument("--json", action="store_true", help="print metrics as JSON lines on stdout")
    add_threads_argument(parser)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train, or measure; returns 0.

    Raises:
        StyleSwapError: Invalid settings, missing data, a run folder in use, or training that diverged.
    """
    process_group = ProcessGroup.from_environment(args.device)
    if args.out is None and args.measure is None:
        raise StyleSwapError("expected a run folder, got none; add --out RUN")
    folder = None if args.measure is not None else RunFolder(args.out)
    config = process_group.run_on_main(lambda: _configuration(args, folder))
    if args.threads:
        torch.set_num_threads(args.threads)
    device = process_group.device or choose_device(args.device)
    config, context = set_up_run(
        config, device, process_group, resident=args.resident, echo=args.json, max_minutes=args.max_minutes
    )
    if process_group.is_main:
        print(describe_precision(device, "training", config.precision), file=sys.stderr)
        if "teacher" in context.metadata:
            print(_describe_teacher(config), file=sys.stderr)
    if folder is None:
        measurement = measure(config, context, args.measure)
        summary = json.dumps(measurement.as_dict()) if args.json else measurement.summary()
    else:
        train(config, folder, context)
        summary = f"generator: {folder.generator}"
    process_group.leave()
    if process_group.is_main:
        print(summary, file=sys.stderr if folder else sys.stdout)
    return 0


def _configuration(args: argparse.Namespace, folder: RunFolder | None) -> TrainingConfig:
    """Configuration from the run folder if the run has started, from the file and from `--set`, in this order."""
    stored = None
    if folder is not None and (folder.config.exists() or checkpoint_paths(folder.checkpoints)):
        if not args.resume:
            raise StyleSwapError(
                f"{folder.root} already contains a run; add --resume to continue it, or name another folder"
            )
        stored = _stored_values(folder)
    given = with_current_names(read_values(args.config), args.config) if args.config else {}
    values = override({**(stored or {}), **given}, args.assignments)
    data = Path(str(values.get("data", "")) or ".")
    if stored is None and is_prepared(data):
        values = with_photograph_defaults(values, taught=has_teacher(data))
    config = config_from_dict(values, args.config or "--set")
    for name in sorted(REMOVED_SETTINGS & values.keys()):
        print(f"note: the setting {name} no longer exists and is ignored", file=sys.stderr)
    if stored is not None:
        for name, value in sorted(config_to_dict(config).items()):
            if stored.get(name) != value:
                print(f"changed for the rest of the run: {name} {stored.get(name)} -> {value}", file=sys.stderr)
    return config


def _describe_teacher(config: TrainingConfig) -> str:
    card = read_manifest(Path(config.data))["teacher"]
    return (
        f"teacher: {card['kept']} swaps by {card['file']} are the targets of {config.teacher_share:.0%} of the "
        "photographs (teacher_share); their exact results are the pictures that they were made from"
    )


def _stored_values(folder: RunFolder) -> dict[str, Any]:
    """Settings of a run that has started, from its newest checkpoint, or from config.json before the first one."""
    content = newest_checkpoint(folder.checkpoints)
    if content is not None:
        return with_current_names(content["config"], "checkpoint")
    return with_current_names(read_values(folder.config), str(folder.config))
