"""`styleswap face-mask`: write masks of the faces in pictures, or of regions of them."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from ..masking.regions import AREAS, OUTLINES, REGIONS, SHAPED, SWAPPED
from ..pipeline.swap_options import MAX_SHARE
from .arguments import (
    add_detection_arguments,
    add_device_argument,
    add_json_argument,
    add_pack_arguments,
    add_parsing_argument,
    number,
)
from .choice_arguments import add_choice_arguments, choice_of
from .console import print_lines, print_note
from .mask_arguments import add_occlusion_argument, named_masks, regions
from .picture_files import SwapFiles, check_results, plan_files
from .picture_run import exit_code

if TYPE_CHECKING:
    from ..faces.choice import FaceChoice
    from ..faces.detected import FaceAnalyzer
    from ..masking.face_masks import FaceMasks
    from ..pipeline.masked_faces import MaskedFaces, MaskOptions

FRAME, FACE = "frame", "face"
"""Choices of --one-mask-per."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap face-mask`."""
    parser.add_argument("pictures", type=Path, nargs="+", metavar="FILE", help="pictures, or folders of pictures")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="gray picture to write; for several pictures, or one mask for each face, a folder",
    )
    mask = parser.add_argument_group("masks, like the node Face Mask")
    mask.add_argument(
        "--regions",
        type=lambda text: regions(text, AREAS),
        default=AREAS[0],
        metavar="NAMES",
        help=f"what the mask shows, such as eyes,mouth: {', '.join(SHAPED)}; with --parsing also "
        f"{', '.join(name for name in REGIONS if name not in SHAPED)}, or numbers of its classes (default: "
        "%(default)s)",
    )
    mask.add_argument(
        "--grow",
        type=number(-MAX_SHARE, MAX_SHARE),
        default=0.0,
        metavar=f"-{MAX_SHARE}..{MAX_SHARE}",
        help="grow the mask by this fraction of the face's aligned crop, which is about one and a half times as tall "
        "as the face; negative values shrink it (default: %(default)s)",
    )
    mask.add_argument(
        "--feather",
        type=number(0.0, MAX_SHARE),
        default=0.0,
        metavar=f"0..{MAX_SHARE}",
        help="width over which the edge of the mask fades, as a fraction of the same crop (default: %(default)s)",
    )
    mask.add_argument(
        "--one-mask-per",
        choices=(FRAME, FACE),
        default=FRAME,
        help="frame: one mask for each picture, with all of its faces; face: one for each face, as NAME_face0.png and "
        "so on (default: %(default)s)",
    )
    add_parsing_argument(mask)
    add_occlusion_argument(mask)
    add_choice_arguments(parser.add_argument_group("choice of faces"), "all")
    group = parser.add_argument_group("face analysis")
    add_pack_arguments(group)
    add_detection_arguments(group)
    add_device_argument(group)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write the masks; returns 0, or 2 if any of several pictures failed."""
    plan = _plan(args)
    from ..pipeline.masked_faces import MaskOptions
    from .face_files import load_analysis

    options = MaskOptions(args.regions, args.grow, args.feather)
    masks = named_masks(args, SWAPPED, OUTLINES[0])
    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    choice = choice_of(args, analyzer)
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for files in plan:
        try:
            results.append(_mask_file(files, args.one_mask_per, analyzer, choice, options, masks))
        except (StyleSwapError, OSError) as error:
            if len(plan) == 1:
                raise
            failed.append({"picture": str(files.target), "error": " ".join(str(error).split())})
            continue
        if not args.json:
            print_lines(*_lines(results[-1]))
    if args.json:
        print(json.dumps({"results": results, "failed": failed}, indent=1))
    return exit_code(failed)


def _plan(args: argparse.Namespace) -> list[SwapFiles]:
    """Pictures and their masks, checked before any work is done."""
    inputs = [*(args.reference or args.everyone_but or ()), *(path for path in (args.parsing, args.occlusion) if path)]
    several = len(args.pictures) > 1 or args.pictures[0].is_dir() or args.one_mask_per == FACE
    plan = plan_files(args.pictures, args.out, None, inputs, several)
    # Masks have no colors, and losses of a JPEG would show in them.
    plan = [files._replace(out=files.out.with_suffix(".png")) if several else files for files in plan]
    check_results([(files.target, files.out) for files in plan], [*inputs, *(files.target for files in plan)])
    return plan


def _mask_file(
    files: SwapFiles,
    one_mask_per: str,
    analyzer: "FaceAnalyzer",
    choice: "FaceChoice",
    options: "MaskOptions",
    masks: "FaceMasks | None",
) -> dict[str, Any]:
    """Mask the faces of a picture; returns a report."""
    import torch

    from ..io.picture_file import read_picture
    from ..io.picture_writing import save_image
    from ..io.sheets import mask_picture
    from ..pipeline.masked_faces import mask_faces

    file = read_picture(files.target)
    if file.frames > 1:
        print_note(f"{files.target} is an animation of {file.frames} frames; only the first is used")
    frame = torch.from_numpy(file.seen)[None].float() / 255
    found = mask_faces(frame, analyzer, choice, options, masks=masks)
    written = []
    for path, mask in _masks(found, files.out, one_mask_per):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(path, mask_picture(mask.numpy()))
        written.append(str(path))
    boxes = [None if face.box is None else list(face.box) for face in found.faces]
    return {"picture": str(files.target), "out": written, "boxes": boxes, "problems": list(found.problems[0])}


def _masks(found: "MaskedFaces", out: Path, one_mask_per: str) -> "Iterator[tuple[Path, Any]]":
    """Files and masks of a picture, one after the other."""
    if one_mask_per == FRAME:
        yield out, found.together()[0]
        return
    for row in range(len(found.faces)):
        yield out.with_stem(f"{out.stem}_face{row}"), found.only(row).together()[0]


def _lines(result: dict[str, Any]) -> list[str]:
    faces = len(result["boxes"])
    masked = f"{'1 face' if faces == 1 else f'{faces} faces'} masked"
    return [
        f"{result['picture']}: {'; '.join([masked, *result['problems']])}",
        *(f"  {path}" for path in result["out"]),
    ]
