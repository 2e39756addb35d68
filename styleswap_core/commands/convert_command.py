"""`styleswap convert`: converts a checkpoint of another program to a model file."""

import argparse
import json
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError
from ..io.files import require_folder_of
from .arguments import add_json_argument
from .console import print_lines

_LINE_LENGTH = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap convert`."""
    from ..checkpoints.convert import FORMATS

    add = parser.add_argument
    add(
        "source",
        type=Path,
        metavar="IN",
        help="checkpoint to convert: .pdparams, .pt, .pth or .safetensors; no code in it is executed",
    )
    add("out", type=Path, metavar="OUT", nargs="?", help="model file to write, .safetensors; optional with --dry-run")
    add(
        "--format",
        choices=tuple(FORMATS),
        help="format of the checkpoint (default: detected from the names of its tensors)",
    )
    add(
        "--part",
        metavar="NAME",
        help="state dict to take if the file holds several, such as g_ema or g (default: the averaged generator)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="value of a setting that the checkpoint does not contain, such as template=ffhq or recognizer=NAME; "
        "repeatable",
    )
    add("--dry-run", action="store_true", help="read, check and report, but write nothing")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Convert, write the model file, and print a report; returns 0.

    Raises:
        StyleSwapError: The checkpoint or the arguments are invalid. Nothing is written.
    """
    from ..checkpoints.convert import convert, training_command
    from ..checkpoints.native import model_sha256, save_generator
    from ..training.training_config import override

    _check_out(args)
    conversion = convert(args.source, args.format, args.part, override({}, args.assignments))
    report = {"source": str(args.source), **conversion.report}
    if not args.dry_run:
        save_generator(args.out, conversion.generator, conversion.metadata)
        report |= {"file": str(args.out), "bytes": args.out.stat().st_size, "sha256": model_sha256(args.out)}
    report["train"] = training_command(conversion.generator.config, args.out or "MODEL.safetensors")
    if args.json:
        print(json.dumps(report))
    else:
        print_lines(*_lines(report))
    return 0


def _check_out(args: argparse.Namespace) -> None:
    if args.out is None:
        if not args.dry_run:
            raise StyleSwapError("expected OUT, the file to write, after IN; name it, or add --dry-run")
        return
    if args.out.suffix != ".safetensors":
        raise StyleSwapError(f"expected OUT to name a .safetensors file, got {args.out}")
    require_folder_of(args.out)
    if os.path.realpath(args.out) == os.path.realpath(args.source):
        raise StyleSwapError(f"{args.out} is the checkpoint itself; name another file to write")


def _lines(report: Mapping[str, Any]) -> list[str]:
    """Lines of the report: each setting and tensor, and where it comes from."""
    part = f", part {report['part']}" if report["part"] else ""
    lines = [
        f"{report['source']}: {report['title']}{part}",
        f"{report['tensors']} tensors, {report['parameters']:,} parameters",
    ]
    lines += ["settings inferred from tensor shapes:"] + [
        f"  {name} {value}" for name, value in report["inferred"].items() if value is not None
    ]
    lines += ["settings stated by the format:"]
    lines += [
        f"  {name} {entry['value'] if entry['value'] != '' else '-'}: {entry['why']}"
        for name, entry in report["stated"].items()
    ]
    for title, key in (
        ("tensors with initial values", "fresh"),
        ("tensors partly from the checkpoint, otherwise with initial values or zero", "partly_fresh"),
        ("tensors of the checkpoint without a counterpart", "unused"),
        ("other state dicts in the file", "not_read"),
    ):
        if report[key]:
            lines += [f"{title} ({len(report[key])}):"]
            lines += textwrap.wrap(
                ", ".join(report[key]),
                _LINE_LENGTH,
                initial_indent="  ",
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    if report["starting_point"]:
        lines += ["a starting point that cannot swap faces yet; to train it:", f"  {report['train']}"]
    lines += [
        f"wrote {report['file']}, {report['bytes']} bytes, sha256 {report['sha256']}"
        if "file" in report
        else "nothing written (dry run)"
    ]
    return lines
