"""A teacher's swaps on disk, beside the pictures of a prepared set.

    teacher/index.bin    SWAP records, `swaps` for each picture, in the order of the pictures
    teacher/000000.tar   KEY.teacher0.jpg (or .png), KEY.teacher0.mask.png, KEY.teacher0.json of each swap that was kept

KEY is that of the picture in the shards of the set. Only teachers that predict masks have mask files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import StyleSwapError
from .prepared_set import INDEX, PreparedSet, decode_member, read_manifest

TEACHER = "teacher"
SWAP = np.dtype(
    [
        ("source", "<u4"),
        ("shard", "<u4"),
        ("image_offset", "<u8"),
        ("image_bytes", "<u4"),
        ("mask_offset", "<u8"),
        ("mask_bytes", "<u4"),
        ("likeness", "<f4"),
        ("own_likeness", "<f4"),
    ]
)
"""Record of a swap: the picture of its source; where it is stored, with 0 bytes if it was dropped; and its cosine
similarities to the picture of its source and to the picture that it was made from."""


@dataclass(frozen=True, eq=False)
class TeacherSwaps:
    """The swaps of a prepared set, opened by `open`; reading is safe from several threads.

    Attributes:
        prepared: The set.
        card: Entry `teacher` of its manifest.
        rows: (N * swaps,) SWAP, memory-mapped: those of picture r are r * swaps and following.
    """

    prepared: PreparedSet
    card: dict[str, Any]
    rows: np.ndarray

    @classmethod
    def open(cls, prepared: PreparedSet) -> "TeacherSwaps":
        """Map the index of the swaps of a set.

        Raises:
            StyleSwapError: The set has no swaps, or their index is damaged.
        """
        card = prepared.manifest.get("teacher")
        if card is None:
            raise StyleSwapError(
                f"{prepared.folder} has no swaps of a teacher; prepare the pictures with --teacher FILE"
            )
        count, path = len(prepared) * card["swaps"], prepared.folder / TEACHER / INDEX
        if not path.is_file() or path.stat().st_size < count * SWAP.itemsize:
            raise StyleSwapError(f"{path} is missing or too short; run `styleswap prepare` on the folder again")
        return cls(prepared, card, mapped_swaps(prepared.folder, count))

    def usable(self) -> np.ndarray:
        """Numbers (M,) int64 of the swaps to train on: those that were kept, of two different people."""
        kept = np.flatnonzero(self.rows["image_bytes"])
        # People are clustered again when pictures are added; two of them may have become one.
        people = np.asarray(self.prepared.people)
        return kept[people[self.pictures(kept)] != people[self.rows["source"][kept]]]

    @property
    def has_masks(self) -> bool:
        """Whether the teacher predicted masks, which are stored."""
        return bool(self.card["masks"])

    def pictures(self, numbers: np.ndarray) -> np.ndarray:
        """Pictures that swaps were made from."""
        return numbers // self.card["swaps"]

    def image(self, number: int) -> np.ndarray:
        """A swap (S, S, 3) uint8 RGB."""
        return cv2.cvtColor(self._decode(number, "image", cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def mask(self, number: int) -> np.ndarray:
        """The share (S, S) uint8 of each pixel that the teacher replaced, 255 for all; only if it predicts masks."""
        return self._decode(number, "mask", cv2.IMREAD_GRAYSCALE)

    def _decode(self, number: int, kind: str, flag: int) -> np.ndarray:
        folder, size = self.prepared.folder / TEACHER, self.prepared.manifest["size"]
        return decode_member(folder, self.rows[number], kind, flag, size)


def mapped_swaps(folder: Path, count: int) -> np.ndarray:
    """The first `count` records of the swaps of a set, memory-mapped."""
    return np.memmap(folder / TEACHER / INDEX, SWAP, "r", shape=(count,)) if count else np.zeros(0, SWAP)


def has_teacher(folder: Path) -> bool:
    """Whether a finished set has swaps of a teacher that were kept.

    Raises:
        StyleSwapError: The set is unfinished or damaged.
    """
    return bool(read_manifest(folder).get("teacher", {}).get("kept"))
