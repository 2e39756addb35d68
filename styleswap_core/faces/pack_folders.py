"""Where face analysis packs lie."""

import os
from pathlib import Path

from ..io.assets import ASSETS


def in_home(name: str) -> tuple[Path, ...]:
    """A folder in the user's home folder; nothing for accounts without one, such as those of some containers."""
    folder = Path(os.path.expanduser("~"))
    return (folder / name,) if folder.is_absolute() else ()


DEFAULT_ROOTS = (*in_home(".insightface"), Path("models/insightface"))
ZOO_ROOTS = (*in_home(".styleswap"), Path())
"""Where OpenCV Zoo's files are looked for as `models/opencv_zoo`, before insightface's roots."""

DEMO_PACK = ASSETS / "demo_pack"
"""Detector and recognizer that ship with the package, trained on rendered faces."""
