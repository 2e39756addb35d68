"""Random choice of the rows of a batch that an augmentation changes."""

import torch
from torch import Tensor


def random_rows(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Indices of rows 0..count-1, each chosen with probability `share`; int64, ascending."""
    return torch.nonzero(torch.rand(count, generator=generator) < share)[:, 0]
