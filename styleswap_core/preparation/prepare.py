"""The run: from a folder of pictures and videos to a prepared set, going on where an earlier run was cut off."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..errors import StyleSwapError
from ..identities.identity import EMBEDDING_SIZE
from ..io.files import atomic_write, file_sha256
from .examine import Drop, Examiner, Outcome, Sample
from .hashing import HashIndex
from .input_files import FoundFile, shown, walk
from .journal import Journal, Position
from .people import by_folder, cluster
from .preparation_report import write_report
from .preparation_settings import Settings
from .prepared_set import EMBEDDINGS, FORMAT, FORMAT_VERSION, INDEX, MANIFEST, PEOPLE, ROW, PreparedSet
from .shards import SetWriter
from .video_frames import count_frames, frames
from .worker_pool import Task, examining

JOURNAL = "journal.sqlite3"
_COMMIT_SECONDS = 2.0
# Pictures of one person that hash alike and whose embeddings are this close show the same moment.
_DUPLICATE_COSINE = 0.8


@dataclass(frozen=True)
class Summary:
    """What a set holds: counts by name, as in its manifest."""

    folder: Path
    manifest: dict[str, Any]


def prepare(source: Path, out: Path, settings: Settings, workers: int = 1, allow_download: bool = False) -> Summary:
    """Prepare all pictures and videos below `source` into the folder `out`.

    Called again it goes on where the last run ended, and takes up files that are new since.

    Args:
        workers: processes that examine pictures.
        allow_download: let insightface fetch a named pack.

    Raises:
        StyleSwapError: no input folder, another set or settings in `out`, models that do not load, a full disk.
    """
    if not source.is_dir():
        raise StyleSwapError(f"expected a folder of pictures and videos, but {shown(source)} is none; check the path")
    examiner = Examiner(settings, allow_download=allow_download)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / JOURNAL).exists() and any(out.iterdir()):
        raise StyleSwapError(f"{out} is not empty and holds no prepared set; name another folder")
    journal = Journal(out / JOURNAL)
    try:
        _check_settings(journal, source, settings, examiner)
        _scan(journal, source, out)
        _Run(journal, source, out, settings).until_done(examiner, workers)
        return _finish(journal, out, settings, examiner)
    finally:
        journal.close()


def _check_settings(journal: Journal, source: Path, settings: Settings, examiner: Examiner) -> None:
    now = settings.to_dict() | {
        "input": str(source.resolve()),
        "recognizer_sha256": examiner.analyzer.recognizer.sha256,
        "parsing_sha256": file_sha256(settings.parsing) if settings.parsing else "",
        "masks": examiner.mask_origin,
    }
    stored = journal.value("settings")
    if stored is None:
        with journal.transaction():
            journal.set_value("settings", now)
        return
    changed = [f"{name} {stored.get(name)!r} -> {now[name]!r}" for name in now if stored.get(name) != now[name]]
    if changed:
        raise StyleSwapError(
            f"the folder was begun with other settings ({'; '.join(changed)}); use the same ones, or another folder"
        )


def _scan(journal: Journal, source: Path, out: Path) -> None:
    """Take up the files that are not known yet."""
    known = journal.value("settings")["frame_seconds"]
    progress = tqdm(desc="find", unit="file", mininterval=_interval())

    def files() -> Iterator[tuple[bytes, bool, bytes, int]]:
        for found in walk(source, out):
            path = os.fsencode(found.path)
            if not isinstance(found, FoundFile):
                journal.add_obstacle(path, found.sentence)
                _say(found.path, found.sentence)
                continue
            progress.update()
            if journal.has_input(path):
                continue
            count = count_frames(source / found.path, known) if found.is_video else 1
            # A file that lies in no folder is a person of its own.
            yield path, found.is_video, os.fsencode(found.path.parts[0]), count

    with progress, journal.transaction():
        journal.forget_obstacles()
        journal.add_inputs(files())


class _Run:
    """Examining what is left: what the workers find goes into the set and the journal, in the inputs' order."""

    def __init__(self, journal: Journal, source: Path, out: Path, settings: Settings) -> None:
        self._journal, self._source, self._out, self._settings = journal, source, out, settings
        position = journal.position
        self._position = position
        self._writer = SetWriter(out, position, settings.shard_pictures, settings.image_format)
        self._hashes = HashIndex(_mapped_rows(out, position.rows)["hash"])
        self._pending: list[np.ndarray] = []  # embeddings since the last commit, not yet to be read from disk
        self._lines: list[tuple] = []  # what the next commit says about drops
        self._notes: list[tuple[int, str]] = []
        self._people = {}

    def until_done(self, examiner: Examiner, workers: int) -> None:
        """Examine all inputs that are left, in `workers` processes or (1) with `examiner` in this one, and close the last shard.

        What is examined is committed every few seconds, so a killed run loses no more than that.
        """
        journal, position = self._journal, self._position
        done, total = journal.frames_before(position.input), journal.frames_before()
        committed = time.monotonic()
        with tqdm(total=total, initial=done, unit="picture", desc="prepare", mininterval=_interval()) as progress:
            with examining(self._tasks(), self._settings, examiner, workers) as examined:
                for task, outcome in examined:
                    self._keep(task, outcome)
                    # A video's end is no picture of its own.
                    progress.update(0 if task.picture is None and task.frame >= 0 else 1)
                    self._position = position = Position(task.next_input, task.next_frame)
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
        end, count = Outcome(), first
        try:
            for frame in frames(path, self._settings.frame_seconds, first, end.notes.append):
                count = frame.number + 1
                yield Task(number, frame.number, path, frame.picture, number, count)
        except StyleSwapError as error:
            end.drops.append(Drop("unreadable", str(error)))
        yield Task(number, count, path, None, number + 1, 0, end)

    def _keep(self, task: Task, outcome: Outcome) -> None:
        where = task.path.relative_to(self._source)
        for note in outcome.notes:
            self._notes.append((task.input, note))
            _say(where, note)
        for drop in outcome.drops:
            self._lines.append((task.input, task.frame, drop.face, drop.reason, drop.sentence, drop.thumbnail))
            if drop.reason == "unreadable":
                _say(where, drop.sentence)
        for sample in outcome.samples:
            twin = self._twin(sample)
            if twin is not None:
                self._lines.append(
                    (
                        task.input,
                        task.frame,
                        sample.face,
                        "duplicate",
                        f"shows the same as picture {twin}",
                        sample.thumbnail,
                    )
                )
                continue
            self._add(task, where, sample)

    def _add(self, task: Task, where: Path, sample: Sample) -> None:
        person = self._person(task.input)
        quality = sample.quality
        meta = {
            "file": shown(where),
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
            meta["person"] = shown(where.parts[0])
        self._writer.add(sample, {"input": task.input, "frame": task.frame, "person": person}, meta)
        self._hashes.add(sample.hash)
        self._pending.append(sample.id_embedding)

    def _person(self, number: int) -> int:
        # Asked for again and again while a video lasts.
        if number not in self._people:
            self._people = {number: self._journal.input_person(number)}
        return self._people[number]

    def _twin(self, sample: Sample) -> int | None:
        """The picture that shows the same, if there is one in the set."""
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
        width = EMBEDDING_SIZE * 4
        return np.fromfile(self._out / EMBEDDINGS, np.float32, EMBEDDING_SIZE, offset=row * width)

    def _commit(self) -> None:
        # Files first: what the journal says is on the disk, is there.
        good = self._writer.sync()
        self._position = Position(self._position.input, self._position.frame, *good)
        with self._journal.transaction():
            for line in self._lines:
                self._journal.add_drop(*line)
            for note in self._notes:
                self._journal.add_note(*note)
            self._journal.set_value("position", self._position)
        self._lines, self._notes, self._pending = [], [], []


def _finish(journal: Journal, out: Path, settings: Settings, examiner: Examiner) -> Summary:
    """Who is whom, the manifest and the report."""
    count = journal.position.rows
    rows = _mapped_rows(out, count)
    if settings.people == "folders" or not count:
        people = by_folder(rows["person"])
    else:
        embeddings = np.memmap(out / EMBEDDINGS, np.float32, "r", shape=(count, EMBEDDING_SIZE))
        people = cluster(embeddings, settings.likeness, out)
    with atomic_write(out / PEOPLE) as temporary:
        np.save(temporary, people)
    manifest = {
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
        "recognizer": examiner.analyzer.recognizer.name,
        "recognizer_sha256": examiner.analyzer.recognizer.sha256,
        "settings": settings.to_dict(),
    }
    with atomic_write(out / "dropped.tsv") as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in journal.drops():
            place = f"frame {row.frame}" if row.frame >= 0 else ""
            file.write("\t".join([shown(os.fsdecode(row.path)), place, row.reason, row.sentence]) + "\n")
    with atomic_write(out / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    write_report(out, manifest, journal, PreparedSet.open(out) if count else None)
    return Summary(out, manifest)


def _mapped_rows(out: Path, count: int) -> np.ndarray:
    return np.memmap(out / INDEX, ROW, "r", shape=(count,)) if count else np.zeros(0, ROW)


def _say(path: Path, sentence: str) -> None:
    tqdm.write(f"styleswap: {shown(path)} {sentence}", file=sys.stderr)


def _interval() -> float:
    """Seconds between lines of progress: a log file needs fewer than a terminal."""
    return 0.5 if sys.stderr.isatty() else 60.0
