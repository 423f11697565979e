"""Result rows in SQLite (write-ahead log), never mixed: of each network, bound memory, rate and map one after every
slab of images, with all the images up to there. A study can be reported on at the end of any slab that it finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from fitact_hw.reporting.sqlite import Database, Format, differing
from golden.errors import GoldenError
from golden.support.files import locked

DATABASE = "resilience.db"
_PARTS = """
CREATE TABLE IF NOT EXISTS parts (
  scheme TEXT NOT NULL, word_bits INTEGER NOT NULL, memory TEXT NOT NULL, rate REAL NOT NULL,
  map INTEGER NOT NULL, images INTEGER NOT NULL, correct INTEGER NOT NULL, weight_flips INTEGER NOT NULL,
  bias_flips INTEGER NOT NULL, bound_flips INTEGER NOT NULL, bound_bytes INTEGER NOT NULL,
  PRIMARY KEY (scheme, word_bits, memory, rate, map, images)) WITHOUT ROWID;
"""
_SETTINGS = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_RUNS = "runs"
"""Key of the records of :mod:`fitact_hw.reporting.provenance` among the settings."""

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


class ResultStore(Database):
    """Rows of one study. Use :func:`open_store`."""

    format = Format(
        name="result database",
        start="run the study",
        error=GoldenError,
        owner=0x46415253,  # "FARS"
        version=1,
        oldest=1,
        tables=_SETTINGS + _PARTS,
        unmarked="settings",
    )

    def upgrade(self, version: int) -> None:
        """From files without a mark, which had a row for each slab or only the last one."""
        self._db.execute("ALTER TABLE settings RENAME COLUMN name TO key")
        self._db.execute(_PARTS)
        if self.select("SELECT 1 FROM sqlite_master WHERE name = ?", _OLDER):
            self._db.execute(f"INSERT OR IGNORE INTO parts SELECT * FROM {_OLDER}")
            self._db.execute(f"DROP TABLE {_OLDER}")

    def claim(self, name: str, settings: Mapping[str, Any]) -> None:
        """Bind the store to settings called ``name``; the first claim decides.

        Raises GoldenError naming what differs if the store was made with others.
        """
        with self.transaction():
            kept = self.values("settings").get(name)
            if kept is None:
                self.put("settings", {name: settings})
                return
        with self.decoded():
            other = [f"{key} {kept.get(key)} there, {settings.get(key)} here" for key in differing(kept, settings)]
        if other:
            raise GoldenError(
                f"{self.path} holds results of another {name} ({'; '.join(other)}): choose another folder or remove it"
            )

    def note_run(self, record: Mapping[str, Any]) -> None:
        """Keep where the results of a run come from; a record of the same start is replaced."""
        with self.transaction():
            others = [one for one in self.runs() if one["started"] != record["started"]]
            self.put("settings", {_RUNS: [*others, record]})

    def runs(self) -> list[dict[str, Any]]:
        """What :meth:`note_run` kept, the oldest first."""
        found: list[dict[str, Any]] = self.values("settings").get(_RUNS, [])
        return found

    def add(self, rows: Iterable[Row]) -> None:
        """Store rows, all or none. If there is one of the same map and images, both must be equal, else GoldenError."""
        names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
        with self.transaction():
            for row in rows:
                self._db.execute(f"INSERT OR IGNORE INTO parts ({names}) VALUES ({marks})", astuple(row))
                [kept] = self.select(
                    f"SELECT {names} FROM parts WHERE (scheme, word_bits, memory, rate, map, images) "
                    "= (?, ?, ?, ?, ?, ?)",
                    *row.key,
                    row.images,
                )
                if tuple(kept) != astuple(row):
                    raise GoldenError(f"{self.path}: {row.scheme} map {row.map} was {kept}, is now {astuple(row)}")

    def rows(self) -> list[Row]:
        """Every row, ordered by key and images. Raises GoldenError if one cannot be a result."""
        with self.decoded():
            rows = [Row(*row) for row in self.select(f"SELECT {', '.join(COLUMNS)} FROM parts")]
            for row in rows:
                if not (
                    isinstance(row.correct, int) and isinstance(row.images, int) and 0 <= row.correct <= row.images
                ):
                    raise ValueError(f"{row.correct} of {row.images} images correct")
        return rows


@contextmanager
def open_store(folder: Path) -> Iterator[ResultStore]:
    """The store of a result folder, held by this process. Raises StoreError if another run holds it."""
    with locked(folder), ResultStore(folder / DATABASE, create=True) as store:
        yield store
