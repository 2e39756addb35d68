"""How weights and their gradients lie in memory: convolutions in channels-last order, everything else as written."""

import torch
from torch import Tensor


def in_channels_last(weight: Tensor) -> bool:
    """Whether a weight lies in channels-last order."""
    return weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)


def like(gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient in the order of its weight: autograd may choose another, and not the same one on every machine."""
    order = torch.channels_last if in_channels_last(weight) else torch.contiguous_format
    return gradient.contiguous(memory_format=order)


def rows_in_memory(weight: Tensor) -> Tensor:
    """A view (weight.shape[0], rest) of a weight in either order, its values as they lie in memory."""
    if in_channels_last(weight):
        weight = weight.permute(0, 2, 3, 1)
    return weight.view(weight.shape[0], -1)


def flat_in_memory(weight: Tensor) -> Tensor:
    """A view (numel,) of a weight in either order, its values as they lie in memory."""
    if in_channels_last(weight):
        weight = weight.permute(0, 2, 3, 1)
    return weight.view(-1)
