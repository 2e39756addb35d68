"""What a benchmark ran on."""

import platform
from pathlib import Path

import torch


def machine_name(device: str) -> str:
    """The GPU's name for "cuda", else the processor's and the instructions that torch uses of it."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
