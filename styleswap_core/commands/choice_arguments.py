"""Options that choose faces, and the choice that they make."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import (
    Options,
    add_faces_argument,
    add_order_argument,
    add_person_arguments,
    add_reference_argument,
    number,
)

if TYPE_CHECKING:
    from ..faces.choice import FaceChoice
    from ..faces.detected import FaceAnalyzer


def add_choice_arguments(group: Options, default: str) -> None:
    """Declare the options for the choice of faces; `default` is that of --faces."""
    from ..faces.choice import FaceChoice

    add_faces_argument(group, default)
    add_order_argument(group)
    people = group.add_mutually_exclusive_group()
    add_reference_argument(people)
    people.add_argument(
        "--everyone-but",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a person who is left out, as pictures or one saved identity: all other faces are chosen",
    )
    group.add_argument(
        "--likeness",
        type=number(-1.0, 1.0),
        default=FaceChoice.likeness,
        metavar="COSINE",
        help="minimum cosine similarity between a face and that person (default: %(default)s)",
    )
    add_person_arguments(group)


def choice_of(args: argparse.Namespace, analyzer: "FaceAnalyzer") -> "FaceChoice":
    """The faces that the options choose.

    Raises:
        StyleSwapError: A reference cannot be read, shows no face, or is of another recognizer.
    """
    from ..faces.choice import FaceChoice
    from .face_files import load_reference

    filters = {"gender": args.gender, "ages": args.age}
    people = args.reference or args.everyone_but
    if people is None:
        return replace(FaceChoice.parse(args.faces, args.order), **filters)
    rule = "by likeness" if args.reference else "everyone but"
    references = load_reference(people, analyzer)
    return FaceChoice(rule, args.order, references=references, likeness=args.likeness, **filters)
