"""Files of crops: where their places are kept, and what other programs made of each of them.

The file with the places lies beside the folder of the crops by default, not in it: programs that change all files of a
folder stop at one that is no picture.
"""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import StyleSwapError
from ..io.file_kinds import is_hidden, is_picture_name
from .arguments import Options
from .picture_files import files_in


def add_places_argument(options: Options) -> None:
    """Declare --places."""
    options.add_argument(
        "--places",
        type=Path,
        metavar="FILE.json",
        help="file with the positions of the crops, which `align` writes and `paste` reads (default: next to the "
        "folder of the crops, with the same name and the suffix .json)",
    )


def places_file(given: Path | None, folder: Path) -> Path:
    """The file with the places of the crops in a folder.

    Args:
        given: The file that --places names, or None.
        folder: The folder of the crops.

    Raises:
        StyleSwapError: The folder has no name, and no file is given.
    """
    if given is not None:
        return given
    named = folder if folder.name not in ("", "..") else Path(os.path.abspath(folder))
    if not named.name:
        raise StyleSwapError(
            f"{folder} has no name that the file with the places could have; name the file with --places"
        )
    return named.with_name(f"{named.name}.json")


def check_vacant(folder: Path) -> None:
    """Check that a folder for crops is new or empty, since crops in it may have been edited.

    Raises:
        StyleSwapError: It holds files, or is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise StyleSwapError(f"expected a folder, but {folder} is a file; name a new folder")
    if folder.is_dir() and any(not is_hidden(name) for name in os.listdir(folder)):
        raise StyleSwapError(
            f"expected a new or empty folder, but {folder} contains files, which may be crops that were edited; name"
            " another folder"
        )


class CropFolder:
    """Pictures of crops in a folder, in any format and size, found by the names under which the crops were cut.

    Programs may append to a name: face0.png may come back as face0_4x.webp.
    """

    def __init__(self, folder: Path, names: Sequence[str], what: str) -> None:
        """Begin to look for files.

        Args:
            folder: The folder.
            names: Paths of all crops below the folder in which they were cut, with slashes.
            what: What the pictures are, such as "a crop".

        Raises:
            StyleSwapError: Not a folder.
        """
        if not folder.is_dir():
            raise StyleSwapError(
                f"expected a folder with {what} for each face, but {folder} is not a folder; check the path"
            )
        self._folder, self._what = folder, what
        self._stems = {_stem(name) for name in names}
        self._found: dict[str, dict[str, list[Path]]] = {}

    def file(self, name: str) -> Path:
        """The picture of a crop.

        Raises:
            StyleSwapError: There is none, or more than one.
        """
        parent = str(PurePosixPath(name).parent)
        if parent not in self._found:
            self._found[parent] = self._files_by_stem(parent)
        found = self._found[parent].get(_stem(name), [])
        if not found:
            raise StyleSwapError(
                f"expected {self._what} named {PurePosixPath(name).stem} in {self._folder / parent}, found none; pass"
                " those of all faces, under their original names"
            )
        if len(found) > 1:
            names = " and ".join(file.name for file in found[:2])
            raise StyleSwapError(
                f"{self._folder / parent} contains several pictures for one face, {names}; leave only one of them there"
            )
        return found[0]

    def _files_by_stem(self, parent: str) -> dict[str, list[Path]]:
        """The pictures of a subfolder by the crops whose names they begin with, of several the longest."""
        found: dict[str, list[Path]] = {}
        folder = self._folder / parent
        for file in files_in(folder) if folder.is_dir() else []:
            if is_picture_name(file):
                whole = _stem(f"{parent}/{file.name}")
                cuts = [len(whole), *(at for at in range(len(whole) - 1, 0, -1) if not whole[at].isalnum())]
                stem = next((whole[:at] for at in cuts if whole[:at] in self._stems), None)
                if stem is not None:
                    found.setdefault(stem, []).append(file)
        return found


def _stem(name: str) -> str:
    """A path without suffix. macOS may return names in another form of Unicode than they were written in."""
    return unicodedata.normalize("NFC", str(PurePosixPath(name).with_suffix("")))
