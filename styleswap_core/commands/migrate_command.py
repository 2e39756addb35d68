"""`styleswap migrate`: moves ComfyUI workflows of other face swap packs over to this pack's nodes."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StyleSwapError
from .arguments import add_json_argument
from .console import EXIT_BAD_INPUT, print_error, print_lines

if TYPE_CHECKING:
    from ..migration.migrate import Migration

_ENDING = "_styleswap"
_SUFFIX = ".json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap migrate`."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="workflow of ComfyUI's editor or API prompt (.json), or a PNG or WebP picture that carries one",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help=f"file to write, or a folder (default: FILE with {_ENDING}{_SUFFIX} in place of its suffix, which must not"
        " exist)",
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Move each workflow and print what became of its nodes; returns 0, or 2 if a file failed."""
    rows: list[dict[str, Any]] = []
    failed = False
    for path in args.files:
        try:
            row, lines = _migrate(path, args.out, len(args.files))
        except StyleSwapError as error:
            print_error(str(error))
            failed = True
            continue
        rows.append(row)
        if not args.json:
            print_lines(*lines)
    if args.json:
        print(json.dumps({"files": rows}, indent=1))
    return EXIT_BAD_INPUT if failed else 0


def _migrate(path: Path, named: Path | None, count: int) -> tuple[dict[str, Any], list[str]]:
    """Move a workflow; returns its row for JSON, and lines about it.

    Args:
        path: Its file.
        named: The option `--out`.
        count: Number of files that are moved.
    """
    from ..io.files import file_key
    from ..migration.migrate import migrate_workflow
    from ..migration.saved_graphs import read_workflow, write_workflow

    workflow, out = read_workflow(path), _out_path(path, named, count)
    try:
        migration = migrate_workflow(workflow)
    except StyleSwapError as error:
        raise StyleSwapError(f"{path} holds no workflow: {error}") from error
    row: dict[str, Any] = {"file": str(path), "out": None}
    if migration.moved:
        if file_key(out) == file_key(path):
            raise StyleSwapError(f"{out} is the workflow itself; name another file with --out")
        if out.exists() and named is None:
            raise StyleSwapError(f"{out} already exists; name it with --out to replace it")
        write_workflow(out, migration.workflow)
        row["out"] = str(out)
    row |= {name: [asdict(entry) for entry in getattr(migration, name)] for name in ("moved", "left", "notes")}
    return row, list(_lines(path, row["out"], migration))


def _out_path(path: Path, out: Path | None, count: int) -> Path:
    name = f"{path.stem}{_ENDING}{_SUFFIX}"
    if out is None:
        return path.with_name(name)
    if out.is_dir():
        return out / name
    if count > 1:
        raise StyleSwapError(f"expected --out to name an existing folder for {count} files, got {out}; create it first")
    return out


def _lines(path: Path, out: str | None, migration: "Migration") -> Iterator[str]:
    """Lines about one file: what was moved, what differs, what is left."""
    yield f"{path}: wrote {out}" if out else f"{path}: nothing to move, nothing written"
    for node in migration.moved:
        became = " + ".join(node.became) or "(taken over by the node behind it)"
        yield f"  {_place(node.place, node.node)} {node.kind} -> {became}"
    if migration.notes:
        yield "  differs:"
    for note in migration.notes:
        yield f"    {_place(note.place, note.node)}: {note.text}"
    if migration.left:
        yield "  left as it was, so that it still needs its pack:"
    for left in migration.left:
        yield f"    {_place(left.place, left.node)} {left.kind}: {left.reason}"


def _place(place: str, node: int | str) -> str:
    return f"{place} / {node}" if place else str(node)
