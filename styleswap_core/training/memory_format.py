"""Memory formats of weights and gradients: convolutions are channels-last, everything else is contiguous."""

import torch
from torch import Tensor


def is_channels_last(weight: Tensor) -> bool:
    """Whether a weight is stored in channels-last format."""
    return weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)


def match_memory_format(gradient: Tensor, weight: Tensor) -> Tensor:
    """Gradient in the memory format of its weight.

    Autograd may choose another format, and not the same one on every machine.
    """
    memory_format = torch.channels_last if is_channels_last(weight) else torch.contiguous_format
    return gradient.contiguous(memory_format=memory_format)


def as_matrix(weight: Tensor) -> Tensor:
    """View of a weight in either format as (weight.shape[0], rest), with the columns in memory order."""
    if is_channels_last(weight):
        weight = weight.permute(0, 2, 3, 1)
    return weight.view(weight.shape[0], -1)


def flatten_in_memory_order(weight: Tensor) -> Tensor:
    """View of a weight in either format as (numel,), in memory order."""
    if is_channels_last(weight):
        weight = weight.permute(0, 2, 3, 1)
    return weight.view(-1)
