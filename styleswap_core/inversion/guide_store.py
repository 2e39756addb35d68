"""Cache of rendered guides, which do not depend on the person and take as long to render as an inversion.

The cache takes a few MB in the user's cache folder. A file that is missing, damaged or not writable only costs the time
to render the guides again.
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
MAX_SETS = 8
"""Maximum number of sets in the cache; beyond it, the least recently used one is deleted."""

# Errors of np.load for files that are no archives, fail their checksum, or lack an array.
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def guides_key(people: Identities, attributes: Attributes, window: Tensor, size: int, frame_size: int) -> str:
    """Hexadecimal SHA-256 of the renderer and its arguments: equal keys mean equal pixels."""
    facts = f"{FORMAT_VERSION} {RENDERER_FINGERPRINT} {size} {frame_size} {' '.join(attributes.fields)}"
    digest = hashlib.sha256(facts.encode())
    for values in (people.values, *attributes.fields.values(), attributes.noise_seeds, window):
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


class GuideStore:
    """Sets of guides as files in a folder that several processes may use at once.

    Args:
        folder: Created when the first set is saved; None disables the cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls) -> "GuideStore":
        """The store in the user's cache folder."""
        cache = user_cache_folder()
        return cls(None if cache is None else cache / "guides")

    def load(self, key: str, count: int, size: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Pictures (count, size, size, 3) uint8 and points (count, 5, 2) float32; None if missing or damaged."""
        if self.folder is None:
            return None
        path = _file(self.folder, key)
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
        """Save a set (shapes as in `load`) and delete the least recently used ones beyond `MAX_SETS`."""
        if self.folder is None:
            return
        # The inversion goes on if the disk is full, the folder is read-only, or another process deletes the same file.
        with suppress(OSError, StyleSwapError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(_file(self.folder, key)) as path:
                np.savez_compressed(path, pictures=pictures, points=points)
            # Temporary files of killed processes match as well and are deleted in their turn.
            files = sorted(self.folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
            for file in files[MAX_SETS:]:
                file.unlink(missing_ok=True)


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key}.npz"
