"""Models on this machine: where they lie, and the one that the options of a command name."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.native import load_header
from ..errors import StyleSwapError
from ..masking.mask_files import SUFFIX as MASK_SUFFIX
from ..masking.mask_files import mask_folders
from ..swappers.guest_files import SUFFIXES, guest_folders, list_guests
from ..swappers.guest_network import GuestNetwork
from ..swappers.model_files import load_model
from ..swappers.styleswap_network import StyleSwapNetwork
from .comfyui_folder import comfyui_folder

_OWN_SUFFIX = ".safetensors"
_UNSTATED = "not stated in the file"


@dataclass(frozen=True)
class FoundModel:
    """A model file.

    Attributes:
        path: The file.
        family: Its family, or several if the file does not tell; StyleSwap for models of this project.
        size: Side of its crops in pixels.
        license: Its license, as a phrase.
    """

    path: Path
    family: str
    size: int
    license: str


def model_folders() -> list[Path]:
    """Folders in which models lie: those of ComfyUI, if there is one, and those under `models` here."""
    comfyui = comfyui_folder()
    return [*(guest_folders(comfyui / "models") if comfyui is not None else ()), *guest_folders()]


def list_models(folders: list[Path]) -> list[FoundModel]:
    """Models in folders, sorted by name within each; other files are left out, and no weights are read."""
    return [model for folder in folders for model in _models_in(folder)]


def find_model(name: Path) -> Path:
    """File of a model: the path itself, or a file of this name in one of the folders, with or without its suffix."""
    return _find(name, model_folders(), (_OWN_SUFFIX, *SUFFIXES))


def find_mask_network(name: Path) -> Path:
    """File of a mask network: the path itself, or a file of this name, like a model's."""
    comfyui = comfyui_folder()
    folders = [*(mask_folders(comfyui / "models") if comfyui is not None else ()), *mask_folders()]
    return _find(name, folders, (MASK_SUFFIX,))


def load_network(args: argparse.Namespace) -> StyleSwapNetwork | GuestNetwork:
    """Load what the options of `arguments.add_model_argument` and `add_device_argument` name; identities are not baked.

    Raises:
        StyleSwapError: As for `load_model`.
    """
    return load_model(
        None if args.model is None else find_model(args.model),
        args.device,
        baked=False,
        family="" if args.family == "automatic" else args.family,
        folders=model_folders(),
        any_recognizer=args.any_recognizer,
    )


def _find(name: Path, folders: list[Path], suffixes: tuple[str, ...]) -> Path:
    if name.exists() or name.parent != Path():
        return name
    files = [folder / f"{name}{suffix}" for folder in folders for suffix in ("", *suffixes)]
    return next((file for file in files if file.is_file()), name)


def _models_in(folder: Path) -> Iterator[FoundModel]:
    for path in sorted(folder.glob(f"*{_OWN_SUFFIX}")):
        try:
            config, metadata = load_header(path)
        except StyleSwapError:
            continue
        yield FoundModel(path, "StyleSwap", config.size, str(metadata.get("license", _UNSTATED)))
    for guest in list_guests([folder]):
        family = " or ".join(one.name for one in guest.families)
        yield FoundModel(guest.path, family, guest.size, guest.license)
