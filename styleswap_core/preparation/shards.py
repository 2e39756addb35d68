"""Writers of a prepared set: tar shards in WebDataset's layout, and the index.

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
from .examine import Sample
from .journal import Position
from .prepared_set import EMBEDDINGS, INDEX, ROW, SHARDS, shard_path

_BLOCK = 512
_END = bytes(2 * _BLOCK)


class ShardFiles:
    """Numbered tar files in a folder, of which the last grows.

    Attributes:
        number: Number of the shard that grows.
        entries: Entries in it, as counted by `begin_entry`.
    """

    def __init__(self, folder: Path, number: int, size: int, entries: int, entries_per_shard: int) -> None:
        """Continue after the first `size` bytes of shard `number`, which hold `entries` entries.

        Raises:
            StyleSwapError: The shard is shorter than that.
        """
        self._folder, self.number, self.entries, self._entries_per_shard = folder, number, entries, entries_per_shard
        folder.mkdir(parents=True, exist_ok=True)
        self._remove_after(number)
        self._tar = open_at(self._reopened(number), size)

    def begin_entry(self) -> int:
        """Count an entry, in a new shard if the current one is full; returns the number of the shard."""
        if self.entries == self._entries_per_shard:
            self.finish()
        self.entries += 1
        return self.number

    def add_member(self, name: str, data: bytes) -> int:
        """Append a file and return the offset of its bytes."""
        # Without times and owners, so that the same pictures give the same bytes.
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.write(info.tobuf(tarfile.USTAR_FORMAT))
        offset = self._tar.tell()
        self._tar.write(data)
        self._tar.write(bytes(-len(data) % _BLOCK))
        return offset

    def finish(self) -> None:
        """Finish the current shard and start the next; does nothing if it is empty."""
        if not self.entries:
            return
        self._tar.write(_END)
        to_disk(self._tar)
        self._tar.close()
        part = self._part(self.number)
        os.replace(part, shard_path(self._folder, self.number))
        self.number, self.entries = self.number + 1, 0
        self._tar = open_at(self._part(self.number), 0)

    def sync(self) -> tuple[int, int, int]:
        """Flush to disk; returns the shard's number, its bytes and its entries."""
        to_disk(self._tar)
        return self.number, self._tar.tell(), self.entries

    def close(self) -> None:
        """Close the current shard, and remove it if it is empty."""
        self._tar.close()
        if not self.entries:
            self._part(self.number).unlink(missing_ok=True)

    def _part(self, number: int) -> Path:
        path = shard_path(self._folder, number)
        return path.with_name(path.name + ".part")

    def _remove_after(self, last: int) -> None:
        for path in self._folder.iterdir():
            number = path.name.split(".")[0]
            if number.isdecimal() and int(number) > last:
                path.unlink()

    def _reopened(self, number: int) -> Path:
        """The unfinished file of a shard, also if a run was killed between finishing it and recording that."""
        part, finished = self._part(number), shard_path(self._folder, number)
        if finished.exists():
            os.replace(finished, part)
        return part


class SetWriter:
    """Appends pictures to the set in `folder`, from `position` on.

    Attributes:
        rows: Number of pictures written.
    """

    def __init__(self, folder: Path, position: Position, shard_pictures: int, suffix: str, dimension: int) -> None:
        self._suffix, self.rows = suffix, position.rows
        self._shards = ShardFiles(
            folder / SHARDS, position.shard, position.shard_bytes, position.shard_rows, shard_pictures
        )
        self._index = open_at(folder / INDEX, position.rows * ROW.itemsize)
        self._embeddings = open_at(folder / EMBEDDINGS, position.rows * dimension * 4)

    def add(self, sample: Sample, place: dict[str, int], meta: dict[str, Any]) -> int:
        """Write one picture and return its number.

        Args:
            sample: The picture.
            place: Fields `input`, `frame` and `person` of its ROW.
            meta: Content of the JSON file beside the picture.
        """
        key, quality = f"{self.rows:09d}", sample.quality
        row = np.zeros((), dtype=ROW)
        row["shard"] = self._shards.begin_entry()
        for name, data in (("image", sample.image), ("mask", sample.mask)):
            suffix = self._suffix if name == "image" else "mask.png"
            row[f"{name}_offset"] = self._shards.add_member(f"{key}.{suffix}", data)
            row[f"{name}_bytes"] = len(data)
        self._shards.add_member(f"{key}.json", json.dumps(meta, ensure_ascii=True).encode())
        embedding = np.ascontiguousarray(sample.id_embedding, dtype=np.float32)
        self._shards.add_member(f"{key}.id_embedding.npy", _npy(embedding))
        for name, value in place.items():
            row[name] = value
        row["face"], row["hash"], row["points"] = sample.face, sample.hash, sample.points
        row["pose"] = quality.yaw, quality.pitch, quality.roll
        row["score"], row["blur"], row["side"] = quality.score, quality.blur, quality.side
        self._index.write(row.tobytes())
        self._embeddings.write(embedding.tobytes())
        self.rows += 1
        return self.rows - 1

    def finish_shard(self) -> None:
        """Finish the current shard and start the next; does nothing if it is empty."""
        self._shards.finish()

    def sync(self) -> tuple[int, int, int, int]:
        """Flush everything to disk and return the fields of Position from `shard` on."""
        shard = self._shards.sync()
        for file in (self._index, self._embeddings):
            to_disk(file)
        return *shard, self.rows

    def close(self) -> None:
        """Close all files; the next run truncates what was not synced."""
        self._shards.close()
        for file in (self._index, self._embeddings):
            file.close()


def open_at(path: Path, size: int) -> io.BufferedRandom:
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


def to_disk(file: io.BufferedRandom) -> None:
    """Flush a file to disk."""
    file.flush()
    os.fsync(file.fileno())


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
