"""Fingerprint of the renderer, for pictures that are cached instead of rendered again."""

import platform

import torch

RENDERER_VERSION = 1
"""Increment with every change that alters pictures, ground truth or the numbers drawn from a seed.

`tests/synthetic/test_renderer_version.py` compares renders with those of this version.
"""

RENDERER_FINGERPRINT = " ".join(
    # Rounding depends on torch and on the processor; sensor noise comes from torch's random numbers.
    (str(RENDERER_VERSION), torch.__version__, platform.machine(), torch.backends.cpu.get_cpu_capability())
)
"""Equal fingerprints and equal arguments of `render` mean equal pixels on the CPU."""
