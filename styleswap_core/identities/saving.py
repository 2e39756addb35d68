"""Identities saved in a format of the user's choice, and what happens to a file that exists already."""

import os
from pathlib import Path

from ..errors import StyleSwapError
from .identity import Identity
from .identity_format import save_identity
from .reactor_files import check_face_model, save_face_model

STYLESWAP, REACTOR = "StyleSwap identity", "ReActor face model"
FILE_FORMATS = (STYLESWAP, REACTOR)

NUMBER, OVERWRITE, STOP = "add a number", "overwrite", "stop"
EXISTING = (NUMBER, OVERWRITE, STOP)
"""What to do if a file exists already."""


def check_storable(identity: Identity, file_format: str = STYLESWAP, portrait: bool = False) -> None:
    """Check that a file can hold what is asked for.

    Raises:
        StyleSwapError: A portrait is asked for, and the identity or the format has none; or the format is unknown, or
            for another recognizer.
    """
    if file_format not in FILE_FORMATS:
        raise StyleSwapError(f"expected a file format out of {', '.join(FILE_FORMATS)}, got {file_format!r}")
    if portrait and file_format == REACTOR:
        raise StyleSwapError(f"a {REACTOR} has no portrait; turn portrait off, or choose the format {STYLESWAP}")
    if file_format == REACTOR:
        check_face_model(identity)
    if portrait and identity.portrait is None:
        raise StyleSwapError(
            "this identity has no portrait to save; turn portrait off, or extract the identity from pictures, which"
            " cuts one"
        )


def save_identity_as(
    path: str | Path, identity: Identity, file_format: str = STYLESWAP, portrait: bool = False
) -> None:
    """Write an identity atomically, in one of FILE_FORMATS.

    Args:
        path: The file, `.safetensors`.
        identity: The identity.
        file_format: One of FILE_FORMATS.
        portrait: Whether the file also gets the portrait of the source face. Without it the file contains no picture.

    Raises:
        StyleSwapError: As for `check_storable`, `save_identity` and `save_face_model`.
    """
    check_storable(identity, file_format, portrait)
    if file_format == REACTOR:
        save_face_model(path, identity)
    else:
        save_identity(path, identity, portrait=portrait)


def path_to_write(path: Path, if_exists: str) -> Path:
    """The path under which a new file is saved: `path`, or with "add a number" the first of its kind that is unused.

    Raises:
        StyleSwapError: The file exists, and `if_exists` is "stop".
    """
    if if_exists == OVERWRITE or not os.path.lexists(path):
        return path
    if if_exists == STOP:
        raise StyleSwapError(
            f"{path} already exists; choose another name, or let if_exists add a number or overwrite it"
        )
    number = 2
    while os.path.lexists(numbered := path.with_stem(f"{path.stem}_{number}")):
        number += 1
    return numbered
