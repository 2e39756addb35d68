"""What a preparation has done: one SQLite file, whose commits are the moments at which a killed run goes on.

It holds the inputs in their order, what was dropped and noted, and how far the files of the set are good. On disk, so
that memory does not grow with the number of pictures.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StyleSwapError

_EXAMPLES = 12
"""Thumbnails kept of each reason."""

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
    """A file of the set: `path` from the input folder as bytes, `person` the number of its first-level folder's name."""

    id: int
    path: bytes
    is_video: bool
    person: int
    frames: int


class Position(NamedTuple):
    """How far a set is good: the next input and frame to do, the shard that is written, its good bytes, all pictures."""

    input: int = 1
    frame: int = 0
    shard: int = 0
    shard_bytes: int = 0
    shard_rows: int = 0
    rows: int = 0


class DropRow(NamedTuple):
    """One line about what was left out."""

    path: bytes
    frame: int
    face: int
    reason: str
    sentence: str


class Journal:
    """The journal of one folder, open for one process.

    Raises:
        StyleSwapError: another process works on the folder, or the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("BEGIN EXCLUSIVE")  # kept from here on: a second process is refused
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StyleSwapError(
                f"{path.parent} is in use by another `styleswap prepare` ({error}); wait for its end"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StyleSwapError(f"{path} is damaged ({error}); delete the folder and prepare it again") from error
        self._examples = dict(
            self._db.execute("SELECT reason, COUNT(*) FROM drops WHERE thumbnail IS NOT NULL GROUP BY reason")
        )

    def close(self) -> None:
        """Let other processes at the folder."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside become good together, or none.

        Raises:
            StyleSwapError: the disk is full, or failed.
        """
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StyleSwapError(
                f"cannot write the journal ({error}); make room, and run the same command again"
            ) from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def value(self, key: str) -> Any:
        """A stored value, or None."""
        row = self._db.execute("SELECT value FROM values_ WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_value(self, key: str, value: Any) -> None:
        """Store a value that JSON can hold."""
        self._db.execute("INSERT OR REPLACE INTO values_ VALUES (?, ?)", (key, json.dumps(value)))

    @property
    def position(self) -> Position:
        """Where to go on."""
        return Position(*(self.value("position") or Position()))

    def add_inputs(self, found: Iterable[tuple[bytes, bool, bytes, int]]) -> None:
        """Append files (path, is video, person's name, frames) that are new, in order of their paths; in a transaction."""
        # Sorted by SQLite, on disk: a folder may hold millions.
        self._db.execute("CREATE TEMP TABLE found (path BLOB, video INTEGER, name BLOB, frames INTEGER)")
        self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?)", found)
        self._db.execute("INSERT OR IGNORE INTO people (name) SELECT DISTINCT name FROM found ORDER BY name")
        self._db.execute(
            "INSERT OR IGNORE INTO inputs (path, video, person, frames) SELECT path, video, people.id, frames FROM found "
            "JOIN people USING (name) ORDER BY path"
        )
        self._db.execute("DROP TABLE found")

    def has_input(self, path: bytes) -> bool:
        """Whether a file is known."""
        return self._db.execute("SELECT 1 FROM inputs WHERE path = ?", (path,)).fetchone() is not None

    def inputs(self, first: int) -> Iterator[Input]:
        """The inputs from number `first` on, in order. Other statements may run meanwhile."""
        while rows := self._db.execute("SELECT * FROM inputs WHERE id >= ? ORDER BY id LIMIT 256", (first,)).fetchall():
            yield from (Input(*row) for row in rows)
            first = rows[-1][0] + 1

    def input_person(self, number: int) -> int:
        """The number of the folder that an input lies in."""
        return self._db.execute("SELECT person FROM inputs WHERE id = ?", (number,)).fetchone()[0]

    def frames_before(self, first: int | None = None) -> int:
        """Pictures to look at before input `first`, videos by their frames; of all inputs without it."""
        where, values = ("WHERE id < ?", (first,)) if first is not None else ("", ())
        return self._db.execute(f"SELECT COALESCE(SUM(frames), 0) FROM inputs {where}", values).fetchone()[0]

    def person_names(self) -> dict[int, bytes]:
        """Names of first-level folders by their number."""
        return dict(self._db.execute("SELECT id, name FROM people"))

    def forget_obstacles(self) -> None:
        """Remove the lines of `add_obstacle`: each walk through the input folder tells them anew."""
        self._db.execute("DELETE FROM drops WHERE input IS NULL")

    def add_obstacle(self, path: bytes, sentence: str) -> None:
        """A line about something that never became an input."""
        self._db.execute(
            "INSERT INTO drops (path, frame, face, reason, sentence) VALUES (?, -1, -1, 'unreadable', ?)",
            (path, sentence),
        )

    def add_drop(self, number: int, frame: int, face: int, reason: str, sentence: str, thumbnail: bytes | None) -> None:
        """A line about an input's picture or face; thumbnails are kept of the first few of each reason."""
        if thumbnail is not None:
            self._examples[reason] = self._examples.get(reason, 0) + 1
            thumbnail = thumbnail if self._examples[reason] <= _EXAMPLES else None
        self._db.execute(
            "INSERT INTO drops (input, frame, face, reason, sentence, thumbnail) VALUES (?, ?, ?, ?, ?, ?)",
            (number, frame, face, reason, sentence, thumbnail),
        )

    def add_note(self, number: int, sentence: str) -> None:
        """A line about an input that is used all the same."""
        self._db.execute("INSERT INTO notes (input, sentence) VALUES (?, ?)", (number, sentence))

    def counts(self) -> dict[str, int]:
        """How often each reason occurred, most frequent first."""
        return dict(self._db.execute("SELECT reason, COUNT(*) FROM drops GROUP BY reason ORDER BY 2 DESC, 1"))

    def input_count(self, videos: bool) -> int:
        """Number of videos, or of the other files."""
        return self._db.execute("SELECT COUNT(*) FROM inputs WHERE video = ?", (int(videos),)).fetchone()[0]

    def drops(self, reason: str | None = None, limit: int = -1) -> Iterator[DropRow]:
        """Lines in order of their happening, of one reason or all."""
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
