"""Batches that mix photographs with rendered faces, for which the exact swap is known."""

import numpy as np
import torch

from .batches import Batch, DataSource, combine


class MixedSource:
    """A `DataSource` that interleaves the rows of two others.

    Args:
        photographs: Supplies the rows where `from_world` is False, in order.
        world: Supplies the rows where `from_world` is True, in order.
        from_world: (B,) bool for the rows of this process.
    """

    def __init__(self, photographs: DataSource, world: DataSource, from_world: np.ndarray) -> None:
        self._photographs, self._world = photographs, world
        mask = torch.from_numpy(from_world)
        self._order = torch.cat([(~mask).nonzero().flatten(), mask.nonzero().flatten()]).argsort()

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """Batch of `step`; see `DataSource.batch`."""
        photographs, world = self._photographs.batch(step, source_crop), self._world.batch(step, source_crop)
        order = self._order.to(photographs.target.device)
        return combine(lambda first, second: torch.cat([first, second])[order], photographs, world)
