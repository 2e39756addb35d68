"""`styleswap train`: a configuration and a folder of columns, or of prepared photographs, in; a run folder out."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch

from ..devices import choose_device, choose_precision
from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..faces.packs import DEMO_PACK
from ..faces.recognizer_id import RecognizerId
from ..io.files import file_sha256
from ..preparation.prepared_set import PreparedSet, is_prepared
from ..swappers.styleswap_network import required_recognizer
from ..synthetic.columns import ColumnSet
from ..training.batches import DataSource, Rows
from ..training.column_source import ColumnSource, column_embeddings
from ..training.measurement import measure
from ..training.mixed_source import MixedSource, world_rows
from ..training.photographs import on_photographs
from ..training.process_group import Replica
from ..training.run_folder import RunFolder
from ..training.shard_source import ShardSource
from ..training.state import checkpoint_paths, generator_config, newest_checkpoint
from ..training.training_config import (
    REMOVED_SETTINGS,
    TrainingConfig,
    config_from_dict,
    config_to_dict,
    override,
    read_values,
)
from ..training.training_loop import Surroundings, train

DEMO_RECOGNIZER = DEMO_PACK / "arcface_demo.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the subcommand."""
    parser.add_argument("--out", metavar="RUN", help="run folder: checkpoints, figures, the generator")
    parser.add_argument("--config", metavar="FILE", help="settings as JSON or TOML")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="one setting over the file's; weights.identity=5 reaches into a table; repeatable",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN, or begin if there is none")
    parser.add_argument("--device", default=None, help="torch device; default: cuda if there is one, else cpu")
    parser.add_argument(
        "--resident",
        action="store_true",
        help="keep all pictures in the device's memory instead of reading them as needed",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; default: torch's choice")
    parser.add_argument(
        "--max-minutes",
        type=float,
        default=0.0,
        metavar="MINUTES",
        help="checkpoint and stop after so long; --resume goes on with the same schedule",
    )
    parser.add_argument(
        "--measure",
        type=float,
        nargs="?",
        const=30.0,
        metavar="SECONDS",
        help="only time steps (for about 30 s) and forecast hours and memory; writes no run",
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON lines on stdout")


def run(args: argparse.Namespace) -> int:
    """Train, or measure; returns the exit code.

    Raises:
        StyleSwapError: Wrong settings, missing data, a folder in use, or a training that diverged.
    """
    replica = Replica.from_environment(args.device)
    if args.out is None and args.measure is None:
        raise StyleSwapError("expected a run folder, got none; add --out RUN")
    folder = None if args.measure is not None else RunFolder(args.out)
    config = replica.from_main(lambda: _configuration(args, folder))
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    device = replica.device or choose_device(args.device)
    if not config.data:
        raise StyleSwapError(
            "expected a folder of columns or prepared photographs to train on, got none; add --set data=FOLDER"
        )
    config, surroundings = _surroundings(args, config, device, replica)
    if replica.is_main:
        precision = choose_precision(device, "training", config.precision)
        print(f"precision on {device}: {precision.name}, {precision.reason}", file=sys.stderr)
    if folder is None:
        measured = measure(config, surroundings, args.measure)
        summary = json.dumps(measured.as_dict()) if args.json else measured.lines()
    else:
        train(config, folder, surroundings)
        summary = f"generator: {folder.generator}"
    replica.leave()
    if replica.is_main:
        print(summary, file=sys.stderr if folder else sys.stdout)
    return 0


def _surroundings(
    args: argparse.Namespace, config: TrainingConfig, device: torch.device, replica: Replica
) -> tuple[TrainingConfig, Surroundings]:
    """Data, recognizer and metadata of a run, and its configuration with the recognizer filled in."""
    recognizer = TorchRecognizer(config.recognizer or DEMO_RECOGNIZER).to(device)
    sha256 = recognizer.sha256
    config = _with_recognizer(config, recognizer.recognizer_id)
    size = generator_config(config).size
    with replica.main_first():
        source = _source(config, size, recognizer, sha256, device, args.resident, replica.share(config.batch))
    validation = None
    if config.validation_data:
        if is_prepared(Path(config.validation_data)):
            raise StyleSwapError(
                "validation_data: expected a folder of columns, whose exact swaps are known; photographs "
                "have none, leave it empty"
            )
        judged = config_from_dict(
            {**config_to_dict(config), "same_identity_share": 0.0, "exact_swap": True, "owner_share": 1.0}
        )
        validation = _column_source(judged, config.validation_data, size, recognizer, sha256, device, args.resident)
    metadata = {
        "domain": _domain(config.data, sha256),
        "recognizer": recognizer.name,
        "recognizer_sha256": sha256,
        "training": _portable(config),
    }
    return config, Surroundings(
        source=source,
        device=device,
        recognizer=recognizer,
        validation=validation,
        metadata=metadata,
        replica=replica,
        echo=args.json,
        max_minutes=args.max_minutes,
    )


def _portable(config: TrainingConfig) -> dict:
    # Where files lay on one machine says nothing to whoever reads the model file; their names do.
    values = config_to_dict(config)
    return values | {
        name: Path(values[name]).name
        for name in ("data", "world_data", "validation_data", "recognizer", "init_from", "init_discriminator_from")
    }


def _configuration(args: argparse.Namespace, folder: RunFolder | None) -> TrainingConfig:
    begun = folder is not None and (folder.config.exists() or bool(checkpoint_paths(folder.checkpoints)))
    if begun and not args.resume:
        raise StyleSwapError(
            f"{folder.root} holds a run already; add --resume to go on with it, or name another folder"
        )
    stored = _stored_values(folder) if begun else {}
    given = read_values(args.config) if args.config else {}
    values = override({**stored, **given}, args.assignments)
    if not begun and is_prepared(Path(str(values.get("data", "")) or ".")):
        values = on_photographs(values)
    config = config_from_dict(values, args.config or "--set")
    for name in sorted(REMOVED_SETTINGS & values.keys()):
        print(f"note: the setting {name} no longer exists and is ignored", file=sys.stderr)
    if begun:
        now = config_to_dict(config)
        for name in sorted(name for name in now if stored.get(name) != now[name]):
            print(f"changed for the rest of the run: {name} {stored.get(name)} -> {now[name]}", file=sys.stderr)
    return config


def _with_recognizer(config: TrainingConfig, recognizer: RecognizerId) -> TrainingConfig:
    """The configuration with the recognizer that the model is trained with, unless the user stated another."""
    stated = required_recognizer(generator_config(config))
    if stated and not (stated.sha256 and stated.matches(recognizer)):
        return config
    names = {"recognizer": recognizer.name, "recognizer_sha256": recognizer.sha256}
    return dataclasses.replace(config, model_overrides={**config.model_overrides, **names})


def _stored_values(folder: RunFolder) -> dict:
    content = newest_checkpoint(folder.checkpoints)
    return dict(content["config"]) if content is not None else read_values(folder.config)


def _domain(data: str, recognizer_sha256: str) -> str:
    # A folder of columns holds rendered faces and nothing else, and the demo recognizer knows no others.
    rendered = not is_prepared(Path(data)) or recognizer_sha256 == file_sha256(DEMO_RECOGNIZER)
    return "synthetic" if rendered else "photographs"


def _source(
    config: TrainingConfig,
    size: int,
    recognizer: TorchRecognizer,
    sha256: str,
    device: torch.device,
    resident: bool,
    rows: slice,
) -> DataSource:
    if not config.world_share:
        return _own_source(config, size, recognizer, sha256, device, resident, rows)
    if not config.world_data or is_prepared(Path(config.world_data)):
        raise StyleSwapError(
            f"world_share {config.world_share}: expected a folder of columns as world_data, got "
            f"{config.world_data or 'none'!r}; render one with styleswap render columns"
        )
    places, from_world = np.arange(config.batch)[rows], world_rows(config.batch, config.world_share)[rows]
    photos = _own_source(config, size, recognizer, sha256, device, resident, places[~from_world])
    shown = dataclasses.replace(config, exact_swap=True)
    world = _column_source(shown, config.world_data, size, recognizer, sha256, device, resident, places[from_world])
    return MixedSource(photos, world, from_world)


def _own_source(
    config: TrainingConfig,
    size: int,
    recognizer: TorchRecognizer,
    sha256: str,
    device: torch.device,
    resident: bool,
    rows: Rows,
) -> DataSource:
    """By what the folder holds."""
    if not is_prepared(Path(config.data)):
        return _column_source(config, config.data, size, recognizer, sha256, device, resident, rows)
    if resident:
        raise StyleSwapError(
            "--resident keeps columns in memory; prepared photographs are read as needed, leave it out"
        )
    return ShardSource(
        PreparedSet.open(config.data),
        recognizer=recognizer.recognizer_id,
        template=generator_config(config).template,
        size=size,
        batch=config.batch,
        seed=config.seed,
        same_identity_share=config.same_identity_share,
        rows=rows,
    )


def _column_source(
    config: TrainingConfig,
    data: str,
    size: int,
    recognizer: TorchRecognizer,
    sha256: str,
    device: torch.device,
    resident: bool,
    rows: Rows = slice(None),
) -> ColumnSource:
    folder = Path(data)
    columns = ColumnSet(folder)
    embeddings = column_embeddings(folder, columns, recognizer, sha256, device)
    return ColumnSource(
        columns,
        embeddings,
        size=size,
        batch=config.batch,
        seed=config.seed,
        same_identity_share=config.same_identity_share,
        owner_share=config.owner_share,
        exact_swap=config.exact_swap,
        device=device if resident else None,
        rows=rows,
    )
