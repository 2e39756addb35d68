"""Names of identity files, as users write them. Does not import ComfyUI."""

from pathlib import Path, PurePosixPath

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.saving import NUMBER, path_to_write

_SUFFIX = ".safetensors"
# Characters that Windows forbids in file names; refused everywhere, so that a workflow runs on every system.
_FORBIDDEN = set('<>:"|?*\\')
# Devices of Windows, whatever the suffix.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
# Leaves room for a number and the suffix in the 255 that file systems allow.
_MAX_BYTES = 200


def check_filename(filename: str | None) -> bool | str:
    """Result for ComfyUI's validation: True, or a message about an invalid file name.

    A name of None comes from another node and is not known yet.
    """
    try:
        return True if filename is None else bool(relative_path(filename))
    except StyleSwapError as error:
        return str(error)


def relative_path(filename: str) -> Path:
    """Path of an identity file relative to its folder.

    Args:
        filename: Name as the user wrote it, with or without suffix and subfolders.

    Raises:
        StyleSwapError: The name is empty, absolute, leads out of the folder, or is invalid on some system.
    """
    text = filename.strip().replace("\\", "/").removesuffix(_SUFFIX)
    parts = PurePosixPath(text).parts
    invalid = (
        not parts or text.startswith("/") or any(part in (".", "..") or part.endswith((" ", ".")) for part in parts)
    )
    if any(len(part.encode("utf-8", "surrogatepass")) > _MAX_BYTES for part in parts):
        raise StyleSwapError(
            f"expected a file name of at most {_MAX_BYTES} bytes, got {filename[:40]!r}...; shorten it"
        )
    invalid = invalid or any(part.split(".")[0].strip().upper() in _DEVICES for part in parts)
    if invalid or any(character in _FORBIDDEN or ord(character) < 32 for character in text):
        raise StyleSwapError(f"expected a file name such as anna or friends/anna, got {filename!r}; choose another one")
    return Path(*parts[:-1], parts[-1] + _SUFFIX)


def prepare_file(folder: Path, filename: str, if_exists: str = NUMBER) -> Path:
    """Choose the path of a new identity file, relative to `folder`, and create its subfolder.

    Raises:
        StyleSwapError: `relative_path` refuses the name, the file exists and `if_exists` is "stop", or the subfolder
            cannot be created.
    """
    path = path_to_write(folder / relative_path(filename), if_exists)
    parent = path.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleSwapError(f"cannot create the folder {parent}: {error.strerror}; choose another name") from error
    return path.relative_to(folder)
