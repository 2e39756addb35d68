"""Division of a batch among processes, and among the micro-batches of gradient accumulation.

The result of a step must not depend on the number of processes and micro-batches. Most terms are means over the batch,
and the mean of the means of equal parts is the mean of the whole. Two operations depend on which rows are together: the
discriminator's minibatch standard deviation, and the recognizer if it evaluates only the first `recognizer_rows`. The
division is therefore strided: of P parts, part p holds the rows p, p + P, p + 2P, ... The groups of the standard
deviation are strided in the same way, so that each part holds whole groups of the batch if its size is a multiple of
the group size; and the first n rows of the batch are the first n / P rows of every part.
"""

from typing import NamedTuple

from ..errors import StyleSwapError
from ..model.discriminator import group_size
from .batches import Batch
from .process_group import ProcessGroup
from .training_config import TrainingConfig


class MicroBatch(NamedTuple):
    """Rows of a batch that are computed in one forward and backward pass."""

    batch: Batch
    rows: slice  # their position in the whole batch


def check_division(config: TrainingConfig, world_size: int) -> None:
    """Check that the parts of a batch add up to what one process computes in one pass.

    Raises:
        StyleSwapError: They do not; the message says which setting to change.
    """
    parts = world_size * config.gradient_accumulation
    division = f"{world_size} processes x {config.gradient_accumulation} micro-batches"
    if config.batch % parts:
        raise StyleSwapError(
            f"expected a batch size that is divisible by {division}, got {config.batch}; change `batch`"
        )
    if config.recognizer_rows % parts and config.recognizer_rows < config.batch:
        raise StyleSwapError(
            f"expected recognizer_rows to be divisible by {division}, got {config.recognizer_rows}; "
            f"use a multiple of {parts}"
        )
    size = config.batch // parts
    if parts > 1 and config.uses_discriminator:
        group = group_size(config.batch, config.stddev_group)
        if size % group:
            raise StyleSwapError(
                f"expected micro-batches that are a multiple of the discriminator's groups of {group} pictures, got "
                f"{size} ({config.batch} pictures in {division}); set stddev_group to a divisor of {size}, or change "
                "`batch`"
            )


def split_batch(config: TrainingConfig, batch: Batch, process_group: ProcessGroup) -> list[MicroBatch]:
    """Micro-batches of the rows of this process."""
    count = config.gradient_accumulation
    first, stride = process_group.rank, process_group.world_size
    if count == 1:
        return [MicroBatch(batch, slice(first, None, stride))]
    return [
        MicroBatch(batch.rows(slice(number, None, count)), slice(first + stride * number, None, stride * count))
        for number in range(count)
    ]
