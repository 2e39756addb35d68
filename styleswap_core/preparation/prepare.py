"""Preparation of a folder of pictures and videos; continues where an earlier run stopped."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..errors import StyleSwapError, printable
from ..identities.identity import EMBEDDING_SIZE
from ..io.files import atomic_write, file_sha256
from ..io.folder_walk import FoundFile, walk
from .examine import FORBIDDEN, Drop, Examiner, Findings, Sample, forbidding
from .hashing import HashIndex
from .journal import Journal, Position
from .people import by_folder, cluster
from .preparation_report import write_report
from .preparation_settings import PreparationSettings
from .prepared_set import (
    EMBEDDINGS,
    FORMAT,
    FORMAT_VERSION,
    INDEX,
    MANIFEST,
    PEOPLE,
    ROW,
    TAUGHT_FORMAT_VERSION,
    PreparedSet,
)
from .progress import interval, say
from .shards import SetWriter
from .teacher import Teacher
from .teacher_settings import TeacherSettings
from .teaching import check_teacher, teach
from .video_frames import count_frames, frames
from .worker_pool import Task, examining

JOURNAL = "journal.sqlite3"
_COMMIT_SECONDS = 2.0
# Minimum cosine similarity of duplicates with similar hashes: the same person at the same moment.
_DUPLICATE_COSINE = 0.8
# Spelling in sets that were started with version 0.1.0 -> spelling now.
_FORMER_MASK_ORIGINS = {"five points and colours": "five points and colors"}


@dataclass(frozen=True)
class Summary:
    """Result of a preparation: the folder of the set and its manifest."""

    folder: Path
    manifest: dict[str, Any]


def prepare(
    source: Path,
    out: Path,
    settings: PreparationSettings,
    workers: int = 1,
    allow_download: bool = False,
    teacher: TeacherSettings | None = None,
    device: str | None = None,
) -> Summary:
    """Prepare all pictures and videos below a folder.

    A repeated call continues where the last one stopped, and adds files that are new since then.

    Args:
        source: Folder of pictures and videos.
        out: Folder of the set.
        settings: What to keep, and how.
        workers: Number of processes that examine pictures.
        allow_download: Download a missing pack by name.
        teacher: Swapping network that swaps every picture with other people of the set; may be added to a set later.
        device: Device of the teacher; by default CUDA if there is one, otherwise the CPU.

    Raises:
        StyleSwapError: `source` is not a folder, `out` contains something else or was started with other settings, a
            model cannot be loaded, the teacher needs another recognizer, or the disk is full.
    """
    if not source.is_dir():
        raise StyleSwapError(
            f"expected a folder of pictures and videos, but {printable(source)} is not a folder; check the path"
        )
    examiner = Examiner(settings, allow_download=allow_download)
    loaded = None if teacher is None else Teacher(teacher, examiner.analyzer, device)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / JOURNAL).exists() and any(out.iterdir()):
        raise StyleSwapError(f"{out} is not empty and contains no prepared set; choose another folder")
    journal = Journal(out / JOURNAL)
    try:
        _check_settings(journal, source, settings, examiner)
        check_teacher(journal, out, loaded)
        _scan(journal, source, out, settings.frame_seconds)
        _Run(journal, source, out, settings, examiner.analyzer.recognizer.dimension).examine_all(examiner, workers)
        return _finish(journal, out, settings, examiner, loaded, workers)
    finally:
        journal.close()


def _check_settings(journal: Journal, source: Path, settings: PreparationSettings, examiner: Examiner) -> None:
    now = settings.to_dict() | {
        "input": str(source.resolve()),
        "recognizer_sha256": examiner.analyzer.recognizer.sha256,
        "parsing_sha256": file_sha256(settings.parsing) if settings.parsing else "",
        "masks": examiner.mask_origin,
    }
    stored = journal.value("settings")
    if stored is not None:
        # Sets that were started without them.
        stored.setdefault("detection_size", 0)
        stored.setdefault("ignore_training_opt_outs", False)
    if stored is not None and stored.get("masks") in _FORMER_MASK_ORIGINS:
        stored["masks"] = _FORMER_MASK_ORIGINS[stored["masks"]]
    if stored is None:
        with journal.transaction():
            journal.set_value("settings", now)
        return
    changed = [f"{name} {stored.get(name)!r} -> {now[name]!r}" for name in now if stored.get(name) != now[name]]
    if changed:
        raise StyleSwapError(
            f"the set was started with other settings ({'; '.join(changed)}); use the same ones, or another folder"
        )


def _scan(journal: Journal, source: Path, out: Path, frame_seconds: float) -> None:
    """Add the files that are not in the journal yet."""
    with tqdm(desc="find", unit="file", mininterval=interval()) as progress, journal.transaction():
        journal.forget_obstacles()
        journal.add_inputs(_new_files(journal, source, out, frame_seconds, progress))


def _new_files(
    journal: Journal, source: Path, out: Path, frame_seconds: float, progress: tqdm
) -> Iterator[tuple[bytes, bool, bytes, int]]:
    """Files that are not in the journal yet, as `Journal.add_inputs` takes them; it notes what cannot be read."""
    for found in walk(source, out):
        path = os.fsencode(found.path)
        if not isinstance(found, FoundFile):
            journal.add_obstacle(path, found.sentence)
            _say(found.path, found.sentence)
            continue
        progress.update()
        if journal.has_input(path):
            continue
        count = count_frames(source / found.path, frame_seconds) if found.is_video else 1
        # A file outside of any folder is a person by itself.
        yield path, found.is_video, os.fsencode(found.path.parts[0]), count


class _Run:
    """One run: writes the findings of the workers to the set and the journal, in the order of the inputs."""

    def __init__(
        self, journal: Journal, source: Path, out: Path, settings: PreparationSettings, dimension: int
    ) -> None:
        self._journal, self._source, self._out, self._settings = journal, source, out, settings
        self._dimension = dimension
        position = journal.position
        self._position = position
        self._writer = SetWriter(out, position, settings.shard_pictures, settings.image_format, dimension)
        self._hashes = HashIndex(_mapped_rows(out, position.rows)["hash"])
        self._pending: list[np.ndarray] = []  # embeddings since the last commit, possibly not on disk yet
        # Records for the next commit: drops (input, frame, drop) and notes (input, sentence).
        self._drops: list[tuple[int, int, Drop]] = []
        self._notes: list[tuple[int, str]] = []
        self._last_person = (0, 0)  # (input, person) of the last lookup

    def examine_all(self, examiner: Examiner, workers: int) -> None:
        """Examine all remaining inputs and finish the last shard.

        Results are committed every few seconds, so a killed run loses no more than that.

        Args:
            examiner: Used in this process if `workers` is 1.
            workers: Number of processes.
        """
        done, total = self._journal.frames_before(self._position.input), self._journal.frames_before()
        committed = time.monotonic()
        with (
            tqdm(total=total, initial=done, unit="picture", desc="prepare", mininterval=interval()) as progress,
            examining(self._tasks(), self._settings, examiner, workers) as examined,
        ):
            for task, findings in examined:
                self._keep(task, findings)
                # The task that ends a video is not a picture.
                progress.update(0 if task.picture is None and task.frame >= 0 else 1)
                self._position = Position(task.next_input, task.next_frame)
                if time.monotonic() - committed > _COMMIT_SECONDS:
                    self._commit()
                    committed = time.monotonic()
        self._writer.finish_shard()
        self._commit()
        self._writer.close()

    def _tasks(self) -> Iterator[Task]:
        first, frame = self._position.input, self._position.frame
        for entry in self._journal.inputs(first):
            path = self._source / os.fsdecode(entry.path)
            if entry.is_video:
                yield from self._video_tasks(entry.id, path, frame if entry.id == first else 0)
            else:
                yield Task(entry.id, -1, path, None, entry.id + 1, 0)

    def _video_tasks(self, number: int, path: Path, first: int) -> Iterator[Task]:
        known, count = Findings(), first
        forbidden = forbidding(path, self._settings)
        if forbidden is not None:
            yield Task(number, 0, path, None, number + 1, 0, Findings(drops=[forbidden]))
            return
        try:
            for frame in frames(path, self._settings.frame_seconds, first, known.notes.append):
                count = frame.number + 1
                yield Task(number, frame.number, path, frame.picture, number, count)
        except StyleSwapError as error:
            known.drops.append(Drop("unreadable", str(error)))
        yield Task(number, count, path, None, number + 1, 0, known)

    def _keep(self, task: Task, findings: Findings) -> None:
        where = task.path.relative_to(self._source)
        for note in findings.notes:
            self._notes.append((task.input, note))
            _say(where, note)
        for drop in findings.drops:
            self._drops.append((task.input, task.frame, drop))
            if drop.reason in ("unreadable", FORBIDDEN):
                _say(where, drop.sentence)
        for sample in findings.samples:
            duplicate = self._duplicate_of(sample)
            if duplicate is None:
                self._add(task, where, sample)
            else:
                sentence = f"shows the same as picture {duplicate}"
                self._drops.append((task.input, task.frame, Drop("duplicate", sentence, sample.face, sample.thumbnail)))

    def _add(self, task: Task, where: Path, sample: Sample) -> None:
        quality = sample.quality
        meta = {
            "file": printable(where),
            "frame": task.frame if task.frame >= 0 else None,
            "face": sample.face,
            "points": np.round(sample.points, 3).tolist(),
            "box": np.round(sample.box, 1).tolist(),
            "pose_deg": [round(angle, 1) for angle in (quality.yaw, quality.pitch, quality.roll)],
            "score": round(quality.score, 4),
            "blur": round(quality.blur, 4),
            "side": round(quality.side, 1),
            "outside": round(quality.outside, 4),
            "hash": f"{sample.hash:016x}",
        }
        if self._settings.people == "folders":
            meta["person"] = printable(where.parts[0])
        place = {"input": task.input, "frame": task.frame, "person": self._person(task.input)}
        self._writer.add(sample, place, meta)
        self._hashes.add(sample.hash)
        self._pending.append(sample.id_embedding)

    def _person(self, number: int) -> int:
        # Cached, since all frames of a video have the same input.
        if self._last_person[0] != number:
            self._last_person = number, self._journal.input_person(number)
        return self._last_person[1]

    def _duplicate_of(self, sample: Sample) -> int | None:
        """A picture of the set that shows the same, if there is one."""
        if self._settings.duplicate_distance < 0:
            return None
        for row in self._hashes.near(sample.hash, self._settings.duplicate_distance):
            if float(self._embedding(row) @ sample.id_embedding) >= _DUPLICATE_COSINE:
                return row
        return None

    def _embedding(self, row: int) -> np.ndarray:
        late = row - (self._writer.rows - len(self._pending))
        if late >= 0:
            return self._pending[late]
        width = self._dimension * 4
        return np.fromfile(self._out / EMBEDDINGS, np.float32, self._dimension, offset=row * width)

    def _commit(self) -> None:
        # Files first, so that the journal never refers to anything that is not on disk.
        written = self._writer.sync()
        self._position = Position(self._position.input, self._position.frame, *written)
        with self._journal.transaction():
            for number, frame, drop in self._drops:
                self._journal.add_drop(number, frame, drop.face, drop.reason, drop.sentence, drop.thumbnail)
            for number, note in self._notes:
                self._journal.add_note(number, note)
            self._journal.set_value("position", self._position)
        self._drops, self._notes, self._pending = [], [], []


def _finish(
    journal: Journal,
    out: Path,
    settings: PreparationSettings,
    examiner: Examiner,
    teacher: Teacher | None,
    workers: int,
) -> Summary:
    """Assign pictures to people, have them swapped by the teacher, and write manifest and report."""
    count, recognizer = journal.position.rows, examiner.analyzer.recognizer
    rows = _mapped_rows(out, count)
    if settings.people == "folders" or not count:
        people = by_folder(rows["person"])
    else:
        embeddings = np.memmap(out / EMBEDDINGS, np.float32, "r", shape=(count, recognizer.dimension))
        people = cluster(embeddings, settings.likeness, out)
    with atomic_write(out / PEOPLE) as temporary:
        np.save(temporary, people)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "made_by": f"styleswap {__version__}",
        "pictures": count,
        "people": int(people.max()) + 1 if count else 0,
        "shards": journal.position.shard,
        "size": settings.size,
        "template": settings.template,
        "image_format": settings.image_format,
        "files": {"pictures": journal.input_count(videos=False), "videos": journal.input_count(videos=True)},
        "dropped": journal.counts(),
        "masks": examiner.mask_origin,
        "recognizer": recognizer.name,
        "recognizer_sha256": recognizer.sha256,
        "settings": settings.to_dict(),
    }
    if recognizer.dimension != EMBEDDING_SIZE:
        manifest["dimension"] = recognizer.dimension
    prepared = PreparedSet.mapped(out, manifest) if count else None
    if teacher is not None and prepared is not None and manifest["people"] > 1:
        manifest |= {"format_version": TAUGHT_FORMAT_VERSION, "teacher": teach(journal, prepared, teacher, workers)}
    with atomic_write(out / "dropped.tsv") as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in journal.drops():
            place = f"frame {row.frame}" if row.frame >= 0 else ""
            file.write("\t".join([printable(os.fsdecode(row.path)), place, row.reason, row.sentence]) + "\n")
    with atomic_write(out / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    write_report(out, manifest, journal, prepared)
    return Summary(out, manifest)


def _mapped_rows(out: Path, count: int) -> np.ndarray:
    return np.memmap(out / INDEX, ROW, "r", shape=(count,)) if count else np.zeros(0, ROW)


def _say(path: Path, sentence: str) -> None:
    say(f"{printable(path)} {sentence}")
