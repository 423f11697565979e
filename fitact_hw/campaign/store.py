"""The campaign store: SQLite in write-ahead mode, one row per injection, resumable after any kill."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitact_hw.errors import FitActError

SCHEMA = 1
"""Version of the tables; a store of another version is refused."""

BUSY_SECONDS = 30.0

_TABLES = """
CREATE TABLE IF NOT EXISTS campaign (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS injection (
    scheme TEXT NOT NULL, number INTEGER NOT NULL, image INTEGER NOT NULL, structure TEXT NOT NULL,
    layer TEXT NOT NULL, site TEXT NOT NULL, word INTEGER NOT NULL, bit INTEGER NOT NULL, bits INTEGER NOT NULL,
    cycle INTEGER NOT NULL, event TEXT NOT NULL, outcome TEXT NOT NULL, code INTEGER NOT NULL, cycles INTEGER NOT NULL,
    way TEXT NOT NULL, simulated_cycles INTEGER NOT NULL, top1 INTEGER NOT NULL, logits TEXT NOT NULL,
    violation TEXT NOT NULL,
    PRIMARY KEY (scheme, number)
) STRICT, WITHOUT ROWID;
"""

COLUMNS = (
    "scheme", "number", "image", "structure", "layer", "site", "word", "bit", "bits", "cycle", "event", "outcome",
    "code", "cycles", "way", "simulated_cycles", "top1", "logits", "violation",
)  # fmt: skip


class CampaignError(FitActError):
    """A campaign that cannot be started, resumed or read."""


@dataclass(frozen=True)
class Row:
    """One injection: ``number`` within its ``scheme``; ``event`` is the fault's id, which alone replays it.

    ``site``, ``word``, ``bit`` (lowest flipped) of its first upset; ``bits``: how many flip; ``logits``: JSON list.
    """

    scheme: str
    number: int
    image: int
    structure: str
    layer: str
    site: str
    word: int
    bit: int
    bits: int
    cycle: int
    event: str
    outcome: str
    code: int
    cycles: int
    way: str
    simulated_cycles: int
    top1: int
    logits: str
    violation: str


_CYCLES = COLUMNS.index("cycles")
_TOP_BIT = 1 << 63


def _packed(row: Row) -> tuple[str | int, ...]:
    """The columns of a row. An upset can set bit 63 of the cycle counter; SQLite's integers are signed."""
    values = [getattr(row, name) for name in COLUMNS]
    values[_CYCLES] = (values[_CYCLES] ^ _TOP_BIT) - _TOP_BIT
    return tuple(values)


def _unpacked(values: Sequence[Any]) -> Row:
    """Inverse of :func:`_packed`."""
    fields = list(values)
    fields[_CYCLES] %= 2 * _TOP_BIT
    return Row(*fields)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise CampaignError(f"campaign store {path}: {error}; if it is damaged, move it away and start again") from None


class Store:
    """The store at ``path``. ``create``: make it if it is missing. Raises CampaignError."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise CampaignError(f"{path} does not exist: start a campaign with `fitact campaign run`")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _explained(path):
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, SCHEMA):
                raise CampaignError(
                    f"{path} has table version {version}, this program writes {SCHEMA}: use another OUT="
                )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def claim(self, identity: dict[str, Any]) -> None:
        """Bind an empty store to ``identity``; a store with another one is refused with the names that differ."""
        with _explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                present = self.identity()
                if not present:
                    rows = [(key, json.dumps(value, sort_keys=True)) for key, value in identity.items()]
                    self._db.executemany("INSERT INTO campaign VALUES (?, ?)", rows)
            finally:
                self._db.execute("COMMIT")
        if present:
            plain = json.loads(json.dumps(identity))
            other = sorted(key for key in plain.keys() | present.keys() if plain.get(key) != present.get(key))
            if other:
                raise CampaignError(
                    f"{self.path} belongs to a campaign with other {', '.join(other)}: "
                    "repeat it with the same options and sources, or choose another folder with --out"
                )

    def identity(self) -> dict[str, Any]:
        """What the store is bound to; empty for a new one."""
        return {key: json.loads(value) for key, value in self._db.execute("SELECT key, value FROM campaign")}

    def add(self, rows: Iterable[Row]) -> int:
        """Add rows in one transaction; rows that are there already are left alone. Returns how many were new."""
        values = [_packed(row) for row in rows]
        marks = ", ".join("?" * len(COLUMNS))
        with _explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                before = self._db.total_changes
                self._db.executemany(f"INSERT OR IGNORE INTO injection ({', '.join(COLUMNS)}) VALUES ({marks})", values)
                added = self._db.total_changes - before
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return added

    def present(self) -> set[tuple[str, int]]:
        """(scheme, number) of every stored injection."""
        return set(self._db.execute("SELECT scheme, number FROM injection"))

    def counts(self, *columns: str) -> dict[tuple[str, ...], int]:
        """Injections per combination of the values of ``columns``."""
        names = ", ".join(column for column in columns if column in COLUMNS)
        return {
            tuple(row[:-1]): row[-1]
            for row in self._db.execute(f"SELECT {names}, COUNT(*) FROM injection GROUP BY {names}")
        }

    def rows(self) -> list[Row]:
        """All injections, in the order of their key."""
        names = ", ".join(COLUMNS)
        return [_unpacked(row) for row in self._db.execute(f"SELECT {names} FROM injection ORDER BY scheme, number")]
