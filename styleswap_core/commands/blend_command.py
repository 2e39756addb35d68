"""`styleswap blend`: blend swapped pictures over their targets under a mask, like the node Blend With Mask."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from ..io.file_kinds import PICTURE_SUFFIXES
from .arguments import add_json_argument, add_result_arguments, add_target_arguments
from .blend_arguments import add_blend_arguments, blend_options
from .console import print_lines, print_note
from .credential_arguments import add_credential_arguments, signer_of
from .picture_files import SwapFiles, files_in, pictures_in, place, plan_files
from .picture_run import exit_code, run_pictures

if TYPE_CHECKING:
    import torch

    from ..compositing.composite import BlendOptions
    from ..credentials.signing import ContentSigner

_MASK_ENDINGS = ("_mask", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap blend`."""
    add_target_arguments(parser, "pictures before the swap, or folders")
    parser.add_argument(
        "--swapped",
        type=Path,
        required=True,
        metavar="PATH",
        help="picture after the swap, of the same size as the target; for several targets a folder of pictures with "
        "the same names, or one picture for all",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        required=True,
        metavar="PATH",
        help="gray picture, white where the swapped picture shows, scaled to the target; for several targets a folder "
        "of pictures with the same names, such as that of `swap --mask-out`, or one picture for all",
    )
    add_result_arguments(
        parser,
        "picture",
        "also write the mask after --grow, --feather and --keep, as a gray picture; for several targets a folder",
    )
    add_blend_arguments(parser.add_argument_group("blending, like the node Blend With Mask"), videos=False)
    add_credential_arguments(parser.add_argument_group("Content Credentials"), swap=False)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Blend the pictures; returns 0, or 2 if any of several pictures failed."""
    plan = _plan(args)
    signer = signer_of(args, [files.out for files in plan])
    from ..io.images import load_mask

    options, keep = blend_options(args), None if args.keep is None else load_mask(args.keep)

    def blend(files: SwapFiles) -> dict[str, Any]:
        swapped = _counterpart(args.swapped, files.target, args.target, ("",), "a swapped picture")
        mask = _counterpart(args.mask, files.target, args.target, _MASK_ENDINGS, "a mask")
        return _blend_file(files, swapped, mask, options, keep, signer)

    results, failed = run_pictures(plan, "blend", blend)
    if args.json:
        print(json.dumps({"results": results, "failed": failed}, indent=1))
    else:
        print_lines(*map(_line, results))
    return exit_code(failed)


def _plan(args: argparse.Namespace) -> list[SwapFiles]:
    """Pictures and their results, checked before any work is done."""
    read = [path for path in (args.swapped, args.mask, args.keep) if path is not None]
    folders = [path for path in read if path.is_dir()]
    inputs = [path for path in read if path not in folders]
    inputs += [file for folder in folders for file in files_in(folder, args.recursive)]
    written = [path for path in (args.out, args.mask_out) if path is not None]
    excluded = [*folders, *written] if args.recursive else []
    pictures = [picture for target in args.target for picture in pictures_in(target, args.recursive, excluded)]
    several = len(args.target) > 1 or args.target[0].is_dir()
    return plan_files(pictures, args.out, args.mask_out, inputs, several, args.target)


def _counterpart(given: Path, target: Path, roots: Sequence[Path], endings: Sequence[str], what: str) -> Path:
    """The picture that belongs to a target.

    Args:
        given: That picture, or a folder of pictures with the names of the targets.
        target: The target.
        roots: Folders that targets were found in.
        endings: What may follow the name of a target, the first that is there.
        what: What the picture is, such as "a mask".

    Raises:
        StyleSwapError: The folder holds no such picture.
    """
    if not given.is_dir():
        return given
    own = given / place(target, roots)
    suffixes = dict.fromkeys([own.suffix, f"{own.suffix}.png", *PICTURE_SUFFIXES])
    for path in [own.with_name(f"{own.stem}{ending}{suffix}") for ending in endings for suffix in suffixes]:
        if path.is_file():
            return path
    raise StyleSwapError(
        f"expected {what} named {target.stem}{endings[0]} in {given}, found none; give it the same name as its target"
    )


def _blend_file(
    files: SwapFiles,
    swapped: Path,
    mask: Path,
    options: "BlendOptions",
    keep: "torch.Tensor | None",
    signer: "ContentSigner | None",
) -> dict[str, Any]:
    """Blend a picture; write the result, and the mask if requested; returns a report."""
    import numpy as np
    import torch

    from ..compositing.composite import blend_frames
    from ..io.images import load_mask
    from ..io.picture_file import read_picture
    from .edited_files import write_edited

    start = time.perf_counter()
    target, changed = read_picture(files.target), read_picture(swapped)
    for path, file in ((files.target, target), (swapped, changed)):
        if file.frames > 1:
            print_note(f"{path} is an animation of {file.frames} frames; only the first is used")
    frames = [torch.from_numpy(file.seen)[None].float() / 255 for file in (target, changed)]
    kept = None if keep is None else keep[None]
    images, shares = blend_frames(frames[0], frames[1], load_mask(mask)[None], options, kept)
    result = np.rint(images[0].numpy() * 255).astype(np.uint8)
    differs, signed_by = write_edited(files, target, [changed], result, shares[0].numpy(), signer)
    return {
        "target": str(files.target),
        "swapped": str(swapped),
        "out": str(files.out),
        "mask": None if files.mask_out is None else str(files.mask_out),
        "seconds": round(time.perf_counter() - start, 3),
        "changed": differs,
        "signed_by": signed_by,
    }


def _line(result: dict[str, Any]) -> str:
    done = "blended" if result["changed"] else "unchanged"
    signed = f"; signed by {result['signed_by']}" if result["signed_by"] else ""
    return f"{result['out']}: {done}; {result['seconds']:.1f} s{signed}"
