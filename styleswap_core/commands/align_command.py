"""`styleswap align`: cut faces out of pictures, for other programs; `styleswap paste` puts them back."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import StyleSwapError, counted
from ..io.files import require_file, require_folder_of
from .arguments import (
    add_detection_arguments,
    add_device_argument,
    add_json_argument,
    add_pack_arguments,
    add_target_arguments,
    whole_number,
)
from .choice_arguments import add_choice_arguments, choice_of
from .console import print_lines, print_note
from .crop_files import add_places_argument, check_vacant, places_file
from .mask_arguments import add_outline_arguments, load_masks
from .picture_files import check_results, pictures_in, place
from .picture_run import exit_code, run_pictures

if TYPE_CHECKING:
    from ..compositing.places_file import PicturePlaces
    from ..faces.choice import FaceChoice
    from ..faces.detected import FaceAnalyzer
    from ..masking.face_masks import FaceMasks
    from ..pipeline.face_aligner import AlignedFaces

# Written out, since the modules that define them import torch, and --help should be quick; a test compares them.
CROP_SIZES = (16, 2048)
CROP_TEMPLATES = (
    "ffhq",
    "gpen",
    "arcface_112",
    "arcface_128",
    "arcface_112_v1",
    "arcface_112_v2",
    "ffhq_512",
    "dfl_whole_face",
    "mtcnn_512",
)
# The file with the places has about three kilobytes for each picture, and JSON files are read up to a limit.
_MAX_PICTURES = 10_000


class _CropPlan(NamedTuple):
    """A picture, and its path below the folder that it was found in."""

    target: Path
    place: Path


class _Shapes(NamedTuple):
    """How crops are cut: side in pixels, crop template, and networks for their masks."""

    size: int
    template: str
    masks: "FaceMasks | None"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap align`."""
    add_target_arguments(parser, "pictures to cut faces from, or folders of pictures, such as the frames of a video")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="new or empty folder for the crops: NAME_face0.png, NAME_face1.png and so on for each picture",
    )
    parser.add_argument(
        "--mask-out",
        type=Path,
        metavar="FOLDER",
        help="also write a mask of the face in each crop: NAME_face0_mask.png and so on, in a folder of their own",
    )
    add_places_argument(parser)
    group = parser.add_argument_group("crops, like the node Align Faces")
    group.add_argument(
        "--size",
        type=whole_number(*CROP_SIZES),
        default=512,
        metavar="PX",
        help="side of the crops in pixels; most face restorers take 512 (default: %(default)s)",
    )
    group.add_argument(
        "--template",
        choices=CROP_TEMPLATES,
        default=CROP_TEMPLATES[0],
        help="where eyes, nose and mouth are in the crop; ffhq: with hair and chin, for face restorers such as GFPGAN "
        "and CodeFormer; the arcface templates are tighter (default: %(default)s)",
    )
    add_choice_arguments(parser.add_argument_group("choice of faces"), "all")
    add_outline_arguments(parser.add_argument_group("masks for --mask-out, like the node Load Face Masks"))
    group = parser.add_argument_group("face analysis")
    add_pack_arguments(group)
    add_detection_arguments(group)
    add_device_argument(group)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write crops and their places; returns 0, or 2 if any of several pictures failed."""
    places = places_file(args.places, args.out)
    plan = _plan(args, places)
    from ..compositing.places_file import write_places
    from .face_files import load_analysis

    shapes = _Shapes(args.size, args.template, load_masks(args))
    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    choice = choice_of(args, analyzer)
    rows: list[PicturePlaces] = []

    def cut(one: _CropPlan) -> dict[str, Any]:
        report, row = _cut_file(one, args.out, args.mask_out, analyzer, choice, shapes)
        rows.append(row)
        return report

    try:
        results, failed = run_pictures(plan, "align", cut)
    finally:
        # After an interruption, too, so that the crops that were written can be pasted.
        if rows:
            args.out.mkdir(parents=True, exist_ok=True)
            write_places(places, rows)
    if args.json:
        print(json.dumps({"places": str(places), "results": results, "failed": failed}, indent=1))
    else:
        print_lines(*(line for result in results for line in _lines(result)), f"places: {places}")
    return exit_code(failed)


def _plan(args: argparse.Namespace, places: Path) -> list[_CropPlan]:
    """The pictures, checked before any work is done."""
    folders = [folder for folder in (args.out, args.mask_out) if folder is not None]
    for folder in folders:
        check_vacant(folder)
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise StyleSwapError(
            f"expected different folders for crops and masks, got {args.mask_out} for both; name another one"
        )
    shaping = ("parsing", "occlusion") if args.mask_out is None else ()
    for name in (name for name in shaping if getattr(args, name) is not None):
        raise StyleSwapError(f"--{name} only affects masks; name a folder for them with --mask-out")
    inputs = [*(args.reference or args.everyone_but or ()), *(path for path in (args.parsing, args.occlusion) if path)]
    excluded = folders if args.recursive else []
    found = [picture for target in args.target for picture in pictures_in(target, args.recursive, excluded)]
    if len(found) > _MAX_PICTURES:
        raise StyleSwapError(
            f"expected at most {_MAX_PICTURES} pictures, got {len(found)}; use several runs, each with its own folder"
        )
    plan = [_CropPlan(picture, place(picture, args.target)) for picture in found]
    crops = [(one.target, args.out / one.place.with_suffix(".png")) for one in plan]
    check_results([*crops, (places, places)], [*inputs, *found])
    _check_places(places)
    # Before the networks are loaded, which takes seconds.
    if len(found) == 1:
        require_file(found[0], "a picture file")
    return plan


def _check_places(places: Path) -> None:
    """Check that the file with the places can be written, and replaces none of another kind."""
    require_folder_of(places)
    if places.exists():
        from ..compositing.places_file import FORMAT
        from ..io.json_text import read_record

        if (read_record(places, format=str) or {}).get("format") != FORMAT:
            raise StyleSwapError(
                f"{places} exists and does not contain places of crops; name another file with --places"
            )


def _cut_file(
    one: _CropPlan,
    out: Path,
    mask_out: Path | None,
    analyzer: "FaceAnalyzer",
    choice: "FaceChoice",
    shapes: _Shapes,
) -> "tuple[dict[str, Any], PicturePlaces]":
    """Cut the faces out of a picture; returns a report, and where the crops belong."""
    import torch

    from ..compositing.places_file import PicturePlaces, crop_names
    from ..identities.provenance import MARK
    from ..io.picture_file import read_picture
    from ..pipeline.face_aligner import align_faces

    file = read_picture(one.target)
    if file.frames > 1:
        print_note(f"{one.target} is an animation of {file.frames} frames; only the first is used")
    frame = torch.from_numpy(file.seen)[None].float() / 255
    size, template, masks = shapes
    aligned = align_faces(frame, analyzer, choice, size=size, template=template, masks=masks)
    names = crop_names(one.place.as_posix(), len(aligned.crops))
    # Crops of a swapped picture show a swapped face.
    texts = {MARK: file.texts[MARK]} if MARK in file.texts else {}
    crops, mask_files = _write(aligned, names, out, mask_out, texts)
    report = {
        "target": str(one.target),
        "crops": [str(path) for path in crops],
        "masks": None if mask_out is None else [str(path) for path in mask_files],
        "problems": list(aligned.problems[0]),
    }
    return report, PicturePlaces(one.place.as_posix(), names, aligned.placed)


def _write(
    aligned: "AlignedFaces", names: Sequence[str], out: Path, mask_out: Path | None, texts: dict[str, str]
) -> tuple[list[Path], list[Path]]:
    """Write the crops of a picture and their masks, all of them or none."""
    import numpy as np

    from ..io.picture_writing import save_image
    from ..io.sheets import mask_picture

    crops = [out / name for name in names]
    masks = [] if mask_out is None else [mask_out / name for name in names]
    masks = [path.with_stem(f"{path.stem}_mask") for path in masks]
    try:
        for row, path in enumerate(crops):
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, np.rint(aligned.crops[row].numpy() * 255).astype(np.uint8), texts)
        for row, path in enumerate(masks):
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, mask_picture(aligned.masks[row].numpy()))
    except BaseException:
        for path in (*crops, *masks):
            path.unlink(missing_ok=True)
        raise
    return crops, masks


def _lines(result: dict[str, Any]) -> list[str]:
    cut = f"{counted(len(result['crops']), 'face')} cut out"
    return [
        f"{result['target']}: {'; '.join([cut, *result['problems']])}",
        *(f"  {path}" for path in (*result["crops"], *(result["masks"] or ()))),
    ]
