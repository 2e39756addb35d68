"""Writer of a prepared set: tar shards in WebDataset's layout, and the index.

Files grow in place. The next run truncates what a killed run wrote after its last commit, so that every picture is
written once.
"""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StyleSwapError
from ..identities.identity import EMBEDDING_SIZE
from .examine import Sample
from .journal import Position
from .prepared_set import EMBEDDINGS, INDEX, ROW, SHARDS, shard_path

_BLOCK = 512
_END = bytes(2 * _BLOCK)


class SetWriter:
    """Appends pictures to the set in `folder`, from `position` on.

    Attributes:
        rows: Number of pictures written.
    """

    def __init__(self, folder: Path, position: Position, shard_pictures: int, suffix: str) -> None:
        self._folder, self._shard_pictures, self._suffix = folder, shard_pictures, suffix
        self._shard, self._shard_rows, self.rows = position.shard, position.shard_rows, position.rows
        (folder / SHARDS).mkdir(parents=True, exist_ok=True)
        self._remove_after(position.shard)
        self._tar = _open_at(self._reopened(position.shard), position.shard_bytes)
        self._index = _open_at(folder / INDEX, position.rows * ROW.itemsize)
        self._embeddings = _open_at(folder / EMBEDDINGS, position.rows * EMBEDDING_SIZE * 4)

    def add(self, sample: Sample, place: dict[str, int], meta: dict[str, Any]) -> int:
        """Write one picture and return its number.

        Args:
            sample: The picture.
            place: Fields `input`, `frame` and `person` of its ROW.
            meta: Content of the JSON file beside the picture.
        """
        if self._shard_rows == self._shard_pictures:
            self.finish_shard()
        key, quality = f"{self.rows:09d}", sample.quality
        row = np.zeros((), dtype=ROW)
        row["shard"] = self._shard
        for name, data in (("image", sample.image), ("mask", sample.mask)):
            suffix = self._suffix if name == "image" else "mask.png"
            row[f"{name}_offset"], row[f"{name}_bytes"] = self._member(f"{key}.{suffix}", data), len(data)
        self._member(f"{key}.json", json.dumps(meta, ensure_ascii=True).encode())
        embedding = np.ascontiguousarray(sample.id_embedding, dtype=np.float32)
        self._member(f"{key}.id_embedding.npy", _npy(embedding))
        for name, value in place.items():
            row[name] = value
        row["face"], row["hash"], row["points"] = sample.face, sample.hash, sample.points
        row["pose"] = quality.yaw, quality.pitch, quality.roll
        row["score"], row["blur"], row["side"] = quality.score, quality.blur, quality.side
        self._index.write(row.tobytes())
        self._embeddings.write(embedding.tobytes())
        self._shard_rows += 1
        self.rows += 1
        return self.rows - 1

    def finish_shard(self) -> None:
        """Finish the current shard and start the next; does nothing if it is empty."""
        if not self._shard_rows:
            return
        self._tar.write(_END)
        _to_disk(self._tar)
        self._tar.close()
        part = _part(self._folder, self._shard)
        os.replace(part, shard_path(self._folder, self._shard))
        self._shard, self._shard_rows = self._shard + 1, 0
        self._tar = _open_at(_part(self._folder, self._shard), 0)

    def sync(self) -> tuple[int, int, int, int]:
        """Flush everything to disk and return the fields of Position from `shard` on."""
        for file in (self._tar, self._index, self._embeddings):
            _to_disk(file)
        return self._shard, self._tar.tell(), self._shard_rows, self.rows

    def close(self) -> None:
        """Close all files; the next run truncates what was not synced."""
        for file in (self._tar, self._index, self._embeddings):
            file.close()
        part = _part(self._folder, self._shard)
        if not self._shard_rows:
            part.unlink(missing_ok=True)

    def _member(self, name: str, data: bytes) -> int:
        """Append a file to the tar and return the offset of its bytes."""
        # Without times and owners, so that the same pictures give the same bytes.
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.write(info.tobuf(tarfile.USTAR_FORMAT))
        offset = self._tar.tell()
        self._tar.write(data)
        self._tar.write(bytes(-len(data) % _BLOCK))
        return offset

    def _remove_after(self, shard: int) -> None:
        for path in (self._folder / SHARDS).iterdir():
            number = path.name.split(".")[0]
            if number.isdecimal() and int(number) > shard:
                path.unlink()

    def _reopened(self, shard: int) -> Path:
        """The unfinished file of a shard, also if a run was killed between finishing it and recording that."""
        part, finished = _part(self._folder, shard), shard_path(self._folder, shard)
        if finished.exists():
            os.replace(finished, part)
        return part


def _part(folder: Path, shard: int) -> Path:
    path = shard_path(folder, shard)
    return path.with_name(path.name + ".part")


def _open_at(path: Path, size: int) -> io.BufferedRandom:
    """Open a file for appending after its first `size` bytes; the rest is truncated.

    Raises:
        StyleSwapError: The file is shorter than that.
    """
    path.touch()
    if path.stat().st_size < size:
        raise StyleSwapError(f"{path} is shorter than recorded; delete the folder and prepare the pictures again")
    file = io.BufferedRandom(io.FileIO(path, "r+"))
    file.truncate(size)
    file.seek(size)
    return file


def _to_disk(file: io.BufferedRandom) -> None:
    file.flush()
    os.fsync(file.fileno())


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
