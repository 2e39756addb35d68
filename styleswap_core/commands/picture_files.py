"""Input and output files of commands that take pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import StyleSwapError
from ..io.file_kinds import PICTURE_SUFFIXES, is_hidden, is_picture_name
from ..io.files import FileKey, file_key, require_folder_of
from ..io.folder_walk import FoundFile, walk
from .console import print_note

# How many names a note lists.
_NAMED = 5


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
    roots: Sequence[Path] = (),
) -> list[SwapFiles]:
    """Files for each target picture, checked before any work is done.

    Args:
        targets: Pictures and folders of pictures.
        out: Result; a folder if there are several targets.
        mask_out: Mask file or folder.
        inputs: Other files that are read.
        several: Whether results go to folders; by default if there are several targets or folders of them.
        roots: Folders that targets were found in; results keep their places below them.

    Raises:
        StyleSwapError: A folder contains no pictures, two targets have the same name, or a result would replace an
            input or cannot be written.
    """
    pictures = [picture for target in targets for picture in pictures_in(target)]
    several = len(targets) > 1 or targets[0].is_dir() if several is None else several
    if several:
        for folder in (out, mask_out):
            if folder is not None and not folder.is_dir() and (folder.exists() or is_picture_name(folder)):
                raise StyleSwapError(
                    f"expected a folder for the results of several targets, got {folder}; name a folder"
                )
    plan = [
        SwapFiles(
            picture,
            out / place(picture, roots).with_name(_file_name(picture)) if several or out.is_dir() else out,
            mask_out / place(picture, roots).with_name(f"{picture.stem}_mask.png")
            if mask_out and (several or mask_out.is_dir())
            else mask_out,
        )
        for picture in pictures
    ]
    _check_outputs(plan, [*pictures, *inputs], several)
    return plan


def place(file: Path, roots: Sequence[Path]) -> Path:
    """Path of a result in the folder of results: that of the file below the folder it was found in, or its name."""
    root = next((root for root in roots if root in file.parents), file.parent)
    return file.relative_to(root)


def pictures_in(path: Path, recursive: bool = False, excluded: Sequence[Path] = ()) -> list[Path]:
    """Pictures of a folder, sorted by name; a path that is not a folder is returned as it is.

    Of other files in the folder, such as videos, a note is printed.

    Args:
        path: The folder.
        recursive: As for `files_in`.
        excluded: As for `files_in`.

    Raises:
        StyleSwapError: The folder contains no pictures, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    files = files_in(path, recursive, excluded)
    pictures = [file for file in files if is_picture_name(file)]
    if not pictures:
        raise nothing_found(path)
    note_left_out(path, [file for file in files if not is_picture_name(file)])
    return pictures


def files_in(folder: Path, recursive: bool = False, excluded: Sequence[Path] = ()) -> list[Path]:
    """Files of a folder, sorted by name, without hidden ones.

    Args:
        folder: The folder.
        recursive: Whether subfolders are entered; a note is printed of what cannot be entered or read.
        excluded: Folders that are not entered.

    Raises:
        StyleSwapError: The folder cannot be read.
    """
    if recursive:
        files = []
        for found in walk(folder, *excluded):
            if isinstance(found, FoundFile):
                files.append(folder / found.path)
            else:
                print_note(f"{folder / found.path} {found.sentence}, and is left out")
        return sorted(files)
    try:
        return sorted(file for file in folder.iterdir() if not is_hidden(file.name) and file.is_file())
    except OSError as error:
        raise StyleSwapError(f"cannot read the folder {folder}: {error.strerror}; check its permissions") from error


def note_left_out(folder: Path, files: Sequence[Path]) -> None:
    """Print a note of files in a folder that a command does not take, if there are any."""
    if files:
        names = ", ".join(file.name for file in files[:_NAMED])
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        print_note(f"left out of {folder}: {names}{more}")


def nothing_found(folder: Path) -> StyleSwapError:
    """Error for a folder without pictures."""
    inner = any(file.is_dir() and not is_hidden(file.name) for file in folder.iterdir())
    return StyleSwapError(
        f"expected pictures ({', '.join(PICTURE_SUFFIXES)}) in {folder}, found none;"
        f" {'name one of its subfolders, or use --recursive (swap, align, paste)' if inner else 'check the folder'}"
    )


def _file_name(picture: Path) -> str:
    from ..io.picture_writing import WRITTEN_SUFFIXES

    return picture.name if picture.suffix.lower() in WRITTEN_SUFFIXES else f"{picture.name}.png"


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
                f"{origin} and {other} would both be written to {path}; rename one, or take them in two runs"
            )


def _check_outputs(plan: Sequence[SwapFiles], inputs: Sequence[Path], several: bool) -> None:
    from ..io.images import check_image_suffix

    for files in plan:
        for path in (files.out, files.mask_out):
            if path is None:
                continue
            check_image_suffix(path)
            if not several:
                require_folder_of(path)
        if files.mask_out is not None and file_key(files.mask_out) == file_key(files.out):
            raise StyleSwapError(f"expected different files for result and mask, got {files.out} for both; rename one")
    results = [(files.target, path) for files in plan for path in (files.out, files.mask_out) if path is not None]
    check_results(results, inputs)
