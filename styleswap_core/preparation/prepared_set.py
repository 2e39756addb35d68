"""Prepared set on disk: its layout, and random access to its pictures.

    prepared.json        sizes, template, recognizer, counts; written last
    shards/000000.tar    WebDataset: KEY.jpg (or .png), KEY.mask.png, KEY.json, KEY.id_embedding.npy
    index.bin            ROW records: location and measurements of each picture
    embeddings.bin       (N, D) float32, L2-normalized; D is `dimension` in prepared.json, 512 if it is not there
    people.npy           (N,) int32, the person in each picture

The tars contain the whole set, for other programs; the other files give fast random access.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import StyleSwapError, decoding
from ..faces.recognizer_id import RecognizerId
from ..identities.identity import EMBEDDING_SIZE
from ..io.json_text import read_json, require_table

MANIFEST, INDEX, EMBEDDINGS, PEOPLE, SHARDS = "prepared.json", "index.bin", "embeddings.bin", "people.npy", "shards"
FORMAT, FORMAT_VERSION = "styleswap-prepared", 1
# Version of sets with a teacher's swaps, so that programs that do not know of them refuse the set.
TAUGHT_FORMAT_VERSION = 2
# More than any size of pictures or embeddings.
_MAX_NUMBER = 1 << 16
ROW = np.dtype(
    [
        ("shard", "<u4"),
        ("image_offset", "<u8"),
        ("image_bytes", "<u4"),
        ("mask_offset", "<u8"),
        ("mask_bytes", "<u4"),
        ("input", "<u4"),
        ("frame", "<i4"),
        ("face", "<u2"),
        ("person", "<u4"),
        ("hash", "<u8"),
        ("points", "<f4", (5, 2)),
        ("pose", "<f4", (3,)),
        ("score", "<f4"),
        ("blur", "<f4"),
        ("side", "<f4"),
    ]
)


def shard_path(folder: Path, number: int) -> Path:
    """Path of a finished shard in a folder of shards."""
    return folder / f"{number:06d}.tar"


def is_prepared(folder: Path) -> bool:
    """Whether a folder contains a prepared set, finished or not."""
    return (folder / MANIFEST).is_file() or (folder / SHARDS).is_dir()


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """A set of N pictures, opened by `open`.

    Attributes:
        folder: Folder of the set.
        manifest: Content of prepared.json.
        rows: (N,) ROW, memory-mapped.
        embeddings: (N, D) float32, memory-mapped.
        people: (N,) int32.
    """

    folder: Path
    manifest: dict[str, Any]
    rows: np.ndarray
    embeddings: np.ndarray
    people: np.ndarray

    @classmethod
    def open(cls, folder: str | Path) -> "PreparedSet":
        """Map the files of a finished set.

        Raises:
            StyleSwapError: There is no set, or it is unfinished, empty or damaged.
        """
        folder = Path(folder)
        return cls.mapped(folder, read_manifest(folder))

    @classmethod
    def mapped(cls, folder: Path, manifest: dict[str, Any]) -> "PreparedSet":
        """Map the files of a set with this manifest.

        Raises:
            StyleSwapError: The set is empty or damaged.
        """
        count = manifest["pictures"]
        if count < 1:
            raise StyleSwapError(f"{folder} contains no pictures: all were dropped; its report.html gives the reasons")
        paths = folder / INDEX, folder / EMBEDDINGS, folder / PEOPLE
        dimension = embedding_size(manifest)
        needed = count * ROW.itemsize, count * dimension * 4, count * 4
        for path, size in zip(paths, needed, strict=True):
            if not path.is_file() or path.stat().st_size < size:
                raise StyleSwapError(f"{path} is missing or too short; run `styleswap prepare` on the folder again")
        with decoding(f"{paths[2]} is damaged", "run `styleswap prepare` on the folder again"):
            people = np.load(paths[2], mmap_mode="r")
        return cls(
            folder,
            manifest,
            np.memmap(paths[0], ROW, "r", shape=(count,)),
            np.memmap(paths[1], np.float32, "r", shape=(count, dimension)),
            people[:count],
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def recognizer(self) -> RecognizerId:
        """The recognizer that made the embeddings."""
        manifest = self.manifest
        return RecognizerId(manifest["recognizer"], manifest["recognizer_sha256"], embedding_size(manifest))


def embedding_size(manifest: Mapping[str, Any]) -> int:
    """Length D of the embeddings of a set."""
    return int(manifest.get("dimension", EMBEDDING_SIZE))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished set.

    Raises:
        StyleSwapError: There is none, it is damaged, or it has another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StyleSwapError(
            f"{folder} contains no finished set ({MANIFEST} is missing); let `styleswap prepare` run to its end"
        )
    problem, remedy = f"{path} is damaged", "run `styleswap prepare` on the folder again"
    manifest = require_table(read_json(path, problem, remedy), problem, remedy)
    if manifest.get("format") != FORMAT or manifest.get("format_version") not in (
        FORMAT_VERSION,
        TAUGHT_FORMAT_VERSION,
    ):
        raise StyleSwapError(f"expected {path} in the format {FORMAT} {FORMAT_VERSION}; prepare the pictures again")
    texts = dict.fromkeys(("template", "recognizer", "recognizer_sha256"), str)
    require_table(manifest, problem, remedy, pictures=int, size=int, **texts)
    require_table({"dimension": EMBEDDING_SIZE, **manifest}, problem, remedy, dimension=int)
    if (
        manifest["pictures"] < 0
        or not 0 < manifest["size"] <= _MAX_NUMBER
        or not 0 < embedding_size(manifest) <= _MAX_NUMBER
    ):
        raise StyleSwapError(f"{problem} (a number is out of range); {remedy}")
    return manifest


class ShardReader:
    """Reads pictures and masks from the shards; safe to use from several threads."""

    def __init__(self, prepared: PreparedSet) -> None:
        self._prepared = prepared

    def image(self, row: int) -> np.ndarray:
        """The crop (S, S, 3) uint8 RGB."""
        record = self._prepared.rows[row]
        return cv2.cvtColor(self._decode(record, "image", cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def mask(self, row: int) -> np.ndarray:
        """The face mask (S, S) uint8."""
        return self._decode(self._prepared.rows[row], "mask", cv2.IMREAD_GRAYSCALE)

    def _decode(self, record: np.void, kind: str, flag: int) -> np.ndarray:
        return decode_member(self._prepared.folder / SHARDS, record, kind, flag, self._prepared.manifest["size"])


def decode_member(folder: Path, record: np.void, kind: str, flag: int, size: int) -> np.ndarray:
    """A square picture of `size` pixels from a shard; safe to call from several threads.

    Args:
        folder: Folder of the shards.
        record: Record of an index, with the fields `shard`, `KIND_offset` and `KIND_bytes`.
        kind: "image" or "mask".
        flag: OpenCV's flag for reading.
        size: Side of the picture.

    Raises:
        StyleSwapError: The shard cannot be read, or contains something else there.
    """
    path = shard_path(folder, int(record["shard"]))
    try:
        # Opened for each picture: opening takes microseconds and decoding milliseconds, and threads share nothing.
        with open(path, "rb", buffering=0) as file:
            file.seek(int(record[f"{kind}_offset"]))
            data = file.read(int(record[f"{kind}_bytes"]))
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; prepare the set again") from error
    decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag) if data else None
    if decoded is None or decoded.shape[:2] != (size, size):
        raise StyleSwapError(f"{path} does not match the index; prepare the set again")
    return decoded
