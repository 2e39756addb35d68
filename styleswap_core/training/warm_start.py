"""Starting a training from finished networks: of the same size, or of half the size (progressive growing)."""

from pathlib import Path

import torch

from ..checkpoints.native import load_generator
from ..errors import StyleSwapError
from ..model.discriminator import Discriminator
from ..model.generator import Generator
from ..model.progressive_growing import grow, unmatched
from .run_folder import RunFolder
from .state import checkpoint_paths, read_checkpoint


def initialize_from(generator: Generator, path: str | Path) -> list[str]:
    """Copy into `generator` what a generator file has, and return the names of the parameters that start fresh.

    When the size doubles, the grown generator first does what the small one did, one octave larger (`model.growth`).

    Raises:
        StyleSwapError: not a generator file, another size than that or half of it, or layers that do not fit.
    """
    trained, _ = load_generator(path)
    # Training feeds L2-normalized embeddings; the same layer, scaled, makes of them what it made of longer ones.
    with torch.no_grad():
        trained.mapping.input.weight.mul_(trained.config.embedding_norm)
    size, trained_size = generator.config.size, trained.config.size
    if trained_size not in (size, size // 2):
        raise StyleSwapError(
            f"{path}: expected a generator of {size} or {size // 2} px to start from, "
            f"got {trained_size} px; grow by one doubling at a time"
        )
    if trained_size < size:
        generator.load_state_dict(grow(trained, generator.config).state_dict())
        return unmatched(trained, generator)[0]
    known, wanted = trained.state_dict(), generator.state_dict()
    shared = {name: value for name, value in known.items() if name in wanted and wanted[name].shape == value.shape}
    if not shared:
        raise StyleSwapError(f"{path}: no layer has the shape that {size} px training needs; use the same channels")
    generator.load_state_dict(shared, strict=False)
    return sorted(set(wanted) - set(shared))


def initialize_discriminator(discriminator: Discriminator, path: str | Path) -> list[str]:
    """Copy into `discriminator` what an earlier training's has, and return the names of the parameters that start fresh.

    Where the size doubles, its new first block starts fresh.

    Args:
        path: a run folder, whose newest checkpoint counts, or a checkpoint.

    Raises:
        StyleSwapError: no checkpoint, one without discriminator, or no layers that fit.
    """
    path = Path(path)
    if path.is_dir():
        found = checkpoint_paths(RunFolder(path).checkpoints)
        if not found:
            raise StyleSwapError(f"{path}: expected a run folder with checkpoints, got one without; name another")
        path = found[0]
    trained = read_checkpoint(path).get("discriminator")
    if trained is None:
        raise StyleSwapError(f"{path}: that training had no discriminator; name a run with weights.adversarial above 0")
    wanted = discriminator.state_dict()
    shared = {name: value for name, value in trained.items() if name in wanted and wanted[name].shape == value.shape}
    if f"blocks.{discriminator.size}.conv0.weight" not in trained:
        # What reads pictures of another size reads other frequencies.
        shared = {name: value for name, value in shared.items() if not name.startswith("from_rgb.")}
    if not any(name.startswith("blocks.") for name in shared):
        raise StyleSwapError(
            f"{path}: no block of its discriminator has the shape that {discriminator.size} px training "
            "needs; use the same channels"
        )
    discriminator.load_state_dict(shared, strict=False)
    return sorted(set(wanted) - set(shared))
