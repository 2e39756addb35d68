"""`styleswap swap`: swap faces in picture files."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import StyleSwapError
from .arguments import face_choice, fraction, number, whole_number

if TYPE_CHECKING:
    from ..faces.choice import FaceChoice
    from ..identities.identity import Identity
    from .swap_setup import Blending, FileSwapper

# Baking an identity takes about as long as it saves on one or two pictures.
_WORTH_BAKING = 4
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FACE_ORDERS = ("largest", "left-right", "right-left", "top-bottom", "bottom-top", "confidence")
COLOR_MATCHES = ("none", "mean-std", "linear", "histogram")
BLEND_METHODS = ("alpha", "multi-band", "seamless")
_BLENDING = {"grow": 0, "feather": 4.0, "color_match": "none", "color_strength": 1.0, "method": "alpha", "keep": None}
"""Blending options and their defaults, those of the node Blend With Mask."""


class Job(NamedTuple):
    """A target file, its result, and its mask file if one is asked for."""

    target: Path
    out: Path
    mask_out: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap swap`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--source", type=Path, nargs="+", metavar="FILE", help="pictures of the source person; several are averaged"
    )
    source.add_argument(
        "--identity",
        type=Path,
        metavar="FILE.safetensors",
        help="a saved identity instead, as `styleswap invert` writes",
    )
    parser.add_argument(
        "--target", type=Path, nargs="+", required=True, metavar="FILE", help="pictures to swap faces in, or folders"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the result; a folder if there are several targets"
    )
    parser.add_argument(
        "--mask-out", type=Path, metavar="FILE", help="also write the mask, as a gray picture; a folder if --out is one"
    )
    _add_choice_arguments(parser.add_argument_group("which faces, as in the node Swap Face"))
    _add_swap_arguments(parser.add_argument_group("how they are swapped, as in the node Swap Face"))
    _add_blend_arguments(
        parser.add_argument_group("blending, as in the node Blend With Mask; any of these options turns it on")
    )
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_choice_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--faces",
        type=face_choice,
        default="largest",
        metavar="WHICH",
        help="largest (default), all, or face numbers such as 0,2, counted in --order",
    )
    group.add_argument("--order", choices=FACE_ORDERS, default="largest", help="how faces are numbered (largest)")
    group.add_argument(
        "--reference",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="choose by likeness instead: pictures of the person to replace, or one saved identity",
    )
    group.add_argument(
        "--likeness",
        type=number(-1.0, 1.0),
        default=0.3,
        metavar="COSINE",
        help="least cosine similarity between a face and the reference (0.3)",
    )


def _add_swap_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--strength",
        type=fraction,
        default=1.0,
        metavar="0..1",
        help="1 (default) gives the source's identity, 0 keeps the target's",
    )
    group.add_argument(
        "--mask-grow",
        type=whole_number(-64, 64),
        default=0,
        metavar="PX",
        help="grow (or shrink) the swapped region, in pixels of the aligned crop (0)",
    )
    group.add_argument(
        "--mask-feather",
        type=number(0.0, 64.0),
        default=0.0,
        metavar="PX",
        help="soften its outline, in pixels of the aligned crop (0)",
    )


def _add_blend_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--grow", type=whole_number(-256, 256), metavar="PX", help="grow (or shrink) the mask (0)")
    group.add_argument("--feather", type=number(0.0, 256.0), metavar="PX", help="soften its outline (4)")
    group.add_argument("--color-match", choices=COLOR_MATCHES, help="match the face's colors to the target's (none)")
    group.add_argument("--color-strength", type=fraction, metavar="0..1", help="how far to match colors (1)")
    group.add_argument("--method", choices=BLEND_METHODS, help="blending method (alpha)")
    group.add_argument(
        "--keep", type=Path, metavar="MASK", help="gray picture of each target's size, white where the target stays"
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that name the model, the face analysis, and the device."""
    group = parser.add_argument_group("model and face analysis")
    group.add_argument("--model", type=Path, metavar="FILE", help="model file (default: the demo model)")
    group.add_argument(
        "--pack",
        metavar="NAME",
        help="insightface pack, by name or folder (default: the demo pack); it must contain the recognizer that the "
        "model was trained with",
    )
    group.add_argument(
        "--download", action="store_true", help="let insightface download a missing pack (non-commercial license)"
    )
    group.add_argument(
        "--detection-size",
        type=whole_number(64),
        metavar="PX",
        help="side of the square that the detector sees, a multiple of 32; larger finds smaller faces, more slowly "
        "(default: 640 and 256)",
    )
    group.add_argument(
        "--detection-threshold",
        type=number(0.05, 0.95),
        default=0.5,
        metavar="0..1",
        help="least detector confidence; lower finds more faces, and more false ones (0.5)",
    )
    group.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: cuda if there is one)")


def load_swapper(args: argparse.Namespace) -> "FileSwapper":
    """Model and face analysis that the options of `add_model_arguments` name."""
    from .swap_setup import FileSwapper

    return FileSwapper.load(
        args.model, args.pack, args.download, args.device, args.detection_size, args.detection_threshold
    )


def run(args: argparse.Namespace) -> int:
    """Swap the targets; 0, or 2 if any of several failed."""
    jobs = plan(args.target, args.out, args.mask_out)
    from ..identities.identity_format import load_identity
    from .swap_setup import is_rendered, say

    swapper = load_swapper(args)
    if args.identity is not None:
        # A saved identity does not say what kind of pictures it was made from.
        identity, sources, rendered = load_identity(args.identity), [], False
    else:
        identity, sources = swapper.identify(args.source)
        rendered = all(is_rendered(source) for source in args.source)
    for source in sources:
        if source.outlier:
            say(f"{source.path} looks like another person than the other sources (cosine {source.similarity:.2f})")
    results, failed = _swap_all(swapper, identity, rendered, jobs, args)
    if len(jobs) == 1 and failed:
        raise StyleSwapError(failed[0]["error"])
    for notice in sorted({result["notice"] for result in results if result["notice"]}):
        say(notice)
    if args.json:
        report = {
            "results": results,
            "failed": failed,
            "sources": [vars(source) for source in sources],
            "model": swapper.model_card(),
        }
        print(json.dumps(report, indent=1))
    else:
        _print_lines(results, failed)
    return 2 if failed else 0


def _choice(args: argparse.Namespace, swapper: "FileSwapper") -> "FaceChoice":
    from ..faces.choice import FaceChoice
    from ..identities.identity_format import load_identity
    from ..pipeline.swapper import references_for

    if args.reference is None:
        return FaceChoice.parse(args.faces, args.order)
    saved = len(args.reference) == 1 and args.reference[0].suffix == ".safetensors"
    reference = load_identity(args.reference[0]) if saved else swapper.identify(args.reference)[0]
    references = references_for([reference], swapper.analyzer)
    return FaceChoice("by likeness", args.order, references=references, likeness=args.likeness)


def _blending(args: argparse.Namespace) -> "Blending | None":
    """Blending that the options ask for; None if they ask for none."""
    from ..compositing.composite import BlendOptions
    from .swap_setup import Blending

    given = {name: getattr(args, name) for name in _BLENDING if getattr(args, name) is not None}
    if not given:
        return None
    values = {**_BLENDING, **given}
    keep = values.pop("keep")
    return Blending(BlendOptions(**values), keep)


def plan(targets: list[Path], out: Path, mask_out: Path | None) -> list[Job]:
    """One job per picture, checked before any work is done.

    Raises:
        StyleSwapError: An empty folder, two targets of the same name, or a result that would replace a target or
            cannot be written to its place.
    """
    pictures = [picture for target in targets for picture in pictures_in(target)]
    several = len(targets) > 1 or targets[0].is_dir()
    if several:
        for folder in (out, mask_out):
            if folder is not None and not folder.is_dir() and (folder.exists() or _is_picture_name(folder)):
                raise StyleSwapError(
                    f"expected a folder for the results of several targets, got {folder}; name a folder"
                )
    jobs = [
        Job(
            picture,
            out / _file_name(picture) if several or out.is_dir() else out,
            mask_out / f"{picture.stem}_mask.png" if mask_out and (several or mask_out.is_dir()) else mask_out,
        )
        for picture in pictures
    ]
    _check_outputs(jobs)
    return jobs


def pictures_in(target: Path) -> list[Path]:
    """Picture files of a folder, sorted by name, or the file itself.

    Raises:
        StyleSwapError: A folder without pictures.
    """
    if not target.is_dir():
        return [target]
    found = sorted(path for path in target.iterdir() if _is_picture_name(path))
    if not found:
        raise StyleSwapError(
            f"expected pictures ({', '.join(PICTURE_SUFFIXES)}) in {target}, found none; check the folder"
        )
    return found


def _is_picture_name(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _file_name(picture: Path) -> str:
    return picture.name if _is_picture_name(picture) else f"{picture.name}.png"


def _check_outputs(jobs: Sequence[Job]) -> None:
    from ..io.images import check_image_suffix

    written: dict[Path, Path] = {}
    inputs = {picture.resolve() for picture, _, _ in jobs}
    for picture, *outputs in jobs:
        for path in outputs:
            if path is None:
                continue
            check_image_suffix(path)
            if path.resolve() in inputs:
                raise StyleSwapError(f"{path} is a target and would be replaced by a result; choose another --out")
            if path.resolve() in written:
                raise StyleSwapError(
                    f"{picture} and {written[path.resolve()]} would both be written to {path}; "
                    "rename one, or swap them one by one"
                )
            if len(jobs) == 1 and not path.parent.is_dir():
                raise StyleSwapError(
                    f"expected an existing folder for the result, {path.parent} is none; create it first"
                )
            written[path.resolve()] = picture


def _swap_all(
    swapper: "FileSwapper", identity: "Identity", rendered: bool, jobs: Sequence[Job], args: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Reports of the targets that were swapped, and target and error of those that failed."""
    from tqdm import tqdm

    from ..pipeline.face_jobs import SwapOptions

    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    choice, blending = _choice(args, swapper), _blending(args)
    options = SwapOptions(args.strength, args.mask_grow, args.mask_feather)
    swapper = swapper.baked() if len(jobs) >= _WORTH_BAKING else swapper
    with tqdm(jobs, desc="swap", unit="picture", disable=len(jobs) == 1) as bar:
        for job in bar:
            try:
                done = swapper.swap_file(
                    identity, *job, faces=choice, options=options, blending=blending, rendered_source=rendered
                )
                results.append(done.report)
            # A disk that is full for one picture may have room for the next; the report names each failure.
            except (StyleSwapError, OSError) as error:
                text = str(error) if str(job.target) in str(error) else f"{job.target}: {error}"
                failed.append({"target": str(job.target), "error": text})
                if len(jobs) > 1:
                    bar.write(f"styleswap: error: {text}", file=sys.stderr)
    return results, failed


def _print_lines(results: list[dict[str, Any]], failed: list[dict[str, str]]) -> None:
    for result in results:
        faces = [f"face {face['index']}" + likeness(face) for face in result["faces"]]
        print(f"{result['out']}: {'; '.join(faces)}; {result['seconds']:.1f} s")
    if len(results) + len(failed) > 1:
        print(
            f"{len(results)} of {len(results) + len(failed)} pictures swapped"
            + (f"; failed: {', '.join(row['target'] for row in failed)}" if failed else "")
        )


def likeness(face: dict[str, Any]) -> str:
    """Similarity of a reported face to the source before and after, in words; empty if it was not measured."""
    if face["similarity"] is None:
        return ""
    return f" (likeness to the source {face['similarity_before']:.2f} -> {face['similarity']:.2f})"
