"""`styleswap detect`: list the faces in picture files, and draw their numbers."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from .arguments import (
    add_detection_arguments,
    add_json_argument,
    add_order_argument,
    add_pack_arguments,
    add_person_arguments,
    add_reference_argument,
)
from .console import print_lines, print_note
from .picture_files import SwapFiles, pictures_in, plan_files
from .picture_run import exit_code

if TYPE_CHECKING:
    import numpy as np

    from ..faces.choice import FaceChoice
    from ..faces.detected import FaceAnalyzer
    from ..faces.face_rows import FaceRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap detect`."""
    parser.add_argument("pictures", type=Path, nargs="+", metavar="FILE", help="pictures, or folders of pictures")
    add_order_argument(parser)
    add_reference_argument(parser)
    add_person_arguments(parser)
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="also write the picture with the box, the points and the number of each face, and with --reference its "
        "likeness; for several pictures a folder, in which results keep the names of the pictures",
    )
    group = parser.add_argument_group("face analysis")
    add_pack_arguments(group)
    add_detection_arguments(group)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the faces; returns 0, or 2 if any of several pictures could not be read."""
    inputs = args.reference or []
    if args.picture is None:
        plan = [SwapFiles(picture, picture, None) for path in args.pictures for picture in pictures_in(path)]
    else:
        plan = plan_files(args.pictures, args.picture, None, inputs)
    from ..faces.choice import FaceChoice
    from .face_files import load_analysis, load_reference

    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    references = () if args.reference is None else load_reference(args.reference, analyzer)
    choice = FaceChoice("all", args.order, gender=args.gender, ages=args.age)
    results: list[dict[str, object]] = []
    failed: list[dict[str, str]] = []
    for files in plan:
        out = None if args.picture is None else files.out
        try:
            rows, problem = _detect(files.target, out, analyzer, choice, references)
        except (StyleSwapError, OSError) as error:
            if len(plan) == 1:
                raise
            failed.append({"picture": str(files.target), "error": " ".join(str(error).split())})
            continue
        results.append({"picture": str(files.target), "out": None if out is None else str(out), "faces": rows})
        if not args.json:
            print_lines(*_lines(files.target, rows, problem))
    if args.json:
        print(json.dumps({"results": results, "failed": failed}, indent=1))
    return exit_code(failed)


def _detect(
    path: Path, out: Path | None, analyzer: "FaceAnalyzer", choice: "FaceChoice", references: "tuple[np.ndarray, ...]"
) -> "tuple[list[FaceRow], str]":
    """Chosen faces of a picture, which are also drawn into the file `out`, and why there are none."""
    from ..faces.choice import likeness_table
    from ..faces.face_rows import face_row
    from ..faces.overlay import draw_faces
    from ..io.picture_file import read_picture
    from ..io.picture_writing import save_image

    file = read_picture(path)
    picture = file.seen
    if file.frames > 1:
        print_note(f"{path} is an animation of {file.frames} frames; only the first is used")
    found = analyzer.detect(picture, choice.order, embed=bool(references))
    picked, problems = choice.pick(analyzer.with_gender_age(picture, found, required=choice.needs_gender_age))
    faces = [face for _, face in picked]
    cosines = likeness_table(faces, references)[0].tolist() if references and faces else [None] * len(faces)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_image(out, draw_faces(picture, faces, cosines))
    rows = [face_row(face, cosine) for face, cosine in zip(faces, cosines, strict=True)]
    if not found:
        problems = ["no face found; lower --detection-threshold, or raise --detection-size for small faces"]
    return rows, " ".join(problems)


def _lines(path: Path, rows: "list[FaceRow]", problem: str) -> list[str]:
    from ..faces.face_rows import describe_row

    return [f"{path}: {describe_row(row)}" for row in rows] or [f"{path}: {problem}"]
