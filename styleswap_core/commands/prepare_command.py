"""`styleswap prepare`: a folder of pictures and videos in, a set to train on out."""

import argparse
import json
import os
from pathlib import Path

from .arguments import fraction, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap prepare`."""
    parser.add_argument("source", type=Path, metavar="IN_DIR", help="pictures and videos, in folders of any depth")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="folder of the set; the same command again goes on with it"
    )
    parser.add_argument(
        "--size",
        type=whole_number(16, 2048),
        default=256,
        metavar="PX",
        help="side of the crops; training takes this size or a divisor of it (256)",
    )
    parser.add_argument("--template", default="ffhq", metavar="NAME", help="crop template of the model to train (ffhq)")
    parser.add_argument(
        "--pack",
        default="",
        metavar="NAME",
        help="insightface pack, by name or folder; default: the demo pack, which knows rendered faces",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="let insightface download the pack if it is not there (non-commercial license)",
    )
    parser.add_argument(
        "--parsing", type=Path, metavar="FILE.onnx", help="make masks with this face parsing model instead of landmarks"
    )
    parser.add_argument(
        "--parsing-classes",
        type=_classes,
        default=(),
        metavar="1,2,...",
        help="its classes that are face (those of CelebAMask-HQ's order)",
    )
    parser.add_argument(
        "--people",
        choices=("cluster", "folders"),
        default="cluster",
        help="who is whom: by likeness (default), or each folder in IN_DIR is one person",
    )
    parser.add_argument(
        "--likeness",
        type=fraction,
        default=0.0,
        metavar="0..1",
        help="cosine to a person's mean from which a picture is that person's (0.45; with the demo pack 0.62)",
    )
    parser.add_argument(
        "--workers",
        type=whole_number(),
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes (default: one per core)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _add_filters(parser)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    filters = parser.add_argument_group("what is left out, and how the rest is kept")
    filters.add_argument(
        "--min-side",
        type=whole_number(),
        default=0,
        metavar="PX",
        help="least side in the picture of what becomes a crop (two thirds of --size)",
    )
    filters.add_argument(
        "--min-score", type=fraction, default=0.6, metavar="0..1", help="the detector's confidence (0.6)"
    )
    filters.add_argument(
        "--max-blur", type=fraction, default=0.65, metavar="0..1", help="0 is sharp, 1 keeps all (0.65)"
    )
    filters.add_argument("--max-yaw", type=float, default=60.0, metavar="DEG", help="turned to a side (60)")
    filters.add_argument("--max-pitch", type=float, default=45.0, metavar="DEG", help="raised or lowered (45)")
    filters.add_argument(
        "--max-outside",
        type=fraction,
        default=0.25,
        metavar="0..1",
        help="share of a crop beyond the picture's edge (0.25)",
    )
    filters.add_argument(
        "--duplicates",
        type=whole_number(-1, 32),
        default=8,
        metavar="BITS",
        help="bits of 64 by which hashes of duplicates differ at most; -1 keeps duplicates (8)",
    )
    filters.add_argument(
        "--every",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="distance between the frames of a video that are looked at (1)",
    )
    filters.add_argument("--format", choices=("jpg", "png"), default="jpg", help="of the crops (jpg, quality 95)")
    filters.add_argument("--shard", type=whole_number(), default=1000, metavar="N", help="pictures in a shard (1000)")


def run(args: argparse.Namespace) -> int:
    """Prepare; 0, or 2 if no picture is left."""
    from ..preparation.preparation_report import REPORT, warnings
    from ..preparation.preparation_settings import PreparationSettings
    from ..preparation.prepare import prepare
    from .swap_setup import say

    settings = PreparationSettings(
        size=args.size,
        template=args.template,
        pack=args.pack,
        parsing=str(args.parsing or ""),
        parsing_classes=args.parsing_classes,
        people=args.people,
        likeness=args.likeness,
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
    )
    if not args.pack:
        say("the demo pack finds and tells apart rendered faces; for photographs add --pack, such as --pack buffalo_l")
    summary = prepare(args.source, args.out, settings, args.workers, args.download)
    manifest = summary.manifest
    for line in warnings(manifest):
        say(line)
    if args.json:
        print(json.dumps({"folder": str(summary.folder), **manifest}, indent=1))
    else:
        dropped = ", ".join(f"{count} {reason}" for reason, count in manifest["dropped"].items()) or "nothing"
        print(
            f"{manifest['pictures']} pictures of {manifest['people']} people; dropped: {dropped}\n"
            f"look at {summary.folder / REPORT}"
        )
    return 0 if manifest["pictures"] else 2


def _classes(word: str) -> tuple[int, ...]:
    parts = [part.strip() for part in word.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"expected class numbers such as 1,2,10; got {word!r}")
    return tuple(int(part) for part in parts)
