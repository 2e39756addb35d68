"""Batches in which photographs and rendered faces stand side by side: the latter show the exact swap."""

from dataclasses import fields

import numpy as np
import torch

from .batches import Batch, DataSource


def world_rows(batch: int, share: float) -> np.ndarray:
    """Which rows of a whole batch come from the face world: (batch,) bool, evenly spread.

    Evenly, because shares of a batch and the rows that the recognizer judges are cut out of it by place.
    """
    steps = np.floor(np.arange(batch + 1) * share + 1e-9)
    return np.diff(steps) > 0


class MixedSource:
    """A `DataSource` that puts the rows of two together.

    Args:
        photos, world: each gives the rows that `from_world` assigns to it, in order.
        from_world: (B,) bool over the rows of this process's share.
    """

    def __init__(self, photos: DataSource, world: DataSource, from_world: np.ndarray):
        self._sources = photos, world
        from_world = torch.from_numpy(np.asarray(from_world))
        self._places = torch.cat([(~from_world).nonzero().flatten(), from_world.nonzero().flatten()]).argsort()

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """The batch of `step`, a pure function of (seed, step)."""
        photos, world = (source.batch(step, source_crop) for source in self._sources)
        together = {}
        for entry in fields(Batch):
            values = getattr(photos, entry.name), getattr(world, entry.name)
            together[entry.name] = None if values[0] is None else torch.cat(values)[self._places.to(values[0].device)]
        return Batch(**together)
