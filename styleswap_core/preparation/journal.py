"""Journal of a preparation: an SQLite file whose commits are the points from which a killed run continues.

It stores the inputs in their order, what was dropped and noted, and how much of the set's files is valid. It is on
disk, so that memory does not grow with the number of pictures.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StyleSwapError

_EXAMPLES = 12
"""Maximum number of thumbnails per reason."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS values_ (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS inputs (id INTEGER PRIMARY KEY, path BLOB UNIQUE NOT NULL, video INTEGER NOT NULL,
                                   person INTEGER NOT NULL, frames INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS drops (id INTEGER PRIMARY KEY, input INTEGER, path BLOB, frame INTEGER, face INTEGER,
                                  reason TEXT NOT NULL, sentence TEXT NOT NULL, thumbnail BLOB);
CREATE INDEX IF NOT EXISTS drops_by_reason ON drops (reason);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, input INTEGER NOT NULL, sentence TEXT NOT NULL);
"""


class Input(NamedTuple):
    """A file to examine.

    Attributes:
        id: Numbered from 1.
        path: Relative to the input folder, as bytes.
        is_video: Whether it is a video.
        person: Number of its first-level folder.
        frames: Expected number of frames; 1 for a picture.
    """

    id: int
    path: bytes
    is_video: bool
    person: int
    frames: int


class Position(NamedTuple):
    """How far a set is complete.

    Attributes:
        input: Number of the next input.
        frame: The next frame of that input.
        shard: Number of the unfinished shard.
        shard_bytes: Its valid bytes.
        shard_rows: Its pictures.
        rows: Pictures of all shards.
    """

    input: int = 1
    frame: int = 0
    shard: int = 0
    shard_bytes: int = 0
    shard_rows: int = 0
    rows: int = 0


class DropRow(NamedTuple):
    """Record of something that was left out."""

    path: bytes
    frame: int
    face: int
    reason: str
    sentence: str


class Journal:
    """The journal of one folder, open in one process.

    Raises:
        StyleSwapError: Another process has it open, the file is damaged, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        except sqlite3.Error as error:
            raise StyleSwapError(f"cannot write {path} ({error}); make room, or choose another folder") from error
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("BEGIN EXCLUSIVE")  # the lock stays until `close`
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" not in str(error):
                raise StyleSwapError(
                    f"cannot write {path} ({error}); make room on the disk, or choose another folder"
                ) from error
            raise StyleSwapError(
                f"{path.parent} is in use by another `styleswap prepare` ({error}); wait until it ends"
            ) from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StyleSwapError(f"{path} is damaged ({error}); delete the folder and prepare it again") from error
        self._examples = dict(
            self._db.execute("SELECT reason, COUNT(*) FROM drops WHERE thumbnail IS NOT NULL GROUP BY reason")
        )

    def close(self) -> None:
        """Close the file and release the lock."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Context in which either all changes are committed or none.

        Raises:
            StyleSwapError: The disk is full or failed.
        """
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StyleSwapError(
                f"cannot write the journal ({error}); make room on the disk and run the same command again"
            ) from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def value(self, key: str) -> Any:
        """A stored JSON value; None if there is none."""
        row = self._db.execute("SELECT value FROM values_ WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_value(self, key: str, value: Any) -> None:
        """Store a JSON value."""
        self._db.execute("INSERT OR REPLACE INTO values_ VALUES (?, ?)", (key, json.dumps(value)))

    @property
    def position(self) -> Position:
        """The position of the last commit."""
        return Position(*(self.value("position") or Position()))

    def add_inputs(self, found: Iterable[tuple[bytes, bool, bytes, int]]) -> None:
        """Append new files (path, is video, person's name, frames) sorted by path; call it in a transaction."""
        # SQLite sorts on disk, since a folder may contain millions of files.
        self._db.execute("CREATE TEMP TABLE found (path BLOB, video INTEGER, name BLOB, frames INTEGER)")
        self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?)", found)
        self._db.execute("INSERT OR IGNORE INTO people (name) SELECT DISTINCT name FROM found ORDER BY name")
        self._db.execute(
            "INSERT OR IGNORE INTO inputs (path, video, person, frames) "
            "SELECT path, video, people.id, frames FROM found JOIN people USING (name) ORDER BY path"
        )
        self._db.execute("DROP TABLE found")

    def has_input(self, path: bytes) -> bool:
        """Whether a file is known."""
        return self._db.execute("SELECT 1 FROM inputs WHERE path = ?", (path,)).fetchone() is not None

    def inputs(self, first: int) -> Iterator[Input]:
        """The inputs from number `first` on, in order; other statements may run in between."""
        while rows := self._db.execute("SELECT * FROM inputs WHERE id >= ? ORDER BY id LIMIT 256", (first,)).fetchall():
            yield from (Input(*row) for row in rows)
            first = rows[-1][0] + 1

    def input_person(self, number: int) -> int:
        """Number of the first-level folder of an input."""
        return self._db.execute("SELECT person FROM inputs WHERE id = ?", (number,)).fetchone()[0]

    def frames_before(self, first: int | None = None) -> int:
        """Number of pictures and frames before input `first`; of all inputs if it is None."""
        where, values = ("WHERE id < ?", (first,)) if first is not None else ("", ())
        return self._db.execute(f"SELECT COALESCE(SUM(frames), 0) FROM inputs {where}", values).fetchone()[0]

    def person_names(self) -> dict[int, bytes]:
        """Names of first-level folders by number."""
        return dict(self._db.execute("SELECT id, name FROM people"))

    def forget_obstacles(self) -> None:
        """Delete the records of `add_obstacle`; every walk through the input folder adds them again."""
        self._db.execute("DELETE FROM drops WHERE input IS NULL")

    def add_obstacle(self, path: bytes, sentence: str) -> None:
        """Record something that is not an input."""
        self._db.execute(
            "INSERT INTO drops (path, frame, face, reason, sentence) VALUES (?, -1, -1, 'unreadable', ?)",
            (path, sentence),
        )

    def add_drop(self, number: int, frame: int, face: int, reason: str, sentence: str, thumbnail: bytes | None) -> None:
        """Record a dropped picture or face of an input; only the first thumbnails of each reason are stored."""
        if thumbnail is not None:
            self._examples[reason] = self._examples.get(reason, 0) + 1
            thumbnail = thumbnail if self._examples[reason] <= _EXAMPLES else None
        self._db.execute(
            "INSERT INTO drops (input, frame, face, reason, sentence, thumbnail) VALUES (?, ?, ?, ?, ?, ?)",
            (number, frame, face, reason, sentence, thumbnail),
        )

    def add_note(self, number: int, sentence: str) -> None:
        """Record a remark about an input that is used nonetheless."""
        self._db.execute("INSERT INTO notes (input, sentence) VALUES (?, ?)", (number, sentence))

    def counts(self) -> dict[str, int]:
        """Number of drops by reason, most frequent first."""
        return dict(self._db.execute("SELECT reason, COUNT(*) FROM drops GROUP BY reason ORDER BY 2 DESC, 1"))

    def input_count(self, videos: bool) -> int:
        """Number of videos, or of all other inputs."""
        return self._db.execute("SELECT COUNT(*) FROM inputs WHERE video = ?", (int(videos),)).fetchone()[0]

    def drops(self, reason: str | None = None, limit: int = -1) -> Iterator[DropRow]:
        """Drops in chronological order, of one reason or of all."""
        where, values = ("WHERE reason = ?", (reason,)) if reason else ("", ())
        rows = self._db.execute(
            "SELECT COALESCE(drops.path, inputs.path), frame, face, reason, sentence FROM drops "
            f"LEFT JOIN inputs ON inputs.id = drops.input {where} ORDER BY drops.id LIMIT ?",
            (*values, limit),
        )
        return (DropRow(*row) for row in rows)

    def notes(self, limit: int = -1) -> Iterator[tuple[bytes, str]]:
        """(path, sentence) of each note."""
        return iter(
            self._db.execute(
                "SELECT path, sentence FROM notes JOIN inputs ON inputs.id = notes.input ORDER BY notes.id LIMIT ?",
                (limit,),
            )
        )

    def thumbnails(self, reason: str) -> list[tuple[bytes, str]]:
        """(JPEG, sentence) of examples of a reason."""
        return self._db.execute(
            "SELECT thumbnail, sentence FROM drops WHERE reason = ? AND thumbnail IS NOT NULL ORDER BY id LIMIT ?",
            (reason, _EXAMPLES),
        ).fetchall()
