"""The pack's model folders in ComfyUI, and the files in them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import folder_paths

from ..styleswap_core.checkpoints import DEMO_MODEL
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.opencv_zoo import ZOO_NAMES, find_zoo
from ..styleswap_core.faces.pack_folders import ZOO_ROOTS, in_home
from ..styleswap_core.faces.pack_licenses import PUBLISHED
from ..styleswap_core.faces.packs import find_pack, list_packs
from ..styleswap_core.io.downloads import Progress
from ..styleswap_core.masking.mask_files import FOLDER_NAMES as MASK_FOLDERS
from ..styleswap_core.masking.mask_files import SUFFIX, list_mask_files
from ..styleswap_core.swappers.guest_families import FAMILIES
from ..styleswap_core.swappers.guest_files import FOLDER_NAMES as GUEST_FOLDERS
from ..styleswap_core.swappers.guest_files import SUFFIXES as GUEST_SUFFIXES
from ..styleswap_core.swappers.guest_files import GuestFile, list_guests

DEMO = "demo (built in)"
"""Choice of the model and the pack that are part of this repository."""

NO_IDENTITY = "(none saved yet)"
"""Only choice of Load Identity while there is no identity file."""

_GENERATORS = "styleswap"
_IDENTITIES = "styleswap_identities"
_INSIGHTFACE = "insightface"
_ZOO = ZOO_NAMES[0]
_MASKS = "styleswap_masks"
_IDENTITY_SUBFOLDER = "identities"
# Subfolders of the generators' folder, and files in it, that are no swapping networks.
_OTHER_SUBFOLDERS = {_IDENTITY_SUBFOLDER, "masks"}
_CONVERTERS = {family.converter for family in FAMILIES.values() if family.converter}
# Folders in which other packs keep swapping networks.
_OTHER_PACKS = [name for name in GUEST_FOLDERS if name != _GENERATORS]
# Checkpoints of other programs are listed too: choosing one raises an error that says how to convert it.
_GENERATOR_SUFFIXES = {".safetensors", ".pth", ".pt", ".ckpt", ".pdparams", *GUEST_SUFFIXES}
_IDENTITY_SUFFIXES = {".safetensors"}


def register_folders() -> None:
    """Register the folders with ComfyUI, in addition to those of `extra_model_paths.yaml`; no file is touched."""
    models = Path(folder_paths.models_dir)
    folder_paths.add_model_folder_path(_GENERATORS, str(models / "styleswap"), is_default=True)
    _set_suffixes(_GENERATORS, _GENERATOR_SUFFIXES)
    saved = [Path(folder) / _IDENTITY_SUBFOLDER for folder in folder_paths.get_folder_paths(_GENERATORS)]
    for folder in (*saved, reactor_folder()):
        folder_paths.add_model_folder_path(_IDENTITIES, str(folder))
    _set_suffixes(_IDENTITIES, _IDENTITY_SUFFIXES)
    folder_paths.add_model_folder_path(_INSIGHTFACE, str(models / "insightface"))
    folder_paths.add_model_folder_path(_ZOO, str(models / _ZOO))
    for name in _OTHER_PACKS:
        folder_paths.add_model_folder_path(name, str(models / name))
    for name in MASK_FOLDERS:
        folder_paths.add_model_folder_path(_MASKS, str(models / name))
    _set_suffixes(_MASKS, {SUFFIX})


def _set_suffixes(name: str, suffixes: set[str]) -> None:
    """Limit a folder to some suffixes; ComfyUI lists every file of a folder that it does not know."""
    paths, _ = folder_paths.folder_names_and_paths[name]
    folder_paths.folder_names_and_paths[name] = (paths, suffixes)


def generator_names() -> list[str]:
    """Choices of Load StyleSwap Model: our folder's files, then networks in the folders of other packs."""
    own = [
        name
        for name in folder_paths.get_filename_list(_GENERATORS)
        if name.replace("\\", "/").split("/")[0] not in _OTHER_SUBFOLDERS and Path(name).name not in _CONVERTERS
    ]
    guests = _guests_of_other_packs()
    # ComfyUI's dialog for missing models compares names without folders, so those are added only where needed.
    plain = Counter([*own, *(guest.path.name for _, guest in guests)])
    found = [guest.path.name if plain[guest.path.name] == 1 else name for name, guest in guests]
    return list(dict.fromkeys([DEMO, *own, *found]))


def generator_path(name: str) -> Path:
    """File behind a choice of Load StyleSwap Model.

    Raises:
        StyleSwapError: The file does not exist any more.
    """
    if name == DEMO:
        return DEMO_MODEL
    if folder_paths.get_full_path(_GENERATORS, name) is None:
        for other, guest in _guests_of_other_packs():
            if name in (other, guest.path.name):
                return guest.path
    return _existing(_GENERATORS, name, "model", guest_folders() if Path(name).suffix.lower() in GUEST_SUFFIXES else ())


def guest_folders() -> list[Path]:
    """Folders of networks of other programs, and of the files that they need."""
    return [Path(path) for name in GUEST_FOLDERS for path in folder_paths.get_folder_paths(name)]


def _guests_of_other_packs() -> list[tuple[str, GuestFile]]:
    """Names such as hyperswap/hyperswap_1a_256.onnx, with their files; other files in those folders are left out."""
    return [
        (f"{folder}/{guest.path.name}", guest)
        for folder in _OTHER_PACKS
        for guest in list_guests(folder_paths.get_folder_paths(folder))
    ]


def pack_names() -> list[str]:
    """Choices of Load Face Analysis: the packs on disk, OpenCV Zoo's, then those that insightface publishes."""
    return list(dict.fromkeys([DEMO, *list_packs(insightface_roots()), _ZOO, *PUBLISHED]))


def pack_folder(name: str, download: bool, progress: Progress | None = None) -> Path:
    """Folder of a choice of Load Face Analysis.

    Args:
        name: The choice.
        download: Download the pack if it is missing.
        progress: Receives the progress of a download from OpenCV Zoo.

    Raises:
        StyleSwapError: The pack is missing, or its download failed.
    """
    if name in ZOO_NAMES:
        folders = [Path(folder) for folder in folder_paths.get_folder_paths(_ZOO)]
        folders += [Path(root) / "models" / _ZOO for root in insightface_roots()]
        return find_zoo([*folders, ZOO_ROOTS[0] / "models" / _ZOO], download, progress)
    return find_pack(None if name == DEMO else name, insightface_roots(), download)


def insightface_roots() -> list[str]:
    """Folders that hold packs as `models/NAME`; downloads go to the first."""
    return [*folder_paths.get_folder_paths(_INSIGHTFACE), *map(str, in_home(".insightface"))]


def mask_names(kind: str) -> list[str]:
    """Files of mask networks of a kind, for Load Face Masks."""
    paths = {name: folder_paths.get_full_path(_MASKS, name) for name in folder_paths.get_filename_list(_MASKS)}
    fitting = set(list_mask_files([path for path in paths.values() if path], kind))
    return [name for name, path in paths.items() if path and Path(path) in fitting]


def mask_path(name: str) -> Path:
    """File behind a choice of Load Face Masks.

    Raises:
        StyleSwapError: There is no such file.
    """
    return _existing(_MASKS, name, "mask network")


def identity_names() -> list[str]:
    """Choices of Load Identity."""
    return folder_paths.get_filename_list(_IDENTITIES) or [NO_IDENTITY]


def identity_path(name: str) -> Path:
    """File behind a choice of Load Identity.

    Raises:
        StyleSwapError: There is no such file.
    """
    if name == NO_IDENTITY:
        raise StyleSwapError("no identity has been saved yet; save one with Save Identity, then press R to refresh")
    return _existing(_IDENTITIES, name, "identity")


def identity_folder() -> Path:
    """Folder in which identities are saved."""
    return Path(folder_paths.get_folder_paths(_IDENTITIES)[0])


def reactor_folder() -> Path:
    """Folder in which ReActor keeps its face models."""
    return Path(folder_paths.models_dir) / "reactor" / "faces"


def _existing(folder: str, name: str, kind: str, others: Sequence[Path] = ()) -> Path:
    path = folder_paths.get_full_path(folder, name)
    if path is None:
        places = " or ".join(dict.fromkeys([*folder_paths.get_folder_paths(folder), *map(str, others)]))
        raise StyleSwapError(
            f"the {kind} {name!r} is not in {places}; restore the file, or choose another one (R refreshes the list)"
        )
    return Path(path)
