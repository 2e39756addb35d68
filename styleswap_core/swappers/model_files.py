"""Loading of swapping networks: our own checkpoints and files of other programs."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..checkpoints import DEMO_MODEL
from ..devices import choose_device
from ..errors import StyleSwapError
from .guest_files import SUFFIXES, guest_folders, read_guest
from .guest_network import GuestNetwork
from .styleswap_network import StyleSwapNetwork, load_styleswap_model


def load_model(
    path: str | Path | None = None,
    device: str | torch.device | None = None,
    *,
    baked: bool = True,
    family: str = "",
    folders: Sequence[str | Path] | None = None,
    any_recognizer: bool = False,
) -> StyleSwapNetwork | GuestNetwork:
    """Load a swapping network, ready to swap.

    Args:
        path: A `.safetensors` file of this project, or an `.onnx` or `.dfm` file of another program; the demo model by
            default.
        device: `cpu`, `cuda`, ...; by default CUDA if there is one, otherwise the CPU.
        baked: See `StyleSwapNetwork`.
        family: Family of a foreign network whose file does not tell it; see `guest_families.FAMILIES`.
        folders: Folders that may hold further files that a foreign network needs, beside its own folder; by default
            `guest_folders()`.
        any_recognizer: Let a foreign network take embeddings of any recognizer, instead of only those that it was
            trained with.

    Raises:
        StyleSwapError: The file is missing, damaged or not recognized, or the device does not exist.
    """
    if path is None and not DEMO_MODEL.is_file():
        raise StyleSwapError(f"the demo model {DEMO_MODEL} is missing; reinstall the package, or name a model file")
    file = Path(path) if path is not None else DEMO_MODEL
    place = device if isinstance(device, torch.device) else choose_device(device)
    if file.suffix.lower() not in SUFFIXES:
        if family:
            raise StyleSwapError(f"a family belongs to an .onnx file, and {file.name} is none; leave the family out")
        return load_styleswap_model(file, place, baked=baked)
    known = [Path(folder) for folder in (guest_folders() if folders is None else folders)]
    return GuestNetwork(read_guest(file, family), place, folders=known, any_recognizer=any_recognizer)
