"""State of a training run from one step to the next, and its checkpoints."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from ..checkpoints.torch_files import load_torch
from ..errors import StyleSwapError, decoding, one_line
from ..io.files import atomic_write, require_file
from ..io.json_text import require_table
from ..model.discriminator import Discriminator
from ..model.generator import Generator
from ..model.generator_config import GeneratorConfig, preset
from .augmentation import Augmentation
from .optimizers import GENERATOR_OPTIMIZERS, Optimizer, adam
from .training_config import TrainingConfig, config_to_dict

CHECKPOINT_KIND = "styleswap-training"
KEPT_CHECKPOINTS = 2
# Names of checkpoints have nine digits.
_MAX_STEPS = 10**9
_CHECKPOINT_NAME = re.compile(r"step_(\d{9})\.pt")

Network = TypeVar("Network", bound=nn.Module)


class _Checkpointed(Protocol):
    """Part of a state that a checkpoint stores."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


@dataclass
class TrainingState:
    """Networks, optimizers and the number of finished steps; parts that a run does not use are None."""

    generator: Generator
    generator_ema: Generator
    discriminator: Discriminator | None
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer | None
    augmentation: Augmentation | None = None
    step: int = 0

    def tensors(self) -> list[torch.Tensor]:
        """All tensors, including those of the optimizers, in an order that depends only on the configuration."""
        return list(_tensors_of({name: part.state_dict() for name, part in self.parts().items()}))

    def parts(self) -> dict[str, _Checkpointed]:
        """The parts in use, by their names in a checkpoint."""
        parts: dict[str, _Checkpointed | None] = {
            "generator": self.generator,
            "generator_ema": self.generator_ema,
            "generator_optimizer": self.generator_optimizer,
            "discriminator": self.discriminator,
            "discriminator_optimizer": self.discriminator_optimizer,
            "augmentation": self.augmentation,
        }
        return {name: part for name, part in parts.items() if part is not None}


def generator_config(config: TrainingConfig) -> GeneratorConfig:
    """Configuration of the generator: the preset with the run's overrides.

    Raises:
        StyleSwapError: An unknown preset or field, or a value out of range.
    """
    model = preset(config.model, **config.model_overrides)
    if model.embedding_norm != 1:
        raise StyleSwapError(
            f"model_overrides: embedding_norm must be 1, since training uses L2-normalized embeddings; got "
            f"{model.embedding_norm}"
        )
    return model


def create_state(config: TrainingConfig, device: torch.device) -> TrainingState:
    """New networks with weights from the run's seed, on `device`, in channels-last format."""
    torch.manual_seed(config.seed)
    model_config = generator_config(config)
    generator = _to(Generator(model_config), device)
    discriminator = None
    # After the generator, whose initial weights are then the same with and without a discriminator.
    if config.uses_discriminator:
        discriminator = _to(
            Discriminator(model_config, config.discriminator_channel_scale, config.stddev_group), device
        )
    generator_ema = _to(Generator(model_config), device)
    generator_ema.load_state_dict(generator.state_dict())
    generator_ema.eval().requires_grad_(False)
    return TrainingState(
        generator=generator,
        generator_ema=generator_ema,
        discriminator=discriminator,
        generator_optimizer=GENERATOR_OPTIMIZERS[config.optimizer](
            generator, config.learning_rate, config.generator_betas, config.matrix_learning_rate
        ),
        discriminator_optimizer=None
        if discriminator is None
        else adam(discriminator.parameters(), config.discriminator_learning_rate, config.discriminator_betas),
        augmentation=None if config.augment == "none" else Augmentation(config.augment_probability),
    )


@torch.no_grad()
def update_ema(state: TrainingState, decay: float) -> None:
    """generator_ema = decay * generator_ema + (1 - decay) * generator; the buffers are constant."""
    averaged: list[torch.Tensor] = list(state.generator_ema.parameters())
    current: list[torch.Tensor] = list(state.generator.parameters())
    torch._foreach_lerp_(averaged, current, 1 - decay)


def save_checkpoint(folder: Path, state: TrainingState, config: TrainingConfig, device: torch.device) -> Path:
    """Write `step_000001000.pt` atomically, and delete all but the newest `KEPT_CHECKPOINTS`.

    A checkpoint holds all networks and optimizers, the step, the configuration and the state of torch's random number
    generators.
    """
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    content = {
        "kind": CHECKPOINT_KIND,
        "step": state.step,
        "config": config_to_dict(config),
        "random": random,
        **{name: part.state_dict() for name, part in state.parts().items()},
    }
    path = folder / f"step_{state.step:09d}.pt"
    with atomic_write(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:
            # What PyTorch makes of a full disk.
            raise OSError(one_line(error)) from error
    for old in checkpoint_paths(folder)[KEPT_CHECKPOINTS:]:
        old.unlink(missing_ok=True)
    return path


def checkpoint_paths(folder: Path) -> list[Path]:
    """Checkpoints in a folder, newest first, without partial files of a killed process."""
    return sorted((path for path in folder.glob("step_*.pt") if _CHECKPOINT_NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, on the CPU; only tensors and plain values are unpickled.

    Raises:
        StyleSwapError: The file is missing, damaged or of another kind.
    """
    remedy = "delete it to use an older one"
    require_file(path, "a checkpoint")
    try:
        content = load_torch(path)
    except StyleSwapError as error:
        reason = one_line(error.__cause__ or error)
        raise StyleSwapError(f"{path} is not a readable checkpoint ({reason}); {remedy}") from error
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind != CHECKPOINT_KIND:
        raise StyleSwapError(f"{path}: expected a training checkpoint, got another kind of file; name a run folder")
    table = require_table(content, f"{path} is damaged", remedy, step=int, config=dict, random=dict)
    if not 0 <= table["step"] < _MAX_STEPS:
        raise StyleSwapError(f"{path} is damaged (its step is {str(table['step'])[:20]}); {remedy}")
    return table


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Content of the newest readable checkpoint in a folder; None if there are no checkpoints.

    A damaged checkpoint (of a failing disk: killed processes leave none) is reported on stderr and skipped.

    Raises:
        StyleSwapError: There are checkpoints, but none is readable.
    """
    failure = None
    for path in checkpoint_paths(folder):
        try:
            return read_checkpoint(path)
        except StyleSwapError as error:
            print(f"warning: {error}", file=sys.stderr)
            failure = error
    if failure is not None:
        raise failure
    return None


def restore_state(content: Mapping[str, Any], config: TrainingConfig, device: torch.device) -> TrainingState:
    """State stored by `save_checkpoint`; torch's random number generators are restored as well.

    Raises:
        StyleSwapError: The checkpoint belongs to another architecture.
    """
    state = create_state(config, device)
    for name, part in state.parts().items():
        if part is state.augmentation and name not in content:
            continue  # augmentation may be turned on during a run
        if name not in content:
            raise StyleSwapError(f"the checkpoint has no {name}; resume with the settings that it was made with")
        problem = f"the checkpoint's {name} does not fit the configuration"
        with decoding(problem, "resume with the settings that it was made with"):
            part.load_state_dict(content[name])
    state.step = int(content["step"])
    with decoding("the checkpoint's random state is damaged", "delete the checkpoint to use an older one"):
        torch.set_rng_state(content["random"]["cpu"])
        if device.type == "cuda" and "cuda" in content["random"]:
            torch.cuda.set_rng_state(content["random"]["cuda"], device)
    return state


def _tensors_of(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for _, entry in sorted(value.items(), key=lambda item: str(item[0])):
            yield from _tensors_of(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _tensors_of(entry)


def _to(network: Network, device: torch.device) -> Network:
    # torch's type annotations lack the argument.
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
