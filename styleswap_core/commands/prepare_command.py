"""`styleswap prepare`: makes a training set from folders of pictures and videos."""

import argparse
import json
from pathlib import Path

from ..errors import StyleSwapError
from ..masking.regions import parse_regions
from .arguments import (
    Options,
    add_detection_size_argument,
    add_device_argument,
    add_json_argument,
    add_pack_arguments,
    add_parsing_argument,
    add_workers_argument,
    fraction,
    number,
    whole_number,
)
from .console import EXIT_BAD_INPUT, print_lines, print_note


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap prepare`."""
    parser.add_argument(
        "source", type=Path, metavar="IN_DIR", help="folder of pictures and videos, including its subfolders"
    )
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="folder of the training set; repeat the command to continue an interrupted preparation",
    )
    parser.add_argument(
        "--size",
        type=whole_number(16, 2048),
        default=256,
        metavar="PX",
        help="side of the crops; training uses this size or a divisor of it (default: %(default)s)",
    )
    parser.add_argument(
        "--template", default="ffhq", metavar="NAME", help="crop template of the model to train (default: %(default)s)"
    )
    add_pack_arguments(parser)
    add_detection_size_argument(parser)
    add_parsing_argument(parser)
    parser.add_argument(
        "--parsing-classes",
        "--regions",
        type=_regions,
        default=(),
        metavar="NAMES",
        help="for --parsing: the regions that belong to the face, by name or by number of their class, such as "
        "skin,nose or 1,10 (default: those of a bare face)",
    )
    parser.add_argument(
        "--people",
        choices=("cluster", "folders"),
        default="cluster",
        help="how pictures are assigned to people: cluster by similarity, or one folder per person (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--likeness",
        type=fraction,
        default=0.0,
        metavar="0..1",
        help="minimum cosine similarity between a picture and the mean of its person (default: 0.45; 0.62 with the "
        "demo pack)",
    )
    add_workers_argument(parser)
    add_json_argument(parser)
    selection = parser.add_argument_group("selection of pictures")
    _add_selection_arguments(selection)
    selection.add_argument(
        "--ignore-training-opt-outs",
        action="store_true",
        help="also use files whose metadata forbid training (Content Credentials, IPTC), such as your own",
    )
    _add_storage_arguments(parser.add_argument_group("storage of pictures"))
    _add_teacher_arguments(parser.add_argument_group("teacher"))


def _add_selection_arguments(group: Options) -> None:
    add = group.add_argument
    add(
        "--min-side",
        type=whole_number(1, 1 << 16),
        default=0,
        metavar="PX",
        help="minimum side of the cropped region in the picture (default: two thirds of --size)",
    )
    add(
        "--min-score",
        type=number(0.05, 1.0),
        default=0.6,
        metavar="0..1",
        help="minimum confidence of the detector (default: %(default)s)",
    )
    add(
        "--max-blur",
        type=fraction,
        default=0.65,
        metavar="0..1",
        help="maximum blur, from 0 for sharp to 1, which keeps all pictures (default: %(default)s)",
    )
    add(
        "--max-yaw",
        type=number(1.0, 90.0),
        default=60.0,
        metavar="DEG",
        help="maximum rotation of the head to a side (default: %(default)s)",
    )
    add(
        "--max-pitch",
        type=number(1.0, 90.0),
        default=45.0,
        metavar="DEG",
        help="maximum rotation of the head up or down (default: %(default)s)",
    )
    add(
        "--max-outside",
        type=fraction,
        default=0.25,
        metavar="0..1",
        help="maximum fraction of a crop that lies outside of the picture (default: %(default)s)",
    )
    add(
        "--duplicates",
        type=whole_number(-1, 32),
        default=8,
        metavar="BITS",
        help="maximum number of bits, out of 64, by which the hashes of duplicates differ; -1 keeps duplicates "
        "(default: %(default)s)",
    )
    add(
        "--every",
        type=number(0.0, 86400.0),
        default=1.0,
        metavar="SECONDS",
        help="interval between the frames taken from a video; 0 takes all frames (default: %(default)s)",
    )


def _add_storage_arguments(group: Options) -> None:
    add = group.add_argument
    add(
        "--format",
        choices=("jpg", "png"),
        default="jpg",
        help="file format of the crops; jpg has quality 95 (default: %(default)s)",
    )
    add(
        "--shard",
        type=whole_number(1, 1_000_000),
        default=1000,
        metavar="N",
        help="pictures per shard (default: %(default)s)",
    )


def _add_teacher_arguments(group: Options) -> None:
    add = group.add_argument
    add(
        "--teacher",
        type=Path,
        metavar="FILE",
        help="model file of a swapping network that puts the faces of other people of the set into every picture; "
        "training then learns from its swaps how to restore the pictures",
    )
    add(
        "--teacher-swaps",
        type=whole_number(1, 16),
        default=1,
        metavar="N",
        help="swaps per picture, each with another person (default: %(default)s)",
    )
    add(
        "--teacher-likeness",
        type=fraction,
        default=0.25,
        metavar="0..1",
        help="minimum cosine similarity between a swap and the picture of its source; others are dropped (default: "
        "%(default)s)",
    )
    add(
        "--teacher-family",
        default="",
        metavar="NAME",
        help="family of a teacher of another program, such as ghost, if its file does not tell (default: told by the "
        "file)",
    )
    add(
        "--teacher-any-recognizer",
        action="store_true",
        help="let another program's network as a teacher accept embeddings from a different recognizer than the one "
        "it was trained with",
    )
    add_device_argument(group)


def run(args: argparse.Namespace) -> int:
    """Prepare the set and print a report; returns 0, or 2 if no picture is left."""
    from ..preparation.preparation_report import REPORT, warnings
    from ..preparation.preparation_settings import PreparationSettings
    from ..preparation.prepare import prepare
    from ..preparation.teacher_settings import TeacherSettings
    from .found_models import find_mask_network, find_model

    settings = PreparationSettings(
        size=args.size,
        template=args.template,
        pack=args.pack or "",
        parsing=str(find_mask_network(args.parsing)) if args.parsing else "",
        parsing_classes=args.parsing_classes,
        people=args.people,
        likeness=args.likeness,
        detection_size=args.detection_size or 0,
        min_side=args.min_side,
        min_score=args.min_score,
        max_blur=args.max_blur,
        max_yaw=args.max_yaw,
        max_pitch=args.max_pitch,
        max_outside=args.max_outside,
        duplicate_distance=args.duplicates,
        frame_seconds=args.every,
        image_format=args.format,
        shard_pictures=args.shard,
        ignore_training_opt_outs=args.ignore_training_opt_outs,
    )
    if not args.pack and args.source.is_dir():
        print_note("the demo pack recognizes rendered faces only; for photographs add --pack, such as --pack buffalo_l")
    teacher = None
    if args.teacher is not None:
        teacher = TeacherSettings(
            str(find_model(args.teacher)),
            args.teacher_swaps,
            args.teacher_likeness,
            args.teacher_family,
            args.teacher_any_recognizer,
        )
    summary = prepare(args.source, args.out, settings, args.workers, args.download, teacher, args.device)
    manifest = summary.manifest
    for line in warnings(manifest):
        # Sentences of the report, in the form of notes.
        print_note(line[0].lower() + line[1:].rstrip("."))
    if args.json:
        print(json.dumps({"folder": str(summary.folder), **manifest}, indent=1))
    else:
        dropped = ", ".join(f"{count} {reason}" for reason, count in manifest["dropped"].items()) or "nothing"
        print(f"{manifest['pictures']} pictures of {manifest['people']} people; dropped: {dropped}")
        if "teacher" in manifest:
            card = manifest["teacher"]
            dropped = ", ".join(f"{count} {reason}" for reason, count in card["dropped"].items())
            print_lines(f"{card['kept']} swaps of the teacher {card['file']}; dropped: {dropped}")
        print_lines(f"report: {summary.folder / REPORT}")
    return 0 if manifest["pictures"] else EXIT_BAD_INPUT


def _regions(word: str) -> tuple[str | int, ...]:
    try:
        return parse_regions(word)
    except StyleSwapError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
