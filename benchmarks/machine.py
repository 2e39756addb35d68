"""Name of the machine that a benchmark runs on."""

import platform
from pathlib import Path

import torch


def machine_name(device: str) -> str:
    """The GPU for "cuda"; otherwise the processor and the instruction set that torch uses."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
