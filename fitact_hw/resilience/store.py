"""Result rows in SQLite (write-ahead log), never mixed: of each network, bound memory, rate and map one after every
slab of images, with all the images up to there. A study can be reported on at the end of any slab that it finished."""

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
CREATE TABLE IF NOT EXISTS parts (
  scheme TEXT NOT NULL, word_bits INTEGER NOT NULL, memory TEXT NOT NULL, rate REAL NOT NULL,
  map INTEGER NOT NULL, images INTEGER NOT NULL, correct INTEGER NOT NULL, weight_flips INTEGER NOT NULL,
  bias_flips INTEGER NOT NULL, bound_flips INTEGER NOT NULL, bound_bytes INTEGER NOT NULL,
  PRIMARY KEY (scheme, word_bits, memory, rate, map, images)) WITHOUT ROWID;
"""
_OLDER = "results"
"""Table of stores that kept only the last row of each map."""


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
        with self._readable():
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            self._take_older()

    def _take_older(self) -> None:
        found = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_OLDER,)).fetchone()
        if found:
            with self._transaction():
                self._connection.execute(f"INSERT OR IGNORE INTO parts SELECT * FROM {_OLDER}")
                self._connection.execute(f"DROP TABLE {_OLDER}")

    def claim(self, name: str, settings: Mapping[str, Any]) -> None:
        """Bind the store to settings called ``name``; the first claim decides.

        Raises GoldenError naming what differs if the store was made with others.
        """
        text = json.dumps(settings, sort_keys=True)
        with self._readable():
            self._connection.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, text))
            kept = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()[0]
            if kept == text:
                return
            old = dict(json.loads(kept))
        differing = [
            f"{key} {old.get(key)} there, {settings.get(key)} here"
            for key in sorted({*old, *settings})
            if old.get(key) != settings.get(key)
        ]
        raise GoldenError(
            f"{self.path} holds results of another {name} ({'; '.join(differing)}): choose another folder or remove it"
        )

    def add(self, rows: Iterable[Row]) -> None:
        """Store rows, all or none. If there is one of the same map and images, both must be equal, else GoldenError."""
        marks = ", ".join("?" * len(COLUMNS))
        with self._readable(), self._transaction():
            for row in rows:
                self._connection.execute(f"INSERT OR IGNORE INTO parts VALUES ({marks})", astuple(row))
                kept = self._connection.execute(
                    "SELECT * FROM parts WHERE (scheme, word_bits, memory, rate, map, images) = (?, ?, ?, ?, ?, ?)",
                    (*row.key, row.images),
                ).fetchone()
                if tuple(kept) != astuple(row):
                    raise GoldenError(f"{self.path}: {row.scheme} map {row.map} was {kept}, is now {astuple(row)}")

    def rows(self) -> list[Row]:
        """Every row, ordered by key and images. Raises GoldenError if one cannot be a result."""
        with self._readable():
            rows = [Row(*row) for row in self._connection.execute(f"SELECT {', '.join(COLUMNS)} FROM parts")]
            for row in rows:
                if not (
                    isinstance(row.correct, int) and isinstance(row.images, int) and 0 <= row.correct <= row.images
                ):
                    raise ValueError(f"{row.correct} of {row.images} images correct")
        return rows

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """A full disk and damage to the database as errors that say what to do."""
        try:
            yield
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                raise GoldenError(f"no room for {self.path}: free some and run the same command again") from None
            raise GoldenError(
                f"{self.path} is no result database, or damaged ({error}): remove it or choose another folder"
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends it as well
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def open_store(folder: Path) -> Iterator[ResultStore]:
    """The store of a result folder, held by this process. Raises GoldenError if another run holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise GoldenError(f"{folder} is no folder: choose another one for the results") from None
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
