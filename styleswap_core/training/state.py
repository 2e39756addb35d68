"""Everything that a training carries from one step to the next, and its checkpoints."""

import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import StyleSwapError
from ..io.files import atomic_write
from ..model.discriminator import Discriminator
from ..model.generator import Generator
from ..model.generator_config import GeneratorConfig, preset
from .augmentation import Augmentation
from .optimizers import GENERATOR_OPTIMIZERS, Optimizer, adam
from .training_config import TrainingConfig, config_from_dict, config_to_dict

KIND = "styleswap-training"
KEPT_CHECKPOINTS = 2
_NAME = re.compile(r"step_(\d{9})\.pt")


@dataclass
class TrainingState:
    """Networks, optimizers and the number of finished steps; None what a run does not use."""

    generator: Generator
    generator_ema: Generator
    discriminator: Discriminator | None
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer | None
    augmentation: Augmentation | None = None
    step: int = 0

    def tensors(self) -> list[torch.Tensor]:
        """All tensors, the optimizers' included, in an order that depends on nothing but the configuration."""
        return list(_tensors_of({name: part.state_dict() for name, part in _parts(self).items()}))


def generator_config(config: TrainingConfig) -> GeneratorConfig:
    """The preset with the run's overrides.

    Raises:
        StyleSwapError: unknown preset or field, or a value out of range.
    """
    model = preset(config.model, **config.model_overrides)
    if model.embedding_norm != 1:
        raise StyleSwapError(
            f"training feeds L2-normalized embeddings: embedding_norm must be 1; got {model.embedding_norm}"
        )
    return model


def create_state(config: TrainingConfig, device: torch.device) -> TrainingState:
    """Fresh networks from the run's seed, on `device`, in channels-last memory."""
    torch.manual_seed(config.seed)
    model_config = generator_config(config)
    generator = _placed(Generator(model_config), device)
    discriminator = None
    # Drawn last: the generator's first weights are the same with and without a discriminator.
    if config.uses_discriminator:
        discriminator = _placed(
            Discriminator(model_config, config.discriminator_channel_scale, config.stddev_group), device
        )
    generator_ema = _placed(Generator(model_config), device)
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
    """generator_ema = decay * generator_ema + (1 - decay) * generator. (Its buffers are constants.)."""
    averaged, current = list(state.generator_ema.parameters()), list(state.generator.parameters())
    torch._foreach_lerp_(averaged, current, 1 - decay)


def save_checkpoint(folder: Path, state: TrainingState, config: TrainingConfig, device: torch.device) -> Path:
    """Write `step_000001000.pt` atomically and remove all but the newest `KEPT_CHECKPOINTS`.

    It holds all networks and optimizers, the step, the configuration and the random state of torch.
    """
    content = {
        "kind": KIND,
        "step": state.step,
        "config": config_to_dict(config),
        "random": {"cpu": torch.get_rng_state()},
        **{name: part.state_dict() for name, part in _parts(state).items()},
    }
    if device.type == "cuda":
        content["random"]["cuda"] = torch.cuda.get_rng_state(device)
    path = folder / f"step_{state.step:09d}.pt"
    with atomic_write(path) as temporary:
        torch.save(content, temporary)
    for old in checkpoint_paths(folder)[KEPT_CHECKPOINTS:]:
        old.unlink(missing_ok=True)
    return path


def checkpoint_paths(folder: Path) -> list[Path]:
    """Checkpoints in a folder, the newest first; unfinished files of a killed process are not among them."""
    return sorted((path for path in folder.glob("step_*.pt") if _NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, on the CPU; nothing but tensors and plain values is unpickled.

    Raises:
        StyleSwapError: missing, damaged or of another kind.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # torch reports damage by whatever its reader stumbles over.
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise StyleSwapError(
            f"{path} is not a readable checkpoint ({type(error).__name__}); remove it to use an older one"
        ) from error
    if not isinstance(content, Mapping) or content.get("kind") != KIND:
        raise StyleSwapError(f"{path}: expected a training checkpoint, got another kind of file; name a run folder")
    return dict(content)


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest readable checkpoint of a folder; None if there is none at all.

    A damaged one (a failing disk: a kill leaves none) is reported on stderr and the one before it is taken.

    Raises:
        StyleSwapError: there are checkpoints, and none is readable.
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
    """The state that `save_checkpoint` saw; torch's random state is set as well.

    Raises:
        StyleSwapError: the checkpoint belongs to another architecture.
    """
    state = create_state(config, device)
    for name, part in _parts(state).items():
        if part is state.augmentation and name not in content:
            continue  # it may be switched on at any time
        if name not in content:
            raise StyleSwapError(f"the checkpoint has no {name}; resume with the settings it was made with")
        try:
            part.load_state_dict(content[name])
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise StyleSwapError(
                f"the checkpoint's {name} does not fit the configuration ({reason}); "
                "resume with the settings it was made with"
            ) from error
    state.step = int(content["step"])
    torch.set_rng_state(content["random"]["cpu"])
    if device.type == "cuda" and "cuda" in content["random"]:
        torch.cuda.set_rng_state(content["random"]["cuda"], device)
    return state


def stored_config(content: Mapping[str, Any]) -> TrainingConfig:
    """The configuration inside a checkpoint."""
    return config_from_dict(content["config"], "checkpoint")


def _parts(state: TrainingState) -> dict[str, Any]:
    parts = {
        "generator": state.generator,
        "generator_ema": state.generator_ema,
        "generator_optimizer": state.generator_optimizer,
        "discriminator": state.discriminator,
        "discriminator_optimizer": state.discriminator_optimizer,
        "augmentation": state.augmentation,
    }
    return {name: part for name, part in parts.items() if part is not None}


def _tensors_of(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for _, entry in sorted(value.items(), key=lambda item: str(item[0])):
            yield from _tensors_of(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _tensors_of(entry)


def _placed(network: nn.Module, device: torch.device) -> Any:
    return network.to(device, memory_format=torch.channels_last)
