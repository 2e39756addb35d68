"""Where the pack's files lie among ComfyUI's model folders, and what is in them."""

import os
from pathlib import Path

import folder_paths

from ..styleswap_core.checkpoints import DEMO_MODEL
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.packs import PUBLISHED, list_packs

DEMO = "demo (built in)"
"""Choice of what ships with the pack."""

NO_IDENTITY = "(none saved yet)"

_GENERATORS = "styleswap"
_IDENTITIES = "styleswap_identities"
_INSIGHTFACE = "insightface"
_IDENTITY_SUBFOLDER = "identities"
# Checkpoints of other programs are listed, so that choosing one says how to convert it.
_GENERATOR_SUFFIXES = {".safetensors", ".pth", ".pt", ".ckpt", ".pdparams"}
_IDENTITY_SUFFIXES = {".safetensors"}


def register_folders() -> None:
    """Tell ComfyUI about the folders, adding to what `extra_model_paths.yaml` named; no file is touched."""
    models = Path(folder_paths.models_dir)
    folder_paths.add_model_folder_path(_GENERATORS, str(models / "styleswap"), is_default=True)
    _set_suffixes(_GENERATORS, _GENERATOR_SUFFIXES)
    saved = [Path(folder) / _IDENTITY_SUBFOLDER for folder in folder_paths.get_folder_paths(_GENERATORS)]
    for folder in (*saved, reactor_folder()):
        folder_paths.add_model_folder_path(_IDENTITIES, str(folder))
    _set_suffixes(_IDENTITIES, _IDENTITY_SUFFIXES)
    folder_paths.add_model_folder_path(_INSIGHTFACE, str(models / "insightface"))


def _set_suffixes(name: str, suffixes: set[str]) -> None:
    """Without a set of its own, ComfyUI would list every file of a folder that it does not know."""
    paths, _ = folder_paths.folder_names_and_paths[name]
    folder_paths.folder_names_and_paths[name] = (paths, suffixes)


def generator_names() -> list[str]:
    """Choices of Load StyleSwap Model."""
    inside = (_IDENTITY_SUBFOLDER + "/", _IDENTITY_SUBFOLDER + "\\")
    return [DEMO, *(name for name in folder_paths.get_filename_list(_GENERATORS) if not name.startswith(inside))]


def generator_path(name: str) -> Path:
    """File of a choice.

    Raises:
        StyleSwapError: it is not there any more.
    """
    if name == DEMO:
        return DEMO_MODEL
    return _existing(_GENERATORS, name, "model")


def pack_names() -> list[str]:
    """Choices of Load Face Analysis: what is on disk, then what insightface publishes."""
    return list(dict.fromkeys([DEMO, *list_packs(insightface_roots()), *PUBLISHED]))


def insightface_roots() -> list[str]:
    """Folders with `models/PACK` inside; a download goes to the first."""
    return [*folder_paths.get_folder_paths(_INSIGHTFACE), str(Path("~/.insightface").expanduser())]


def identity_names() -> list[str]:
    """Choices of Load Identity."""
    return folder_paths.get_filename_list(_IDENTITIES) or [NO_IDENTITY]


def identity_path(name: str) -> Path:
    """File of a choice.

    Raises:
        StyleSwapError: there is none of that name.
    """
    if name == NO_IDENTITY:
        raise StyleSwapError("there is no saved identity yet; save one with Save Identity, then press R to see it here")
    return _existing(_IDENTITIES, name, "identity")


def identity_folder() -> Path:
    """Where identities are saved."""
    return Path(folder_paths.get_folder_paths(_IDENTITIES)[0])


def reactor_folder() -> Path:
    """Where ReActor keeps its face models."""
    return Path(folder_paths.models_dir) / "reactor" / "faces"


def file_state(path: Path) -> str:
    """What changes when a file does: its path, size and time of modification."""
    try:
        stat = os.stat(path)
    except OSError:
        return f"{path}:missing"
    return f"{path}:{stat.st_size}:{stat.st_mtime_ns}"


def _existing(folder: str, name: str, kind: str) -> Path:
    path = folder_paths.get_full_path(folder, name)
    if path is None:
        places = " or ".join(folder_paths.get_folder_paths(folder))
        raise StyleSwapError(
            f"the {kind} {name!r} is not in {places} any more; put it back, or choose another (R refreshes)"
        )
    return Path(path)
