"""Swaps of all pictures of a prepared set by a teacher; continues where an earlier run stopped.

This is the second pass of a preparation, since swaps need to know who is whom. The pictures go through the network in
blocks that depend on their numbers only; reading, judging and encoding run in threads beside it.
"""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from tqdm import tqdm

from ..compositing.canvas import Canvas
from ..compositing.mask_shaping import grow_mask
from ..errors import StyleSwapError
from ..faces.detected import DetectedFace
from ..identities.identity import Identity
from ..io.read_ahead import map_ahead
from ..masking.face_masks import FaceMasks
from ..pipeline.face_jobs import FaceJob, FaceRenderer
from ..pipeline.swap_options import SwapOptions
from .examine import encode_crop, encode_mask
from .journal import Journal
from .prepared_set import INDEX, PreparedSet, ShardReader
from .progress import bytes_in_words, interval, say
from .shards import ShardFiles, open_at, to_disk
from .teacher import Teacher
from .teacher_pairs import SourceChoice
from .teacher_set import SWAP, TEACHER, mapped_swaps

_BLOCK_SWAPS = 16
_COMMIT_SECONDS = 2.0
_FORECAST_SECONDS = 10.0
# Growth of masks that were made for a teacher without any, as a fraction of the crop's side.
_GROWTH = 0.06
# Swaps after which a note says that most of them are dropped.
_TRIAL_SWAPS = 128
# Bytes of a swap's entry in the tar beside its picture and mask: three headers, padding, and a JSON file.
_OVERHEAD_BYTES = 3 * 512 + 1024 + 512
_SETTINGS, _POSITION = "teacher", "teacher_position"


class TeacherPosition(NamedTuple):
    """How far the swaps of a set are complete.

    Attributes:
        rows: Pictures whose swaps are done.
        shard: Number of the unfinished shard.
        shard_bytes: Its valid bytes.
        shard_swaps: Its swaps.
    """

    rows: int = 0
    shard: int = 0
    shard_bytes: int = 0
    shard_swaps: int = 0


class _Lesson(NamedTuple):
    """A swap to make: picture of the set, number among its swaps, picture of the source, pixels, and identity."""

    row: int
    swap: int
    source: int
    picture: np.ndarray
    identity: Identity


class Judged(NamedTuple):
    """A swap, encoded if it is kept.

    Attributes:
        picture: Picture that it was made from.
        swap: Its number among the swaps of the picture.
        source: Picture of its source.
        likeness: Cosine similarity to the picture of its source.
        own_likeness: The same to the picture that it was made from.
        image: Content of the picture file; empty if the swap is dropped.
        mask: Content of the mask file; empty if there is none.
    """

    picture: int
    swap: int
    source: int
    likeness: float
    own_likeness: float
    image: bytes
    mask: bytes


def teach(journal: Journal, prepared: PreparedSet, teacher: Teacher, workers: int) -> dict[str, Any]:
    """Swap the pictures of a set that have no swaps yet.

    Args:
        journal: The journal of the set.
        prepared: The set, of at least two people.
        teacher: The teacher; `check_teacher` has accepted it.
        workers: Threads for reading, judging and encoding.

    Returns:
        Description of all swaps, the entry `teacher` of the manifest.

    Raises:
        StyleSwapError: The disk is too small, or a file of the set is damaged.
    """
    position = TeacherPosition(*(journal.value(_POSITION) or TeacherPosition()))
    check_disk(prepared, teacher, position)
    if position.rows < len(prepared):
        for note in teacher.notes():
            say(note)
        _Run(journal, prepared, teacher, position).swap_all(workers)
        teacher.close()
    return describe(prepared, teacher)


def check_teacher(journal: Journal, out: Path, teacher: Teacher | None) -> None:
    """Check that the swaps of a set, if it has any, are from this teacher; record it if the set has none.

    Raises:
        StyleSwapError: They are from another one, or made with other settings.
    """
    stored = journal.value(_SETTINGS)
    if stored is not None and not (out / TEACHER).exists():
        # The user deleted the swaps.
        stored = None
        with journal.transaction():
            journal.set_value(_SETTINGS, None)
            journal.set_value(_POSITION, None)
    if stored is None and teacher is None:
        return
    if teacher is None:
        raise StyleSwapError(
            f"the set has swaps of a teacher; repeat the command with its --teacher, or delete {out / TEACHER}"
        )
    now = teacher.recorded()
    if stored is None:
        (out / TEACHER).mkdir(exist_ok=True)
        with journal.transaction():
            journal.set_value(_SETTINGS, now)
        return
    changed = [name for name in now if stored.get(name) != now[name]]
    if changed:
        raise StyleSwapError(
            f"the set has swaps of a teacher with other settings ({', '.join(changed)}); use the same ones, or delete "
            f"{out / TEACHER} to have all pictures swapped again"
        )


def check_disk(prepared: PreparedSet, teacher: Teacher, position: TeacherPosition) -> None:
    """Say what the swaps take, before they are made.

    Raises:
        StyleSwapError: The disk has not enough room.
    """
    rows = prepared.rows
    left = (len(prepared) - position.rows) * teacher.settings.swaps
    per_swap = float(rows["image_bytes"].mean() + rows["mask_bytes"].mean()) + _OVERHEAD_BYTES + SWAP.itemsize
    needed, free = left * per_swap, shutil.disk_usage(prepared.folder).free
    if needed > free:
        raise StyleSwapError(
            f"{left} swaps of the teacher need about {bytes_in_words(needed)}, and {bytes_in_words(free)} are free; "
            "make room on the disk and run the same command again"
        )
    if left:
        say(
            f"teacher {teacher.file}: {left} swaps on {teacher.network.device}, about {bytes_in_words(needed)} on disk "
            f"({bytes_in_words(free)} are free)"
        )


def describe(prepared: PreparedSet, teacher: Teacher) -> dict[str, Any]:
    """Description of the swaps of a set, as JSON values."""
    settings = teacher.settings
    rows = mapped_swaps(prepared.folder, len(prepared) * settings.swaps)
    kept = rows["image_bytes"] > 0
    unlike = ~(rows["likeness"] >= settings.likeness)
    quartiles = np.percentile(np.nan_to_num(rows["likeness"]), (25, 50, 75))
    return {
        **teacher.describe(),
        "kept": int(kept.sum()),
        "dropped": {"unlike the source": int(unlike.sum()), "like the target": int((~kept & ~unlike).sum())},
        "likeness_quartiles": [round(float(value), 4) for value in quartiles],
    }


class _Forecast:
    """Says once, after some seconds, how long the swaps of all pictures take."""

    def __init__(self, rows: int, swaps: int) -> None:
        self._rows, self._swaps = rows, swaps
        self._first: tuple[float, int] | None = None
        self._said = False

    def observe(self, done: int) -> None:
        """Take note that the swaps of `done` pictures are made."""
        now = time.monotonic()
        if self._first is None:
            # The first block includes what networks do once.
            self._first = now, done
            return
        seconds = now - self._first[0]
        if self._said or seconds < _FORECAST_SECONDS:
            return
        self._said = True
        minutes = seconds / (done - self._first[1]) * (self._rows - done) / 60
        if minutes >= 1:
            say(f"the remaining {(self._rows - done) * self._swaps} swaps of the teacher take about {minutes:.0f} min")


class _WideMasks(FaceMasks):
    """Masks for teachers that have none, wider than those of other swaps.

    Inside a soft edge the outermost skin of the face stays. It would show training the true color of the skin, which it
    would learn to copy from there, and which a photograph to be swapped later does not have.
    """

    def mask(self, crops: Tensor, points: Tensor, own: Tensor | None) -> Tensor:
        """Masks (B, 1, S, S); see `FaceMasks.mask`."""
        made = super().mask(crops, points, own)
        return made if own is not None else grow_mask(made, round(_GROWTH * crops.shape[-1]))


class _Run:
    """One run: makes the swaps in the order of the pictures, and commits them every few seconds."""

    def __init__(self, journal: Journal, prepared: PreparedSet, teacher: Teacher, position: TeacherPosition) -> None:
        settings = prepared.manifest["settings"]
        self._journal, self._prepared, self._teacher = journal, prepared, teacher
        self._rows, self._swaps = position.rows, teacher.settings.swaps
        self._suffix = settings["image_format"]
        folder = prepared.folder / TEACHER
        self._shards = ShardFiles(
            folder, position.shard, position.shard_bytes, position.shard_swaps, settings["shard_pictures"]
        )
        self._index = open_at(folder / INDEX, position.rows * self._swaps * SWAP.itemsize)
        self._reader = ShardReader(prepared)
        self._choice = SourceChoice(np.asarray(prepared.people), prepared.embeddings, settings["likeness"])
        self._masks = _WideMasks(landmark_model=teacher.analyzer.landmark_model)
        self._tried = self._kept = 0

    def swap_all(self, workers: int) -> None:
        """Swap all pictures that are left, and finish the last shard."""
        committed = time.monotonic()
        forecast = _Forecast(len(self._prepared), self._swaps)
        with tqdm(
            total=len(self._prepared), initial=self._rows, unit="picture", desc="teacher", mininterval=interval()
        ) as progress:
            for block in self._blocks(workers):
                for judged in block:
                    self._write(judged)
                done = len(block) // self._swaps
                self._rows += done
                progress.update(done)
                forecast.observe(self._rows)
                if time.monotonic() - committed > _COMMIT_SECONDS:
                    self._commit()
                    committed = time.monotonic()
        self._shards.finish()
        self._commit()
        self._shards.close()
        self._index.close()

    def _blocks(self, workers: int) -> Iterator[list[Judged]]:
        """Judged swaps of one block of pictures after another."""
        size = max(1, _BLOCK_SWAPS // self._swaps)
        # Blocks start at multiples of their size, also in a resumed run: a swap does not depend on interruptions.
        first = self._rows - self._rows % size
        blocks = [
            range(start, min(start + size, len(self._prepared))) for start in range(first, len(self._prepared), size)
        ]
        with map_ahead(self._read, blocks, depth=1) as read:
            for lessons in read:
                swapped = self._swap(lessons)
                with map_ahead(self._judge, swapped, depth=len(swapped), workers=workers) as judged:
                    yield [one for one in judged if one.picture >= self._rows]

    def _read(self, rows: range) -> list[_Lesson]:
        lessons = []
        for row in rows:
            picture = self._reader.image(row)
            for swap, source in enumerate(self._choice.sources(row, self._swaps)):
                identity = self._teacher.identity(self._prepared, self._reader, source)
                lessons.append(_Lesson(row, swap, source, picture, identity))
        return lessons

    def _swap(self, lessons: Sequence[_Lesson]) -> list[tuple[_Lesson, np.ndarray, np.ndarray]]:
        """Each lesson with its result (S, S, 3) uint8 and the mask (S, S) uint8."""
        canvas, network = Canvas([lesson.picture for lesson in lessons]), self._teacher.network
        jobs = [FaceJob(number, self._face(lesson.row), lesson.identity) for number, lesson in enumerate(lessons)]
        renderer = FaceRenderer(network, self._teacher.analyzer, network.device, self._masks)
        renderer.swap(canvas, jobs, SwapOptions(batch_size=_BLOCK_SWAPS))
        results = []
        for number, lesson in enumerate(lessons):
            picture, mask = canvas.result(number)
            results.append((lesson, np.asarray(picture), np.rint(mask.numpy() * 255).astype(np.uint8)))
        return results

    def _face(self, row: int) -> DetectedFace:
        size = self._prepared.manifest["size"]
        record = self._prepared.rows[row]
        box = np.array([0, 0, size, size], np.float32)
        return DetectedFace(0, float(record["score"]), box, np.array(record["points"], np.float32))

    def _judge(self, swapped: tuple[_Lesson, np.ndarray, np.ndarray]) -> Judged:
        (row, swap, source, _, _), picture, mask = swapped
        embeddings, settings = self._prepared.embeddings, self._teacher.settings
        embedding = self._teacher.analyzer.embed(picture, np.array(self._prepared.rows["points"][row], np.float32))
        likeness, own = float(embedding @ embeddings[source]), float(embedding @ embeddings[row])
        if not (likeness >= settings.likeness and likeness > own):
            return Judged(row, swap, source, likeness, own, b"", b"")
        # A made mask says where the picture was pasted; only a predicted one tells what belongs to the new face.
        encoded = encode_mask(mask) if self._teacher.network.has_mask else b""
        return Judged(row, swap, source, likeness, own, encode_crop(picture, self._suffix), encoded)

    def _write(self, judged: Judged) -> None:
        row = np.zeros((), dtype=SWAP)
        row["source"], row["likeness"], row["own_likeness"] = judged.source, judged.likeness, judged.own_likeness
        if judged.image:
            row["shard"] = self._shards.begin_entry()
            key = f"{judged.picture:09d}.teacher{judged.swap}"
            for name, suffix, data in (("image", self._suffix, judged.image), ("mask", "mask.png", judged.mask)):
                if not data:
                    continue
                row[f"{name}_offset"] = self._shards.add_member(f"{key}.{suffix}", data)
                row[f"{name}_bytes"] = len(data)
            meta = {
                "source": judged.source,
                "likeness": round(judged.likeness, 4),
                "own_likeness": round(judged.own_likeness, 4),
            }
            self._shards.add_member(f"{key}.json", json.dumps(meta).encode())
        self._index.write(row.tobytes())
        self._tried, self._kept = self._tried + 1, self._kept + bool(judged.image)
        if self._tried == _TRIAL_SWAPS and self._kept < self._tried / 2:
            say(
                f"{self._tried - self._kept} of the first {self._tried} swaps of the teacher do not resemble their "
                "source enough and are dropped; see --teacher-likeness"
            )

    def _commit(self) -> None:
        # Files first, so that the journal never refers to anything that is not on disk.
        to_disk(self._index)
        position = TeacherPosition(self._rows, *self._shards.sync())
        with self._journal.transaction():
            self._journal.set_value(_POSITION, position)
