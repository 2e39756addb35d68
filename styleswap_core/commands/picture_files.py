"""Input and output files of `styleswap swap`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError
from ..io.files import FileKey, file_key

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class SwapFiles(NamedTuple):
    """A target, its result, and its mask file if one is requested."""

    target: Path
    out: Path
    mask_out: Path | None


def plan_files(
    targets: Sequence[Path],
    out: Path,
    mask_out: Path | None,
    inputs: Sequence[Path] = (),
    several: bool | None = None,
) -> list[SwapFiles]:
    """Files for each target picture, checked before any work is done.

    Args:
        targets: Pictures and folders of pictures.
        out: Result; a folder if there are several targets.
        mask_out: Mask file or folder.
        inputs: Other files that are read.
        several: Whether results go to folders; by default if there are several targets or folders of them.

    Raises:
        StyleSwapError: A folder contains no pictures, two targets have the same name, or a result would replace an
            input or cannot be written.
    """
    pictures = [picture for target in targets for picture in pictures_in(target)]
    several = len(targets) > 1 or targets[0].is_dir() if several is None else several
    if several:
        for folder in (out, mask_out):
            if folder is not None and not folder.is_dir() and (folder.exists() or _is_picture_name(folder)):
                raise StyleSwapError(
                    f"expected a folder for the results of several targets, got {folder}; name a folder"
                )
    plan = [
        SwapFiles(
            picture,
            out / _file_name(picture) if several or out.is_dir() else out,
            mask_out / f"{picture.stem}_mask.png" if mask_out and (several or mask_out.is_dir()) else mask_out,
        )
        for picture in pictures
    ]
    _check_outputs(plan, [*pictures, *inputs], several)
    return plan


def pictures_in(path: Path) -> list[Path]:
    """Pictures of a folder, sorted by name; a path that is not a folder is returned as it is.

    Raises:
        StyleSwapError: The folder contains no pictures.
    """
    if not path.is_dir():
        return [path]
    pictures = sorted(file for file in path.iterdir() if _is_picture_name(file))
    if not pictures:
        raise StyleSwapError(
            f"expected pictures ({', '.join(PICTURE_SUFFIXES)}) in {path}, found none; check the folder"
        )
    return pictures


def _is_picture_name(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _file_name(picture: Path) -> str:
    return picture.name if _is_picture_name(picture) else f"{picture.name}.png"


def check_results(results: Sequence[tuple[Path, Path]], inputs: Sequence[Path]) -> None:
    """Check that results replace neither an input nor each other.

    Args:
        results: What each result is made from, and its file.
        inputs: Files that are read.

    Raises:
        StyleSwapError: They do.
    """
    read = {file_key(path) for path in inputs}
    written: dict[FileKey, Path] = {}
    for origin, path in results:
        if file_key(path) in read:
            raise StyleSwapError(f"{path} is an input and would be replaced by a result; choose another name")
        other = written.setdefault(file_key(path), origin)
        if other != origin:
            raise StyleSwapError(
                f"{origin} and {other} would both be written to {path}; rename one, or swap them one by one"
            )


def _check_outputs(plan: Sequence[SwapFiles], inputs: Sequence[Path], several: bool) -> None:
    from ..io.images import check_image_suffix

    for files in plan:
        for path in (files.out, files.mask_out):
            if path is None:
                continue
            check_image_suffix(path)
            if not several and not path.parent.is_dir():
                raise StyleSwapError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
        if files.mask_out is not None and file_key(files.mask_out) == file_key(files.out):
            raise StyleSwapError(f"expected different files for result and mask, got {files.out} for both; rename one")
    results = [(files.target, path) for files in plan for path in (files.out, files.mask_out) if path is not None]
    check_results(results, inputs)
