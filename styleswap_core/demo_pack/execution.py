"""Device, memory format and precision of the demo pack's trainings."""

import sys

import torch
from torch import Tensor, nn

from ..devices import choose_precision, describe_precision


def place(network: nn.Module, device: torch.device) -> None:
    """Move a network to a device, in channels-last memory format, in place."""
    # torch's type annotations lack the argument.
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def place_batch(pictures: Tensor, device: torch.device) -> Tensor:
    """Pictures (B, C, H, W) on a device, in channels-last memory format."""
    return pictures.to(device).contiguous(memory_format=torch.channels_last)


def training_autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast context of a training step; `precision` as `devices.choose_precision` takes it, such as "auto"."""
    return choose_precision(device, "training", precision).autocast(device)


def announce_precision(device: torch.device, precision: str) -> None:
    """Print the precision of a training and the reason for it on stderr."""
    print(describe_precision(device, "training", precision), file=sys.stderr)
