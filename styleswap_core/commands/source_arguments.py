"""Options of `styleswap swap` that name the source people, and their identities."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import add_outliers_argument, face_numbers
from .console import print_note

if TYPE_CHECKING:
    from ..faces.choice import FaceChoice
    from ..identities.extraction import SourceReport
    from ..identities.identity import Identity
    from .file_swapper import FileSwapper


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --source, --identity, and the options that choose a face of each source picture."""
    from ..faces.choice import GENDER_CHOICES
    from ..faces.detected import FACE_ORDERS

    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--source",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="pictures of the source person; several pictures are averaged",
    )
    source.add_argument(
        "--identity",
        type=Path,
        nargs="+",
        metavar="FILE.safetensors",
        help="saved identity of the source person, such as from `styleswap identity extract` or `styleswap invert`, or "
        "a ReActor face model; several files are several people, the first for the first chosen face",
    )
    group = parser.add_argument_group("source pictures, like the node Extract ArcFace ID")
    group.add_argument(
        "--source-face",
        type=face_numbers,
        metavar="N",
        help="number of the source person's face in pictures that show several, in the order of --source-order, as "
        "`styleswap detect` lists them; several numbers such as 0,2 are several people, the first for the first chosen "
        "face (default: the largest)",
    )
    group.add_argument(
        "--source-order",
        choices=FACE_ORDERS,
        default="largest",
        help="order in which the faces of source pictures are numbered (default: %(default)s)",
    )
    group.add_argument(
        "--source-gender",
        choices=GENDER_CHOICES,
        default="any",
        help="consider only faces of this gender in source pictures, as estimated by the face analysis (default: "
        "%(default)s)",
    )
    add_outliers_argument(group)


def load_sources(args: argparse.Namespace, swapper: "FileSwapper") -> "tuple[list[Identity], list[SourceReport]]":
    """Identity of each source person, and a report on each picture of each of them.

    Raises:
        StyleSwapError: A file cannot be read, or a picture does not show the face that is chosen.
    """
    from ..identities.reactor_files import load_any_identity

    if args.identity is not None:
        return [load_any_identity(path) for path in args.identity], []
    leave_out = args.outliers == "leave-out"
    found = [swapper.identify(args.source, choice, leave_out) for choice in _choices(args)]
    return [identity for identity, _ in found], [report for _, reports in found for report in reports]


def _choices(args: argparse.Namespace) -> "list[FaceChoice]":
    """Which face of each source picture is that of each person."""
    from ..faces.choice import FaceChoice

    if args.source_face is None:
        return [FaceChoice("largest", args.source_order, gender=args.source_gender)]
    return [
        FaceChoice("by index", args.source_order, (number,), gender=args.source_gender) for number in args.source_face
    ]


def print_source_notes(sources: "Sequence[SourceReport]", args: argparse.Namespace) -> None:
    """Say what users may not have meant."""
    which = "largest" if args.source_gender == "any" else f"largest {args.source_gender} one"
    notes: list[str] = []
    for source in sources:
        if source.faces_found > 1 and args.source_face is None:
            notes.append(
                f"{source.path} shows {source.faces_found} faces; the {which} is the source, choose another one with"
                " --source-face"
            )
        if source.frames > 1:
            notes.append(f"{source.path} is an animation of {source.frames} frames; only the first is used")
        if source.doubtful:
            notes.append(
                f"the face in {source.path} is doubtful ({source.doubtful}); use a picture of it from the front"
            )
        if source.outlier:
            left_out = ", and is left out" if source.left_out else ""
            notes.append(
                f"{source.path} looks like another person than the other sources (cosine similarity "
                f"{source.similarity:.2f}){left_out}"
            )
    # A picture of several people has a report for each of them.
    for note in dict.fromkeys(notes):
        print_note(note)
