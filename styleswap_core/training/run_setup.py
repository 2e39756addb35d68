"""Set-up of a training run from its configuration: recognizer, data sources, and metadata of the generator file."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..faces.pack_folders import DEMO_PACK
from ..faces.packs import find_pack
from ..faces.recognizer_id import RecognizerId
from ..io.files import file_sha256
from ..preparation.prepared_set import PreparedSet, is_prepared, read_manifest
from ..swappers.styleswap_network import required_recognizer
from ..synthetic.columns import ColumnSet
from .batches import DataSource, Rows, spaced_rows
from .column_source import ColumnSource, column_embeddings
from .mixed_source import MixedSource
from .process_group import SINGLE_PROCESS, ProcessGroup
from .shard_source import ShardSource
from .training_config import TrainingConfig, config_to_dict
from .training_loop import RunContext
from .training_state import generator_config

DEMO_RECOGNIZER = DEMO_PACK / "arcface_demo.onnx"
_PATH_SETTINGS = ("data", "world_data", "validation_data", "recognizer", "init_from", "init_discriminator_from")


def set_up_run(
    config: TrainingConfig,
    device: torch.device,
    process_group: ProcessGroup = SINGLE_PROCESS,
    *,
    resident: bool = False,
    echo: bool = False,
    max_minutes: float = 0.0,
) -> tuple[TrainingConfig, RunContext]:
    """Open the recognizer and the data of a run.

    Args:
        config: Configuration of the run.
        device: Device of the networks.
        process_group: Group of processes that share the run.
        resident: Whether to keep the pictures of columns in the device's memory; by default they are memory-mapped.
        echo: See `RunContext`.
        max_minutes: See `RunContext`.

    Returns:
        The configuration, completed with the recognizer's name and hash, and the context of the run.

    Raises:
        StyleSwapError: Data or recognizer are missing, or do not fit the configuration.
    """
    if not config.data:
        raise StyleSwapError(
            "expected a folder of columns or prepared photographs to train on, got none; add --set data=FOLDER"
        )
    config = dataclasses.replace(config, recognizer=config.recognizer or _recognizer_of_data(Path(config.data)))
    recognizer = TorchRecognizer(config.recognizer or DEMO_RECOGNIZER).to(device)
    config = _with_recognizer(config, recognizer.recognizer_id)
    data = _Data(config, recognizer, device, resident)
    with process_group.main_process_first():
        source = data.training_source(process_group.rows(config.batch))
    context = RunContext(
        source=source,
        device=device,
        recognizer=recognizer,
        validation=data.validation_source() if config.validation_data else None,
        metadata={
            "domain": _domain(config.data, recognizer.sha256),
            "recognizer": recognizer.name,
            "recognizer_sha256": recognizer.sha256,
            "training": _portable_values(config),
            **_teacher(config),
        },
        process_group=process_group,
        echo=echo,
        max_minutes=max_minutes,
    )
    return config, context


@dataclass(frozen=True)
class _Data:
    """Data of a run, from which sources are opened."""

    config: TrainingConfig
    recognizer: TorchRecognizer
    device: torch.device
    resident: bool

    def training_source(self, rows: slice) -> DataSource:
        """Source of some rows of every training batch, with rendered columns mixed in if the configuration says so."""
        config = self.config
        if not config.world_share:
            return self._main_source(rows)
        if not config.world_data or is_prepared(Path(config.world_data)):
            raise StyleSwapError(
                f"world_data: expected a folder of columns for a world_share of {config.world_share}, got "
                f"{config.world_data or 'none'!r}; render one with styleswap render columns"
            )
        positions = np.arange(config.batch)[rows]
        from_world = self._world_rows()[rows]
        return MixedSource(
            self._main_source(positions[~from_world]),
            self._columns(dataclasses.replace(config, data=config.world_data, exact_swap=True), positions[from_world]),
            from_world,
        )

    def validation_source(self) -> DataSource:
        """Source of validation rows: different identities only, with exact swaps."""
        config = self.config
        if is_prepared(Path(config.validation_data)):
            raise StyleSwapError(
                f"validation_data: expected a folder of columns, whose exact swaps are known, got the prepared "
                f"photographs {config.validation_data}; leave it empty"
            )
        return self._columns(
            dataclasses.replace(
                config, data=config.validation_data, same_identity_share=0.0, owner_share=1.0, exact_swap=True
            )
        )

    def _main_source(self, rows: Rows) -> DataSource:
        config = self.config
        if not is_prepared(Path(config.data)):
            return self._columns(config, rows)
        if self.resident:
            raise StyleSwapError("--resident is for columns; prepared photographs are read as needed, leave it out")
        return ShardSource(
            PreparedSet.open(config.data),
            recognizer=self.recognizer.recognizer_id,
            template=generator_config(config).template,
            size=generator_config(config).size,
            batch=config.batch,
            seed=config.seed,
            same_identity_share=config.same_identity_share,
            rows=rows,
            taught=self._taught_rows(),
        )

    def _world_rows(self) -> np.ndarray:
        return spaced_rows(self.config.batch, self.config.world_share)

    def _taught_rows(self) -> np.ndarray:
        """Rows (B,) bool whose target is a teacher's swap: a share of those that are photographs."""
        photographs = np.flatnonzero(~self._world_rows())
        taught = np.zeros(self.config.batch, dtype=bool)
        taught[photographs[spaced_rows(len(photographs), self.config.teacher_share)]] = True
        return taught

    def _columns(self, config: TrainingConfig, rows: Rows = slice(None)) -> ColumnSource:
        columns = ColumnSet(config.data)
        return ColumnSource(
            columns,
            column_embeddings(columns, self.recognizer, self.recognizer.sha256, self.device),
            size=generator_config(config).size,
            batch=config.batch,
            seed=config.seed,
            same_identity_share=config.same_identity_share,
            owner_share=config.owner_share,
            exact_swap=config.exact_swap,
            device=self.device if self.resident else None,
            rows=rows,
        )


def _with_recognizer(config: TrainingConfig, recognizer: RecognizerId) -> TrainingConfig:
    """Configuration that names the recognizer the model is trained with, unless the user has named another.

    The model takes embeddings of the recognizer's length, unless the user has chosen another.

    Raises:
        StyleSwapError: The user has chosen another length.
    """
    length = config.model_overrides.get("style_dim")
    if length is not None and length != recognizer.dimension:
        raise StyleSwapError(
            f"expected model_overrides.style_dim={recognizer.dimension}, the length of the embeddings of {recognizer}, "
            f"got {length}; leave it out"
        )
    if generator_config(config).style_dim != recognizer.dimension:
        overrides = {**config.model_overrides, "style_dim": recognizer.dimension}
        config = dataclasses.replace(config, model_overrides=overrides)
    stated = required_recognizer(generator_config(config))
    if stated and not (stated.sha256 and stated.matches(recognizer)):
        return config
    names = {"recognizer": recognizer.name, "recognizer_sha256": recognizer.sha256}
    return dataclasses.replace(config, model_overrides={**config.model_overrides, **names})


def _recognizer_of_data(data: Path) -> str:
    """File of the recognizer that photographs were prepared with; empty for that of the demo pack.

    Raises:
        StyleSwapError: It is not where it was.
    """
    if not is_prepared(data):
        return ""
    manifest = read_manifest(data)
    pack, name = manifest["settings"]["pack"], manifest["recognizer"]
    if not pack:
        return ""
    try:
        file = find_pack(pack) / f"{name}.onnx"
        if file_sha256(file) == manifest["recognizer_sha256"]:
            return str(file)
        problem = f"{file} is another file"
    except StyleSwapError as error:
        problem = str(error)
    raise StyleSwapError(
        f"{data} was prepared with the recognizer {name} of the pack {pack}, which was not found ({problem}); name its "
        "file with --set recognizer=FILE.onnx"
    )


def _domain(data: str, recognizer_sha256: str) -> str:
    # Columns contain only rendered faces, and the demo recognizer knows no others.
    rendered = not is_prepared(Path(data)) or recognizer_sha256 == file_sha256(DEMO_RECOGNIZER)
    return "synthetic" if rendered else "photographs"


def _teacher(config: TrainingConfig) -> dict[str, Any]:
    """Entry of the metadata that names the network whose swaps the generator is trained with, if there is one."""
    if not config.teacher_share or not is_prepared(Path(config.data)):
        return {}
    card = read_manifest(Path(config.data))["teacher"]
    return {"teacher": {name: card[name] for name in ("file", "name", "sha256")}}


def _portable_values(config: TrainingConfig) -> dict[str, Any]:
    # Folders on the machine of the training are of no use to readers of the model file; names of files are.
    values = config_to_dict(config)
    return values | {name: Path(values[name]).name for name in _PATH_SETTINGS}
