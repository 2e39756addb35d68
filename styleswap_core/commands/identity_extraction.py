"""`styleswap identity extract`: makes identity files from pictures."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from ..io.files import require_file
from .arguments import (
    add_detection_arguments,
    add_faces_argument,
    add_gender_argument,
    add_json_argument,
    add_order_argument,
    add_outliers_argument,
    add_pack_arguments,
)
from .console import EXIT_BAD_INPUT, print_error, print_lines, print_note
from .identity_arguments import add_saving_arguments, check_existing, check_outputs, check_pictures, save_identities
from .picture_files import check_results, pictures_in

if TYPE_CHECKING:
    from ..faces.choice import FaceChoice
    from ..identities.extraction import Extraction, SourceFace, SourcePicture

AVERAGE, ONE_PER_FACE = "average", "one-per-face"
"""Choices of --combine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap identity extract`."""
    parser.add_argument("pictures", type=Path, nargs="+", metavar="FILE", help="pictures, or folders of pictures")
    faces = parser.add_argument_group("faces, like the node Extract ArcFace ID")
    add_faces_argument(faces, "largest")
    add_order_argument(faces)
    add_gender_argument(faces)
    faces.add_argument(
        "--combine",
        choices=(AVERAGE, ONE_PER_FACE),
        default=AVERAGE,
        help="average: one identity from all faces; one-per-face: one file for each, as NAME_face0.safetensors and so "
        "on in the folder --out (default: %(default)s)",
    )
    add_outliers_argument(faces)
    faces.add_argument(
        "--crops",
        type=Path,
        metavar="FILE",
        help="also write a picture with the aligned faces as the recognizer sees them: a bad crop makes a bad identity",
    )
    saving = parser.add_argument_group("file, like the node Save Identity")
    add_saving_arguments(saving, "; with --combine one-per-face a folder")
    group = parser.add_argument_group("face analysis")
    add_pack_arguments(group)
    add_detection_arguments(group)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Extract and save; returns 0, or 2 if any of several pictures could not be read."""
    pictures = _Pictures(_plan(args))
    from ..identities.extraction import extract_identities
    from .face_files import load_analysis

    analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    combine, outliers = (word.replace("-", " ") for word in (args.combine, args.outliers))
    extraction = extract_identities(pictures, analyzer, _choice(args), combine, outliers)
    paths = [args.out]
    if args.combine == ONE_PER_FACE:
        sources = extraction.faces
        paths = [args.out / f"{Path(source.path).stem}_face{source.face.index}.safetensors" for source in sources]
    written = save_identities(args, dict(zip(paths, extraction.identities, strict=True)))
    if args.crops is not None:
        _write_crops(args.crops, extraction)
    if args.json:
        print(json.dumps(_report(written, extraction, pictures.failed), indent=1))
    else:
        print_lines(*_lines(written, extraction))
    pictures.print_messages()
    return EXIT_BAD_INPUT if pictures.failed else 0


def _plan(args: argparse.Namespace) -> list[Path]:
    """The pictures; they and the results are checked before any work is done."""
    pictures = [picture for path in args.pictures for picture in pictures_in(path)]
    # Before the networks are loaded, which takes seconds; of several, one that is missing is left out.
    if len(pictures) == 1:
        require_file(pictures[0], "a picture file")
    results = [] if args.crops is None else [(Path("--crops"), args.crops)]
    if args.combine == AVERAGE:
        check_outputs(args.out, args.crops)
        check_existing(args)
        check_results([(Path("--out"), args.out), *results], pictures)
        return pictures
    check_pictures(args.crops)
    if args.out.suffix == ".safetensors" or (args.out.exists() and not args.out.is_dir()):
        raise StyleSwapError(
            f"expected a folder for --out, since {ONE_PER_FACE} writes a file for each face, got {args.out}"
        )
    pictures = list(dict.fromkeys(pictures))
    check_results([*((path, args.out / path.stem) for path in pictures), *results], pictures)
    return pictures


def _choice(args: argparse.Namespace) -> "FaceChoice":
    from ..faces.choice import FaceChoice

    if isinstance(args.faces, str):
        return FaceChoice(args.faces, args.order, gender=args.gender)
    # In an average a number may occur several times, as in the node; a file is written once.
    numbers = args.faces if args.combine == AVERAGE else dict.fromkeys(args.faces)
    return FaceChoice("by index", args.order, tuple(numbers), gender=args.gender)


class _Pictures:
    """Pictures of files, read one after the other, and those that could not be read.

    Attributes:
        paths: The files.
        failed: Path and error of each file that could not be read.
        notes: What users should know about the others.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.failed: list[dict[str, str]] = []
        self.notes: list[str] = []

    def __iter__(self) -> "Iterator[SourcePicture]":
        from tqdm import tqdm

        from ..identities.extraction import SourcePicture

        # On terminals only.
        for path in tqdm(self.paths, desc="extract", unit="picture", disable=len(self.paths) == 1 or None):
            try:
                picture = SourcePicture.read(path)
            except (StyleSwapError, OSError) as error:
                if len(self.paths) == 1:
                    raise
                self.failed.append({"picture": str(path), "error": " ".join(str(error).split())})
                continue
            if picture.frames > 1:
                self.notes.append(f"{path} is an animation of {picture.frames} frames; only the first is used")
            yield picture
        if len(self.failed) == len(self.paths):
            reason = self.failed[0]["error"]
            raise StyleSwapError(f"expected pictures, but none of {len(self.paths)} files can be read: {reason}")

    def print_messages(self) -> None:
        """Print notes and errors, when no progress bar is in the way."""
        for note in self.notes:
            print_note(note)
        for failure in self.failed:
            print_error(failure["error"])


def _write_crops(path: Path, extraction: "Extraction") -> None:
    """Write a sheet of the aligned faces."""
    import torch

    from ..identities.extraction import CROP_SIZE
    from ..io.images import save_image, to_uint8
    from ..io.sheets import captioned_sheet

    crops = to_uint8(torch.stack([source.crop for source in extraction.faces]))
    captions = [f"{Path(source.path).name}\nface {source.face.index}" for source in extraction.faces]
    for number, likeness in enumerate(extraction.similarities if len(crops) > 1 else ()):
        captions[number] += f", likeness {likeness:.2f}" + (", outlier" if extraction.outliers[number] else "")
    save_image(path, captioned_sheet(list(crops), captions, width=CROP_SIZE))


def _lines(written: Sequence[Path], extraction: "Extraction") -> list[str]:
    first, *others = extraction.summary([str(path) for path in written])
    if not extraction.averaged:
        return [first, *others]
    return [f"{written[0]}: {first}", *(f"  {line}" for line in others)]


def _report(written: Sequence[Path], extraction: "Extraction", failed: Sequence[dict[str, str]]) -> dict[str, Any]:
    from ..identities.identity_reports import identity_card

    files = zip(written, extraction.identities, strict=True)
    return {
        "files": [{"file": str(path), **identity_card(identity)} for path, identity in files],
        "faces": [_face(source, extraction, number) for number, source in enumerate(extraction.faces)],
        "problems": extraction.problems,
        "failed": list(failed),
    }


def _face(source: "SourceFace", extraction: "Extraction", number: int) -> dict[str, object]:
    outlier = extraction.averaged and extraction.outliers[number]
    return {
        "picture": source.path,
        "face": source.face.index,
        "faces_found": source.faces_found,
        "likeness": round(extraction.similarities[number], 4) if extraction.averaged else None,
        "outlier": outlier,
        "left_out": outlier and extraction.outliers_left_out,
        "doubtful": source.face.doubtful,
    }
