"""`styleswap identity`: identity files made from pictures, blended, compared, shown and converted."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from ..io.files import require_file
from . import identity_extraction
from .arguments import Options, add_detection_arguments, add_json_argument, add_pack_arguments, number
from .console import EXIT_BAD_INPUT, print_error, print_lines, print_note
from .identity_arguments import FORMATS, add_saving_arguments, check_existing, check_outputs, save_identities
from .picture_files import check_results, files_in, pictures_in

if TYPE_CHECKING:
    from ..identities.identity import Identity

_MAX_WEIGHT = 10.0
_SAVED = (
    "an identity file or ReActor face model, a picture, or a folder of pictures of one person; the largest face counts"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap identity`."""
    forms = parser.add_subparsers(dest="form", metavar="WHAT", required=True)
    identity_extraction.add_arguments(
        forms.add_parser(
            "extract",
            help="make an identity from pictures",
            description="Make an identity from one or more pictures of a person, or one for each face, and report how "
            "well the pictures agree. Pictures without such a face are skipped. A face embedding is personal data: "
            "treat it like a photograph.",
        )
    )
    _add_blend(forms)
    _add_compare(forms)
    _add_show(forms)
    _add_convert(forms)


def _add_blend(forms: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    blend = forms.add_parser(
        "blend",
        help="blend identities by weight into a new one",
        description="Blend identities by weight into a person who does not exist, like the node Blend Identities. All "
        "must come from the same recognizer.",
    )
    blend.add_argument("identities", type=Path, nargs="+", metavar="FILE", help=_SAVED)
    blend.add_argument(
        "--weights",
        type=_weights,
        metavar="W,W",
        help=f"weight of each identity, from 0 to {_MAX_WEIGHT:g}, such as 2,1; only their ratio matters (default: 1 "
        "for each)",
    )
    add_saving_arguments(blend.add_argument_group("file, like the node Save Identity"))
    _add_analysis(blend)
    blend.set_defaults(run_form=_blend)


def _add_compare(forms: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = forms.add_parser(
        "compare",
        help="measure how alike two people are",
        description="Print the cosine similarity of two identities from the same recognizer, like the node Compare "
        "Identity: 1 for identical faces, about 0 for strangers.",
    )
    compare.add_argument("identity_a", type=Path, metavar="FILE", help=_SAVED)
    compare.add_argument("identity_b", type=Path, metavar="FILE", help="the other person, likewise")
    _add_analysis(compare)
    compare.set_defaults(run_form=_compare)


def _add_show(forms: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    show = forms.add_parser(
        "show",
        help="show what identity files contain",
        description="Tell what identity files and ReActor face models hold: the recognizer, the number of source "
        "pictures, whether there is a portrait, and the model for which the identity was inverted.",
    )
    show.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="identity files or ReActor face models, or folders of them"
    )
    add_json_argument(show)
    show.set_defaults(run_form=_show)


def _add_convert(forms: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    convert = forms.add_parser(
        "convert",
        help="save an identity in another format, or without its portrait",
        description="Read an identity file or a ReActor face model, like the node Load Identity, and save it again.",
    )
    convert.add_argument("identity", type=Path, metavar="FILE", help="identity file or ReActor face model")
    add_saving_arguments(convert.add_argument_group("file, like the node Save Identity"))
    add_json_argument(convert)
    convert.set_defaults(run_form=_convert)


def _add_analysis(parser: argparse.ArgumentParser) -> None:
    group: Options = parser.add_argument_group("face analysis, for pictures")
    add_pack_arguments(group)
    add_detection_arguments(group)
    add_json_argument(parser)


def _weights(word: str) -> list[float]:
    """Argument type for weights, separated by commas."""
    convert = number(0.0, _MAX_WEIGHT)
    return [convert(part) for part in word.split(",")]


def run(args: argparse.Namespace) -> int:
    """Run one of the forms; returns 0, or 2 if any of several files failed."""
    run_form = getattr(args, "run_form", identity_extraction.run)
    code: int = run_form(args)
    return code


def _blend(args: argparse.Namespace) -> int:
    check_outputs(args.out)
    check_existing(args)
    check_results([(Path("--out"), args.out)], args.identities)
    if len(args.identities) < 2:
        raise StyleSwapError("expected at least two identities to blend, got one; name another one")
    weights = args.weights or [1.0] * len(args.identities)
    if len(weights) != len(args.identities):
        raise StyleSwapError(
            f"expected a weight for each of {len(args.identities)} identities, got {len(weights)}; give --weights one"
            " number for each"
        )
    from ..identities.averaging import blend_identities, cosine_similarity
    from ..identities.identity_reports import describe_blend, identity_card

    parts = _load_people(args.identities, args)
    blend = blend_identities(parts, weights)
    (path,) = save_identities(args, {args.out: blend})
    named = list(zip(map(str, args.identities), parts, weights, strict=True))
    if args.json:
        rows = [
            {"file": name, "weight": weight, "likeness": round(cosine_similarity(blend, part), 4)}
            for name, part, weight in named
        ]
        print(json.dumps({"file": str(path), **identity_card(blend), "parts": rows}, indent=1))
    else:
        first, *others = describe_blend(blend, named)
        print_lines(f"{path}: {first}", *(f"  {line}" for line in others))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from ..identities.averaging import cosine_similarity
    from ..identities.identity_reports import describe_likeness

    first, second = _load_people([args.identity_a, args.identity_b], args)
    report = describe_likeness(first, second)
    if args.json:
        row = {"similarity": round(cosine_similarity(first, second), 6), "recognizer": first.recognizer.name}
        print(json.dumps({**row, "report": report}, indent=1))
    else:
        print_lines(report)
    return 0


def _show(args: argparse.Namespace) -> int:
    from ..identities.identity_reports import describe_identity, identity_card
    from ..identities.reactor_files import is_face_model, load_any_identity
    from ..identities.saving import REACTOR, STYLESWAP

    rows: list[dict[str, object]] = []
    failed: list[dict[str, str]] = []
    files = [file for path in args.files for file in _identity_files(path)]
    for path in files:
        try:
            identity = load_any_identity(path)
            form = REACTOR if is_face_model(path) else STYLESWAP
        except StyleSwapError as error:
            if len(files) == 1:
                raise
            print_error(str(error))
            failed.append({"file": str(path), "error": str(error)})
            continue
        rows.append({"file": str(path), "file_format": form, **identity_card(identity)})
        if not args.json:
            print_lines(f"{path}: {form}", *(f"  {line}" for line in describe_identity(identity)))
    if args.json:
        print(json.dumps({"files": rows, "failed": failed}, indent=1))
    return EXIT_BAD_INPUT if failed else 0


def _identity_files(path: Path) -> list[Path]:
    """Identity files of a folder, sorted by name; a path that is not a folder is returned as it is.

    Raises:
        StyleSwapError: The folder contains none, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    found = [file for file in files_in(path) if file.suffix == ".safetensors"]
    if not found:
        raise StyleSwapError(f"expected identity files (.safetensors) in {path}, found none; check the folder")
    return found


def _convert(args: argparse.Namespace) -> int:
    check_outputs(args.out)
    check_existing(args)
    check_results([(Path("--out"), args.out)], [args.identity])
    from ..identities.identity_reports import identity_card
    from ..identities.reactor_files import load_any_identity

    identity = load_any_identity(args.identity)
    (path,) = save_identities(args, {args.out: identity})
    if args.json:
        print(json.dumps({"file": str(path), **identity_card(identity)}, indent=1))
    else:
        print_lines(f"{path}: {FORMATS[args.file_format]}")
    return 0


def _load_people(paths: Sequence[Path], args: argparse.Namespace) -> "list[Identity]":
    """Identity of each path: an identity file, a picture, or a folder of pictures.

    The face analysis is loaded only if there are pictures.

    Raises:
        StyleSwapError: A file cannot be read, or a picture shows no face.
    """
    from ..identities.extraction import extract_identity
    from ..identities.reactor_files import load_any_identity

    pictures = {path: pictures_in(path) for path in paths if path.suffix.lower() != ".safetensors"}
    # Before the networks are loaded, which takes seconds.
    for path in (path for files in pictures.values() for path in files):
        require_file(path, "a picture file")
    analyzer = None
    if pictures:
        from .face_files import load_analysis

        analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
    people = []
    for path in paths:
        if analyzer is None or path not in pictures:
            people.append(load_any_identity(path))
            continue
        identity, reports = extract_identity(pictures[path], analyzer)
        people.append(identity)
        for report in reports:
            if report.faces_found > 1:
                print_note(
                    f"{report.path} shows {report.faces_found} faces; the largest counts, choose another one with"
                    " `styleswap identity extract --faces`"
                )
    return people
