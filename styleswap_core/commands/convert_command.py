"""`styleswap convert`: a checkpoint of another program as a model file of this one."""

import argparse
import json
import textwrap
from pathlib import Path

from ..errors import StyleSwapError

WIDTH = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap convert`."""
    from ..checkpoints.convert import FORMATS

    add = parser.add_argument
    add(
        "source", type=Path, metavar="IN", help="checkpoint: .pdparams, .pt, .pth or .safetensors; nothing in it is run"
    )
    add("out", type=Path, metavar="OUT", nargs="?", help="model file to write, .safetensors; not needed with --dry-run")
    add(
        "--format",
        choices=tuple(FORMATS),
        help="take it for this format (default: found from the names of its tensors)",
    )
    add(
        "--part",
        metavar="NAME",
        help="which of the file's state dicts, such as g_ema or g (default: the averaged generator)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="a setting that you know better than the format, such as template=ffhq or recognizer=NAME; repeatable",
    )
    add("--dry-run", action="store_true", help="read, check and report; write nothing")
    add("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Convert, write, report; returns 0.

    Raises:
        StyleSwapError: whatever is wrong with the file or the arguments; nothing is written then.
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
    print(json.dumps(report) if args.json else "\n".join(_lines(report)))
    return 0


def _check_out(args: argparse.Namespace) -> None:
    if args.out is None:
        if not args.dry_run:
            raise StyleSwapError("expected a file to write after IN, got none; name it, or add --dry-run")
        return
    if args.out.suffix != ".safetensors":
        raise StyleSwapError(f"expected a file name that ends in .safetensors, got {args.out}; change it")
    if not args.out.parent.is_dir():
        raise StyleSwapError(f"cannot write {args.out}: the folder {args.out.parent} does not exist; create it first")
    if args.out.resolve() == args.source.resolve():
        raise StyleSwapError(f"{args.out} is the file to convert; name another one to write")


def _lines(report: dict) -> list[str]:
    """The report for people: everything that was decided, and where each decision comes from."""
    where = f", part {report['part']}" if report["part"] else ""
    lines = [
        f"{report['source']}: {report['title']}{where}",
        f"{report['tensors']} tensors, {report['parameters']:,} parameters",
    ]
    lines += ["from the shapes:"] + [
        f"  {name} {value}" for name, value in report["inferred"].items() if value is not None
    ]
    lines += ["from the format, since shapes cannot say it:"]
    lines += [
        f"  {name} {entry['value'] if entry['value'] != '' else '-'}: {entry['why']}"
        for name, entry in report["stated"].items()
    ]
    for title, key in (
        ("starts fresh", "fresh"),
        ("comes from the file in part, the rest begins fresh or at zero", "partly_fresh"),
        ("has no place here", "unused"),
        ("other parts of the file, not read", "not_read"),
    ):
        if report[key]:
            lines += [f"{title} ({len(report[key])}):"]
            lines += textwrap.wrap(
                ", ".join(report[key]),
                WIDTH,
                initial_indent="  ",
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    if report["starting_point"]:
        lines += ["a starting point, no swapper yet; to train from it:", f"  {report['train']}"]
    lines += [
        f"wrote {report['file']}, {report['bytes']} bytes, sha256 {report['sha256']}"
        if "file" in report
        else "nothing written (dry run)"
    ]
    return lines
