"""`styleswap swap`: the user's own files."""

import argparse
import json
import sys
from pathlib import Path

from ..errors import StyleSwapError
from .arguments import face_choice, fraction

# Baking takes about as long as it saves on a picture or two.
_WORTH_BAKING = 4
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap swap`."""
    giver = parser.add_mutually_exclusive_group(required=True)
    giver.add_argument(
        "--source",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="pictures of the person whose face is given; several are averaged",
    )
    giver.add_argument(
        "--identity",
        type=Path,
        metavar="FILE.safetensors",
        help="a saved identity in their place, such as `styleswap invert` writes",
    )
    parser.add_argument(
        "--target",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="pictures that get the face, or folders of them",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the result; a folder where there are several targets"
    )
    parser.add_argument(
        "--mask-out",
        type=Path,
        metavar="FILE",
        help="also write what was replaced, as a gray picture; a folder where --out is one",
    )
    parser.add_argument(
        "--faces",
        type=face_choice,
        default="largest",
        metavar="WHICH",
        help="largest (default), all, or numbers such as 0,2, counted from the largest face",
    )
    parser.add_argument(
        "--strength",
        type=fraction,
        default=1.0,
        metavar="0..1",
        help="1 (default) gives the source's identity, 0 keeps the target's own",
    )
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which generator and which face analysis to use, and where to run."""
    parser.add_argument("--model", type=Path, metavar="FILE", help="generator file (default: the demo model)")
    parser.add_argument(
        "--pack",
        metavar="NAME",
        help="insightface pack, by name or folder (default: the demo pack); it must hold the "
        "recognizer that the model was trained with",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="let insightface download the pack if it is not there (non-commercial license)",
    )
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: cuda where there is one)")


def run(args: argparse.Namespace) -> int:
    """Swap what `args` names; 0, or 2 if any of several targets failed."""
    jobs = plan(args.target, args.out, args.mask_out)
    from ..identities.identity import load_identity
    from .swap_setup import Swapper, is_rendered, say

    swapper = Swapper.load(args.model, args.pack, args.download, args.device)
    if args.identity is not None:
        # A saved identity does not say where its pictures came from.
        identity, sources, rendered = load_identity(args.identity), [], False
    else:
        identity, sources = swapper.identify(args.source)
        rendered = all(is_rendered(source) for source in args.source)
    for source in sources:
        if source.outlier:
            say(f"{source.path} looks like another person than the other sources (cosine {source.similarity:.2f})")
    results, failed = _work(swapper, identity, rendered, jobs, args)
    if len(jobs) == 1 and failed:
        raise StyleSwapError(failed[0]["error"])
    notices = {result["notice"] for result in results if result["notice"]}
    for notice in sorted(notices):
        say(notice)
    if args.json:
        print(
            json.dumps(
                {
                    "results": results,
                    "failed": failed,
                    "sources": [vars(source) for source in sources],
                    "model": swapper.model_card(),
                },
                indent=1,
            )
        )
    else:
        _print_lines(results, failed)
    return 2 if failed else 0


def plan(targets: list[Path], out: Path, mask_out: Path | None) -> list[tuple[Path, Path, Path | None]]:
    """(target, result, mask or None) of every picture, checked before any work is done.

    Raises:
        StyleSwapError: an empty folder, two targets of one name, a result that would replace a target or cannot be
            written where it should go.
    """
    pictures = [picture for target in targets for picture in pictures_in(target)]
    several = len(targets) > 1 or targets[0].is_dir()
    if several:
        for folder in (out, mask_out):
            if folder is not None and not folder.is_dir() and (folder.exists() or _is_picture_name(folder)):
                raise StyleSwapError(
                    f"expected a folder for the results of several targets, got {folder}; name a folder"
                )
    jobs = [
        (
            picture,
            out / _file_name(picture) if several or out.is_dir() else out,
            mask_out / f"{picture.stem}_mask.png" if mask_out and (several or mask_out.is_dir()) else mask_out,
        )
        for picture in pictures
    ]
    _check_outputs(jobs)
    return jobs


def pictures_in(target: Path) -> list[Path]:
    """The picture files of a folder in order of their names, or the one file itself.

    Raises:
        StyleSwapError: a folder without pictures.
    """
    if not target.is_dir():
        return [target]
    found = sorted(path for path in target.iterdir() if _is_picture_name(path))
    if not found:
        raise StyleSwapError(
            f"expected pictures ({', '.join(PICTURE_SUFFIXES)}) in {target}, found none; check the folder"
        )
    return found


def _is_picture_name(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _file_name(picture: Path) -> str:
    return picture.name if _is_picture_name(picture) else f"{picture.name}.png"


def _check_outputs(jobs: list[tuple[Path, Path, Path | None]]) -> None:
    from ..io.images import check_image_suffix

    written: dict[Path, Path] = {}
    inputs = {picture.resolve() for picture, _, _ in jobs}
    for picture, *outputs in jobs:
        for path in outputs:
            if path is None:
                continue
            check_image_suffix(path)
            if path.resolve() in inputs:
                raise StyleSwapError(f"{path} is a target and would be replaced by a result; choose another --out")
            if path.resolve() in written:
                raise StyleSwapError(
                    f"{picture} and {written[path.resolve()]} would both be written to {path}; "
                    "rename one, or swap them one by one"
                )
            if len(jobs) == 1 and not path.parent.is_dir():
                raise StyleSwapError(
                    f"expected an existing folder for the result, {path.parent} is none; create it first"
                )
            written[path.resolve()] = picture


def _work(swapper, identity, rendered: bool, jobs, args: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    from tqdm import tqdm

    results, failed = [], []
    generate = swapper.baked() if len(jobs) >= _WORTH_BAKING else None
    with tqdm(jobs, desc="swap", unit="picture", disable=len(jobs) == 1) as bar:
        for target, out, mask_out in bar:
            try:
                done = swapper.swap_file(
                    identity,
                    target,
                    out,
                    mask_out,
                    faces=args.faces,
                    strength=args.strength,
                    rendered_source=rendered,
                    generate=generate,
                )
                results.append(done.report)
            # A disk that is full for one picture may do for the next; the report names each.
            except (StyleSwapError, OSError) as error:
                text = str(error) if str(target) in str(error) else f"{target}: {error}"
                failed.append({"target": str(target), "error": text})
                if len(jobs) > 1:
                    bar.write(f"styleswap: error: {text}", file=sys.stderr)
    return results, failed


def _print_lines(results: list[dict], failed: list[dict]) -> None:
    for result in results:
        faces = [f"face {face['index']}" + likeness(face) for face in result["faces"]]
        print(f"{result['out']}: {'; '.join(faces)}; {result['seconds']:.1f} s")
    if len(results) + len(failed) > 1:
        print(
            f"{len(results)} of {len(results) + len(failed)} pictures swapped"
            + (f"; failed: {', '.join(row['target'] for row in failed)}" if failed else "")
        )


def likeness(face: dict) -> str:
    """How much a face of a report came to look like the source, as words; empty where it was not measured."""
    if face["similarity"] is None:
        return ""
    return f" (likeness to the source {face['similarity_before']:.2f} -> {face['similarity']:.2f})"
