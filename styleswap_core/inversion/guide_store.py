"""Rendered guides, kept between runs: they do not depend on the person, and rendering them takes as long as an inversion.

Some MB in the user's cache folder. Nothing needs them: a file that is missing, damaged or cannot be written costs the time
of rendering, and that is all.
"""

import hashlib
import os
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import StyleSwapError
from ..io.files import atomic_write, user_cache_folder
from ..synthetic.fingerprint import RENDERER_FINGERPRINT
from ..synthetic.parameters import Attributes, Identities

FORMAT_VERSION = 1
KEPT = 8
"""How many sets stay: of other seeds and sizes, and of older versions. The one used longest ago goes first."""

# What numpy raises for a file that is no archive, whose content is not what its checksum says, or that lacks an array.
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def guides_key(people: Identities, settings: Attributes, window: Tensor, size: int, frame_size: int) -> str:
    """Hexadecimal SHA-256 of what `render` is given for a set of guides, and of the renderer: the same key, the same pixels."""
    facts = f"{FORMAT_VERSION} {RENDERER_FINGERPRINT} {size} {frame_size} {' '.join(settings.fields)}"
    digest = hashlib.sha256(facts.encode())
    for values in (people.values, *settings.fields.values(), settings.noise_seeds, window):
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


class GuideStore:
    """Sets of guides as files of a folder, which several processes may use at once.

    Args:
        folder: made when the first set is saved; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls) -> "GuideStore":
        """The store in the user's cache folder."""
        cache = user_cache_folder()
        return cls(None if cache is None else cache / "guides")

    def load(self, key: str, count: int, size: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Pictures (count, size, size, 3) uint8 and points (count, 5, 2) float32; None where they are not there unharmed."""
        if self.folder is None:
            return None
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                pictures, points = stored["pictures"], stored["points"]
        except _DAMAGE:
            return None
        if (pictures.shape, pictures.dtype) != ((count, size, size, 3), np.uint8):
            return None
        if (points.shape, points.dtype) != ((count, 5, 2), np.float32):
            return None
        with suppress(OSError):
            os.utime(path)
        return pictures, points

    def save(self, key: str, pictures: np.ndarray, points: np.ndarray) -> None:
        """Keep a set, and let the oldest go beyond `KEPT`; see `load` for the shapes."""
        if self.folder is None:
            return
        # A full disk, a folder of somebody else, another process that removes the same file: the inversion goes on.
        with suppress(OSError, StyleSwapError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path(key)) as path:
                np.savez_compressed(path, pictures=pictures, points=points)
            # With the temporary files that a killed process left, in their turn.
            files = sorted(self.folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
            for file in files[KEPT:]:
                file.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"
