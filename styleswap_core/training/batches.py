"""Training batches, and the interface of the data sources that supply them: a batch is a pure function of the step."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

# The step whose batch is drawn for sample grids: beyond every training.
SAMPLE_STEP = 1 << 40
# Batches that are read ahead of the step in progress.
READ_AHEAD = 3

# Which rows of a whole batch: a slice, or their indices.
Rows = slice | np.ndarray


@dataclass(frozen=True)
class Batch:
    """Aligned crops for one step. Images RGB -1..1, float32."""

    target: Tensor  # (B, 3, S, S)
    id_embedding: Tensor  # (B, 512) L2-normalized, from another photo of the source than any picture here
    own_embedding: Tensor  # (B, 512) the same of the target's own person
    truth: Tensor  # (B, 3, S, S) what the result should be, where that is known; else the target, to fill the place
    truth_known: Tensor  # (B,) bool: of same-identity rows always, of others where the exact swap is shown
    face_mask: Tensor  # (B, 1, S, S) 0..1: face of the target, joined with the exact swap's where that is shown
    same_identity: Tensor  # (B,) bool: source and target are one person
    points: Tensor  # (B, 5, 2) px of the crop: five points of the truth where it is known, else of the target
    source_crop: Tensor | None = None  # (B, 3, S, S) the photo behind id_embedding, for sample grids alone

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device; pictures in channels-last memory, which convolutions want."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def rows(self, part: slice) -> "Batch":
        """Some rows of the batch, in memory of their own."""
        return self._each(lambda value: value[part])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is not None:
                value = change(value)
                value = value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value.contiguous()
            changed[entry.name] = value
        return Batch(**changed)


def random_of_step(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """Random numbers of one step, apart from those of its other streams.

    They come from a counter-based generator: any step's numbers are reached without drawing those before.
    """
    key = np.array([seed, step], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, stream]))


class DataSource(Protocol):
    """Where batches come from. A resumed run asks for the steps it has not done, and nothing else is remembered."""

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """The batch of `step`: the same at every call, in every process. Called from another thread."""
        ...
