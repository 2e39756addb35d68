"""Options that say how identities are saved, and the saving."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from ..io.files import require_folder_of
from .arguments import Options
from .console import print_note

if TYPE_CHECKING:
    from ..identities.identity import Identity

# What the words of options are called in the nodes. Written out, since the module that defines them imports torch, and
# --help should be quick; a test compares them.
FORMATS = {"styleswap": "StyleSwap identity", "reactor": "ReActor face model"}
EXISTING = {"overwrite": "overwrite", "add-number": "add a number", "stop": "stop"}


def add_saving_arguments(group: Options, folder: str = "") -> None:
    """Declare --out, --file-format, --portrait and --if-exists; `folder` says when --out is a folder."""
    group.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.safetensors",
        help=f"identity file to write, for `styleswap swap --identity`{folder}",
    )
    group.add_argument(
        "--file-format",
        choices=tuple(FORMATS),
        default="styleswap",
        help="styleswap, or reactor for a face model of ReActor, which requires an identity from the recognizer "
        "w600k_r50 (buffalo_l) (default: %(default)s)",
    )
    group.add_argument(
        "--portrait",
        action="store_true",
        help="also store a portrait of the source face, cut from a picture, which BlendSwap and UniFace need; without "
        "it, the file contains no picture",
    )
    group.add_argument(
        "--if-exists",
        choices=tuple(EXISTING),
        default="overwrite",
        help="what to do if the file already exists (default: %(default)s)",
    )


def check_outputs(out: Path, *pictures: Path | None) -> None:
    """Check the paths of an identity file and of pictures that are written along, before the long work.

    Raises:
        StyleSwapError: A suffix is wrong, or a folder does not exist.
    """
    if out.suffix != ".safetensors":
        raise StyleSwapError(f"expected --out to name a .safetensors file, got {out}")
    require_folder_of(out)
    check_pictures(*pictures)


def check_pictures(*pictures: Path | None) -> None:
    """Check the paths of pictures that are written along; None is none.

    Raises:
        StyleSwapError: A suffix is wrong, or a folder does not exist.
    """
    from ..io.images import check_image_suffix

    for path in pictures:
        if path is not None:
            require_folder_of(path)
            check_image_suffix(path)


def check_existing(args: argparse.Namespace) -> None:
    """Check before the long work that --out may be written.

    Raises:
        StyleSwapError: It exists, and --if-exists is stop.
    """
    from ..identities.saving import path_to_write

    path_to_write(args.out, EXISTING[args.if_exists])


def save_identities(args: argparse.Namespace, identities: "Mapping[Path, Identity]") -> list[Path]:
    """Save identities as the options say; returns the files.

    Nothing is written unless all of them can be stored in the format.

    Raises:
        StyleSwapError: The format has no room for one, a file exists and is not to be replaced, or cannot be written.
    """
    from ..identities.saving import REACTOR, check_storable, path_to_write, save_identity_as

    form = FORMATS[args.file_format]
    paths = [path_to_write(path, EXISTING[args.if_exists]) for path in identities]
    for identity in identities.values():
        check_storable(identity, form, args.portrait)
    for path, identity in zip(paths, identities.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_identity_as(path, identity, form, args.portrait)
        if form == REACTOR and identity.w_plus is not None:
            print_note(f"{path} has only the plain identity: a {REACTOR} has no room for the result of an inversion")
    return paths
