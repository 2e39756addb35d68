"""How a batch is shared out: among the processes of a training, and among the passes of one process (`accumulate`).

A step's result must not depend on how many there are. Most terms are means over the batch, and the mean over equal
shares is the mean over all. Two things look at several rows at once: the discriminator's minibatch standard deviation,
and the recognizer where it judges the first `recognizer_rows` alone. Shares are therefore strided: of S shares, number s
takes the rows s, s + S, s + 2S, ... The groups of the standard deviation are strided in the same way, so that a share
holds whole groups of the full batch as long as its size allows for groups of that size; and the first n rows of the batch
are the first n / S of every share.
"""

from typing import NamedTuple

from ..errors import StyleSwapError
from ..model.discriminator import group_size
from .batches import Batch
from .process_group import Replica
from .training_config import TrainingConfig


class Share(NamedTuple):
    """What is computed at once."""

    batch: Batch
    rows: slice  # of the whole batch


def check_shares(config: TrainingConfig, world: int) -> None:
    """Refuse a batch whose shares would not add up to what one process computes in one pass.

    Raises:
        StyleSwapError: with what to change.
    """
    shares = world * config.accumulate
    into = f"{world} processes x {config.accumulate} passes"
    if config.batch % shares:
        raise StyleSwapError(f"expected a batch that {into} can share evenly, got {config.batch}; change `batch`")
    if config.recognizer_rows % shares and config.recognizer_rows < config.batch:
        raise StyleSwapError(
            f"expected recognizer_rows that {into} can share evenly, got {config.recognizer_rows}; "
            f"take a multiple of {shares}"
        )
    size = config.batch // shares
    if shares > 1 and config.uses_discriminator:
        whole = group_size(config.batch, config.stddev_group)
        if size % whole:
            raise StyleSwapError(
                f"the discriminator compares {whole} pictures at a time, and shares of {size} ({config.batch} pictures in "
                f"{into}) are no multiple of that; set stddev_group to a divisor of {size}, or change `batch`"
            )


def passes(config: TrainingConfig, batch: Batch, replica: Replica) -> list[Share]:
    """A replica's rows, to be run one share after another."""
    count = config.accumulate
    if count == 1:
        return [Share(batch, slice(replica.rank, None, replica.world))]
    first, stride = replica.rank, replica.world
    return [
        Share(batch.rows(slice(number, None, count)), slice(first + stride * number, None, stride * count))
        for number in range(count)
    ]
