"""Training batches, and the interface of the data sources that supply them: a batch is a pure function of the step."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

# Step whose batch is used for sample sheets and validation; no training run reaches it.
SAMPLE_STEP = 1 << 40
# Number of batches that are read ahead of the step in progress.
READ_AHEAD = 3

# Rows of a batch: a slice, or their indices.
Rows = slice | np.ndarray


@dataclass(frozen=True)
class Batch:
    """Aligned crops of one step; pictures are RGB in -1..1, float32."""

    target: Tensor  # (B, 3, S, S)
    id_embedding: Tensor  # (B, D) L2-normalized, of another photo of the source than `target` and `truth`
    target_embedding: Tensor  # (B, D) L2-normalized, of another photo of the target's person than `target`
    truth: Tensor  # (B, 3, S, S) expected result where it is known, otherwise the target, as a placeholder
    truth_known: Tensor  # (B,) bool: True for same-identity rows, and for others if the exact swap is available
    face_mask: Tensor  # (B, 1, S, S) 0..1: face of the target, united with that of the exact swap if available
    same_identity: Tensor  # (B,) bool: source and target are the same person
    points: Tensor  # (B, 5, 2) landmarks of the truth where it is known, otherwise of the target, in pixels
    source_crop: Tensor | None = None  # (B, 3, S, S) photo behind id_embedding, only for sample sheets

    def to(self, device: torch.device) -> "Batch":
        """Batch on another device, with pictures in channels-last format."""
        return self.map(lambda value: value.to(device, non_blocking=True))

    def rows(self, rows: slice) -> "Batch":
        """Copy of some rows of the batch."""
        return self.map(lambda value: value[rows])

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Batch with `function` applied to each tensor; pictures come out in channels-last format."""
        return combine(lambda value: _in_memory_format(function(value)), self)


def combine(function: Callable[..., Tensor], *batches: Batch) -> Batch:
    """Batch with `function` applied to each group of corresponding tensors; a field that is None in any stays None."""
    combined: dict[str, Tensor] = {}
    for field in fields(Batch):
        values = [getattr(batch, field.name) for batch in batches]
        if all(value is not None for value in values):
            combined[field.name] = function(*values)
    return Batch(**combined)


def _in_memory_format(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last if value.dim() == 4 else torch.contiguous_format)


class DataSource(Protocol):
    """Source of training batches. It is stateless: a resumed run just asks for the remaining steps."""

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """Batch of `step`, the same for every call and in every process; called from a worker thread.

        Args:
            step: Number of the step, from 0.
            source_crop: Whether to fill in `Batch.source_crop`.
        """
        ...


class Stream(IntEnum):
    """Streams of random numbers of a step, by what they decide."""

    PAIRS = 0
    AUGMENTATION = 1  # the first of several, one per `augmentation.Purpose`
    OCCLUSION = 16
    TEACHER = 200


def step_rng(seed: int, step: int, stream: int = Stream.PAIRS) -> np.random.Generator:
    """Random number generator of one step; streams of the same step are independent.

    It is counter-based, so that the numbers of any step are available without drawing those of earlier steps.
    """
    key = np.array([seed, step], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, stream]))


def spaced_rows(batch: int, share: float) -> np.ndarray:
    """A share of the rows of a batch, as (batch,) bool, evenly spaced.

    Even spacing keeps the share the same in micro-batches and among the rows that the recognizer evaluates, both of
    which are selected by position.
    """
    boundaries = np.floor(np.arange(batch + 1) * share + 1e-9)
    return np.diff(boundaries) > 0
