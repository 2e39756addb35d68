"""What tells one state of the renderer from another, for pictures that are kept instead of rendered again."""

import hashlib
import platform
from pathlib import Path

import torch


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    # Rounding depends on these, and the noise on torch.
    digest.update(f"{torch.__version__} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}".encode())
    return digest.hexdigest()


# When the module is loaded, and not when somebody asks: an update of the files must not pass for the code that runs.
RENDERER_FINGERPRINT = _fingerprint()
"""Hexadecimal SHA-256 of all that decides a rendered picture on the CPU beside what `render` is given: this folder's
sources, torch's version and the kind of processor."""
