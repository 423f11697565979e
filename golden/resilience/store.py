"""Result rows in SQLite (write-ahead log): one per network, bound memory, rate and map; never mixed."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from golden.errors import GoldenError

DATABASE = "resilience.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
  scheme TEXT NOT NULL, word_bits INTEGER NOT NULL, memory TEXT NOT NULL, rate REAL NOT NULL,
  map INTEGER NOT NULL, images INTEGER NOT NULL, correct INTEGER NOT NULL, weight_flips INTEGER NOT NULL,
  bias_flips INTEGER NOT NULL, bound_flips INTEGER NOT NULL, bound_bytes INTEGER NOT NULL,
  PRIMARY KEY (scheme, word_bits, memory, rate, map)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Row:
    """Outcome of one fault map: ``correct`` of ``images``. ``memory`` says whether the bounds were in faulty
    or protected memory; rate 0 with map 0 is the fault-free network. ``bound_bytes``: bound storage."""

    scheme: str
    word_bits: int
    memory: str
    rate: float
    map: int
    images: int
    correct: int
    weight_flips: int
    bias_flips: int
    bound_flips: int
    bound_bytes: int

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, 0..1."""
        return self.correct / self.images

    @property
    def key(self) -> Key:
        """What identifies a row in a study."""
        return self.scheme, self.word_bits, self.memory, self.rate, self.map

    def plus(self, other: Row) -> Row:
        """With the results of the same network and map on further images. Raises GoldenError for another."""
        both = replace(self, images=self.images + other.images, correct=self.correct + other.correct)
        if replace(both, images=other.images, correct=other.correct) != other:
            raise GoldenError(f"{self.scheme} map {self.map} was {astuple(self)}, is now {astuple(other)}")
        return both


Key = tuple[str, int, str, float, int]
COLUMNS = tuple(field.name for field in fields(Row))


class ResultStore:
    """Rows of one study. Use :func:`open_store`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise GoldenError(f"{path} is no result database ({error}): remove it or choose another folder") from None

    def claim(self, name: str, settings: Mapping[str, Any]) -> None:
        """Bind the store to settings called ``name``; the first claim decides.

        Raises GoldenError naming what differs if the store was made with others.
        """
        text = json.dumps(settings, sort_keys=True)
        self._connection.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, text))
        kept = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()[0]
        if kept == text:
            return
        old = json.loads(kept)
        differing = [
            f"{key} {old.get(key)} there, {settings.get(key)} here"
            for key in sorted({*old, *settings})
            if old.get(key) != settings.get(key)
        ]
        raise GoldenError(
            f"{self.path} holds results of another {name} ({'; '.join(differing)}): choose another folder or remove it"
        )

    def add(self, rows: Iterable[Row]) -> None:
        """Store rows, all or none. A row replaces one of fewer images; if its key exists with as many or more, both
        must be equal, else GoldenError."""
        marks = ", ".join("?" * len(COLUMNS))
        update = (
            f"INSERT INTO results VALUES ({marks}) ON CONFLICT DO UPDATE "
            "SET images = excluded.images, correct = excluded.correct WHERE excluded.images > images"
        )
        with self._transaction():
            for row in rows:
                self._connection.execute(update, astuple(row))
                kept = self._connection.execute(
                    "SELECT * FROM results WHERE (scheme, word_bits, memory, rate, map) = (?, ?, ?, ?, ?)", row.key
                ).fetchone()
                if tuple(kept) != astuple(row):
                    raise GoldenError(f"{self.path}: {row.scheme} map {row.map} was {kept}, is now {astuple(row)}")

    def rows(self) -> list[Row]:
        """Every row, ordered by key."""
        return [Row(*row) for row in self._connection.execute("SELECT * FROM results")]

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def open_store(folder: Path) -> Iterator[ResultStore]:
    """The store of a result folder, held by this process. Raises GoldenError if another run holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".resilience.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise GoldenError(
                f"another run (process {owner}) writes to {folder}: wait for it or choose another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        store = ResultStore(folder / DATABASE)
        try:
            yield store
        finally:
            store.close()
