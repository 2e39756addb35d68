"""Precision of the demo pack's trainings."""

import torch

from ..devices import choose_precision


def runs_bf16(device: torch.device, requested: bool | None) -> bool:
    """Whether convolutions run in bfloat16; by default where the hardware has instructions for it."""
    name = {None: "auto", True: "bf16", False: "fp32"}[requested]
    return choose_precision(device, "training", name).dtype == torch.bfloat16
