"""Initialization from trained networks, of the same size or of half the size (progressive growing)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..checkpoints.native import load_generator
from ..errors import StyleSwapError
from ..model.discriminator import Discriminator
from ..model.generator import Generator
from ..model.progressive_growing import grow, unmatched
from .run_folder import RunFolder
from .training_state import checkpoint_paths, read_checkpoint


def initialize_generator(generator: Generator, path: str | Path) -> list[str]:
    """Copy the weights of a generator file into `generator`.

    If the size doubles, the grown generator initially reproduces the trained one at twice the resolution; see
    model/progressive_growing.py.

    Returns:
        Names of the parameters that keep their random weights.

    Raises:
        StyleSwapError: No generator file, a size that is neither equal nor half, or layers that do not fit.
    """
    trained, _ = load_generator(path)
    # Training uses L2-normalized embeddings; scaling this layer is equivalent to scaling the embeddings.
    with torch.no_grad():
        trained.mapping.input.weight.mul_(trained.config.embedding_norm)
    size, trained_size = generator.config.size, trained.config.size
    if trained_size not in (size, size // 2):
        raise StyleSwapError(
            f"{path}: expected a generator of {size} or {size // 2} px to start from, got {trained_size} px; "
            "grow by one doubling at a time"
        )
    if trained_size < size:
        generator.load_state_dict(grow(trained, generator.config).state_dict())
        return unmatched(trained, generator)[0]
    shared = _fitting(trained.state_dict(), generator)
    if not shared:
        raise StyleSwapError(f"{path}: no layer has the shape that {size} px training needs; use the same channels")
    generator.load_state_dict(shared, strict=False)
    return sorted(set(generator.state_dict()) - set(shared))


def initialize_discriminator(discriminator: Discriminator, path: str | Path) -> list[str]:
    """Copy the weights of an earlier run's discriminator into `discriminator`.

    If the size doubles, the new first block keeps its random weights.

    Args:
        discriminator: Discriminator to initialize.
        path: Checkpoint, or run folder, whose newest checkpoint is used.

    Returns:
        Names of the parameters that keep their random weights.

    Raises:
        StyleSwapError: No checkpoint, a checkpoint without discriminator, or no layers that fit.
    """
    path = Path(path)
    if path.is_dir():
        checkpoints = checkpoint_paths(RunFolder(path).checkpoints)
        if not checkpoints:
            raise StyleSwapError(f"{path}: expected a run folder with checkpoints, got one without; name another")
        path = checkpoints[0]
    trained = read_checkpoint(path).get("discriminator")
    if trained is None:
        raise StyleSwapError(f"{path}: that run had no discriminator; name a run with weights.adversarial above 0")
    shared = _fitting(trained, discriminator)
    if f"blocks.{discriminator.size}.conv0.weight" not in trained:
        # The layer from RGB fits, but it has learned the frequencies of pictures of another size.
        shared = {name: value for name, value in shared.items() if not name.startswith("from_rgb.")}
    if not any(name.startswith("blocks.") for name in shared):
        raise StyleSwapError(
            f"{path}: no block of its discriminator has the shape that {discriminator.size} px training "
            "needs; use the same channels"
        )
    discriminator.load_state_dict(shared, strict=False)
    return sorted(set(discriminator.state_dict()) - set(shared))


def _fitting(trained: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Those of the trained tensors that have the name and the shape of one in the network."""
    needed = network.state_dict()
    return {name: value for name, value in trained.items() if name in needed and needed[name].shape == value.shape}
