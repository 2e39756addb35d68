"""`styleswap paste`: put crops of `styleswap align` back into their pictures, whatever was done to them in between."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError, counted
from .arguments import add_json_argument, add_result_arguments, add_target_arguments
from .blend_arguments import add_blend_arguments, blend_options
from .console import print_lines, print_note
from .credential_arguments import add_credential_arguments, signer_of
from .crop_files import CropFolder, add_places_argument, places_file
from .picture_files import SwapFiles, files_in, pictures_in, plan_files
from .picture_run import exit_code, run_pictures

if TYPE_CHECKING:
    from .file_paster import FilePaster, PasteReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap paste`."""
    add_target_arguments(parser, "the pictures that the crops were cut from, or swaps of them, or folders of pictures")
    parser.add_argument(
        "--crops",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder with the changed crops: square pictures of any size and format, under their original names, to "
        "which a program may append something, as in NAME_face0_4x.webp",
    )
    add_places_argument(parser)
    add_result_arguments(
        parser,
        "picture",
        "also write how much of each pixel was replaced, as a gray picture; for several targets a folder",
    )
    group = parser.add_argument_group("blending, like the node Paste Faces")
    add_blend_arguments(group, videos=False)
    group.add_argument(
        "--mask",
        type=Path,
        metavar="PATH",
        help="which part of each crop is pasted: a folder with a gray picture for each crop, such as that of `align "
        "--mask-out`, or one gray picture for all crops (default: the whole crop, fading out toward its border)",
    )
    add_credential_arguments(parser.add_argument_group("Content Credentials"), swap=False)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Paste the crops; returns 0, or 2 if any of several pictures failed."""
    places = places_file(args.places, args.crops)
    plan = _plan(args, places)
    signer = signer_of(args, [files.out for files in plan])
    from ..compositing.places_file import read_places
    from ..io.images import load_mask
    from .file_paster import FilePaster

    rows = read_places(places)
    names = [name for row in rows for name in row.crops]
    crops = CropFolder(args.crops, names, "a crop")
    masks = None
    if args.mask is not None:
        masks = CropFolder(args.mask, names, "a mask") if args.mask.is_dir() else load_mask(args.mask)
    keep = None if args.keep is None else load_mask(args.keep)
    paster = FilePaster(places, rows, crops, blend_options(args), masks, keep, signer)
    results, failed = _paste_all(paster, plan, args.target)
    _print_notes(results)
    if args.json:
        print(json.dumps({"results": results, "failed": failed}, indent=1))
    else:
        print_lines(*map(_line, results))
    return exit_code(failed)


def _plan(args: argparse.Namespace, places: Path) -> list[SwapFiles]:
    """Pictures and their results, checked before any work is done."""
    folders = [path for path in (args.crops, args.mask) if path is not None and path.is_dir()]
    inputs = [*(file for folder in folders for file in files_in(folder, args.recursive)), places]
    inputs += [path for path in (args.keep, args.mask) if path is not None and path not in folders]
    written = [path for path in (args.out, args.mask_out) if path is not None]
    excluded = [*folders, *written] if args.recursive else []
    if not places.exists():
        raise StyleSwapError(
            f"expected the positions of the crops in {places}, which does not exist; use --places to name the file"
            " that `styleswap align` wrote"
        )
    pictures = [picture for target in args.target for picture in pictures_in(target, args.recursive, excluded)]
    several = len(args.target) > 1 or args.target[0].is_dir()
    return plan_files(pictures, args.out, args.mask_out, inputs, several, args.target)


def _paste_all(
    paster: "FilePaster", plan: Sequence[SwapFiles], roots: Sequence[Path]
) -> "tuple[list[PasteReport], list[dict[str, str]]]":
    """Reports on the pictures, and target and error of those that failed."""
    # A single picture may have another name than before.
    alone = len(plan) == len(paster.rows) == 1

    def paste(files: SwapFiles) -> "PasteReport":
        return paster.paste_file(files, paster.rows[0] if alone else paster.row_of(files.target, roots))

    return run_pictures(plan, "paste", paste)


def _print_notes(results: "Sequence[PasteReport]") -> None:
    for result in results:
        if result["frames"] > 1:
            print_note(f"{result['target']} is an animation of {result['frames']} frames; only the first was used")
    same = sum(result["faces"] > 0 and not result["changed"] for result in results)
    if same:
        where = "" if len(results) == 1 else f" into {same} of {len(results)} pictures"
        print_note(f"nothing was pasted{where}, because the crops are unchanged")


def _line(result: "PasteReport") -> str:
    faces = counted(result["faces"], "face") if result["faces"] else "no face"
    done = f"{faces} pasted" if result["changed"] else f"{faces}, unchanged" if result["faces"] else faces
    signed = f"; signed by {result['signed_by']}" if result["signed_by"] else ""
    return f"{result['out']}: {done}; {result['seconds']:.1f} s{signed}"
