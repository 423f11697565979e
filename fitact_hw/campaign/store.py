"""The campaign store: SQLite in write-ahead mode, one row per injection, resumable after any kill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fitact_hw.errors import FitActError
from fitact_hw.reporting.sqlite import Database, Format, differing

SCHEMA = 4
"""Version of the tables."""

ROWS = 2
"""Version of what rows mean, part of a campaign's identity: since tables 2 they have only got more columns."""

_TABLES = """
CREATE TABLE campaign (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE injection (
    scheme TEXT NOT NULL, number INTEGER NOT NULL, image INTEGER NOT NULL, structure TEXT NOT NULL,
    layer TEXT NOT NULL, site TEXT NOT NULL, word INTEGER NOT NULL, bit INTEGER NOT NULL, bits INTEGER NOT NULL,
    cycle INTEGER NOT NULL, event TEXT NOT NULL, outcome TEXT NOT NULL, code INTEGER NOT NULL, cycles INTEGER NOT NULL,
    way TEXT NOT NULL, simulated_cycles INTEGER NOT NULL, top1 INTEGER NOT NULL, logits TEXT NOT NULL,
    violation TEXT NOT NULL, status TEXT, detected INTEGER, corrected_words INTEGER, detected_words INTEGER,
    clamp_hits INTEGER,
    PRIMARY KEY (scheme, number)
) STRICT, WITHOUT ROWID;
"""

_RTL = """
CREATE TABLE rtl (
    scheme TEXT NOT NULL, number INTEGER NOT NULL, difference TEXT NOT NULL,
    PRIMARY KEY (scheme, number)
) STRICT, WITHOUT ROWID;
"""

STORE = "campaign.sqlite"


def store_path(folder: Path) -> Path:
    """The store of the campaign in ``folder``."""
    return folder / STORE


def remove_store(path: Path) -> None:
    """Remove a store that no process has open."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class CampaignError(FitActError):
    """A campaign that cannot be started, resumed or read."""


class OtherCampaignError(CampaignError):
    """A folder that holds another campaign. ``differing``: what is not the same, as text."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.differing = ", ".join(names)
        super().__init__(
            f"{path} belongs to a campaign with other {self.differing}: "
            "repeat it with the same options and sources, or choose another folder with --out"
        )


@dataclass(frozen=True)
class Row:
    """One injection: ``number`` within its ``scheme``; ``event`` is the fault's id, which alone replays it.

    ``site``, ``word``, ``bit`` (lowest flipped) of its first upset; ``bits``: how many flip; ``way``: the
    :class:`~fitact_hw.injection.verdict.Mechanism` that found the outcome; ``logits``: JSON list; ``status``: how the
    run ended (:class:`sim.job.Status`); ``detected`` (1 or 0), ``corrected_words``, ``detected_words``: flag and counts
    of the buffers' protection; these four are None in stores of tables 2, which do not have them. ``clamp_hits``: of
    the whole run, as an alarm of the clamps counts them; None in a machine without one.
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
    status: str | None = None
    detected: int | None = None
    corrected_words: int | None = None
    detected_words: int | None = None
    clamp_hits: int | None = None

    @property
    def id(self) -> str:
        """How commands name the injection."""
        return f"{self.scheme}-{self.number}"


COLUMNS = tuple(item.name for item in fields(Row))

_SINCE_3 = {"status": "TEXT", "detected": "INTEGER", "corrected_words": "INTEGER", "detected_words": "INTEGER"}
"""Columns that tables 2 do not have."""

_SINCE_4 = {"clamp_hits": "INTEGER"}
"""Columns that tables 2 and 3 do not have."""

_CYCLES = COLUMNS.index("cycles")
_TOP_BIT = 1 << 63


def _packed(row: Row) -> tuple[str | int | None, ...]:
    """The columns of a row. An upset can set bit 63 of the cycle counter; SQLite's integers are signed."""
    values = [getattr(row, name) for name in COLUMNS]
    values[_CYCLES] = (values[_CYCLES] ^ _TOP_BIT) - _TOP_BIT
    return tuple(values)


def _unpacked(values: Sequence[Any]) -> Row:
    """Inverse of :func:`_packed`."""
    columns = list(values)
    columns[_CYCLES] %= 2 * _TOP_BIT
    return Row(*columns)


class Store(Database):
    """The store at ``path``, to read; with ``create`` also to write, made if it is missing.

    Raises CampaignError for a missing, damaged or foreign file and for tables of another version.
    """

    format = Format(
        name="campaign store",
        start="start a campaign with `fitact campaign run`",
        error=CampaignError,
        owner=0x46414354,  # "FACT"
        version=SCHEMA,
        oldest=2,
        tables=_TABLES + _RTL,
    )

    def upgrade(self, version: int) -> None:
        """From tables 2 or 3."""
        columns = {**(_SINCE_3 if version < 3 else {}), **_SINCE_4}
        for statement in (
            *(f"ALTER TABLE injection ADD COLUMN {name} {kind}" for name, kind in columns.items()),
            *([_RTL] if version < 3 else []),
        ):
            self._db.execute(statement)

    @property
    def _columns(self) -> str:
        missing = {**(_SINCE_3 if self.version < 3 else {}), **(_SINCE_4 if self.version < 4 else {})}
        return ", ".join("NULL" if name in missing else name for name in COLUMNS)

    def claim(self, identity: dict[str, Any]) -> None:
        """Bind an empty store to ``identity``; a store with another one is refused with the names that differ."""
        with self.transaction():
            present = self.identity()
            if not present:
                self.put("campaign", identity)
        if other := differing(present or identity, identity):
            raise OtherCampaignError(self.path, other)

    def identity(self) -> dict[str, Any]:
        """What the store is bound to; empty for a new one."""
        return self.values("campaign")

    def note(self, **facts: Any) -> None:
        """Keep facts about the campaign that are no part of its identity; later ones replace earlier ones."""
        with self.transaction():
            self.put("fact", facts)

    def note_of(self, scheme: str, **facts: Any) -> None:
        """Keep facts of one scheme: each under its name, by scheme."""
        with self.transaction():
            known = self.facts()
            self.put("fact", {name: {**known.get(name, {}), scheme: value} for name, value in facts.items()})

    def facts(self) -> dict[str, Any]:
        """What :meth:`note` and :meth:`note_of` kept."""
        return self.values("fact")

    def add(self, rows: Iterable[Row]) -> int:
        """Add rows in one transaction; rows that are there already are left alone. Returns how many were new."""
        with self.transaction():
            return self._insert(rows)

    def _insert(self, rows: Iterable[Row]) -> int:
        values = [_packed(row) for row in rows]
        marks = ", ".join("?" * len(COLUMNS))
        before = self._db.total_changes
        self._db.executemany(f"INSERT OR IGNORE INTO injection ({', '.join(COLUMNS)}) VALUES ({marks})", values)
        return self._db.total_changes - before

    def take(
        self,
        identity: Mapping[str, Any],
        facts: Mapping[str, Any],
        rows: Iterable[Row],
        rtl: Mapping[tuple[str, int], str],
    ) -> int:
        """Put all of another store into this one, in the transaction of the caller; returns how many rows were new."""
        self.put("campaign", identity)
        self.put("fact", facts)
        self._insert_rtl(rtl)
        return self._insert(rows)

    def present(self) -> set[tuple[str, int]]:
        """(scheme, number) of every stored injection."""
        return set(self.select("SELECT scheme, number FROM injection"))

    def counts(self, *columns: str) -> dict[tuple[str, ...], int]:
        """Injections per combination of the values of ``columns``."""
        names = ", ".join(column for column in columns if column in COLUMNS)
        return {
            tuple(row[:-1]): row[-1] for row in self.select(f"SELECT {names}, COUNT(*) FROM injection GROUP BY {names}")
        }

    def rows(self) -> list[Row]:
        """All injections, in the order of their key."""
        return [_unpacked(row) for row in self.select(f"SELECT {self._columns} FROM injection ORDER BY scheme, number")]

    def row(self, scheme: str, number: int) -> Row | None:
        """One injection."""
        found = self.select(f"SELECT {self._columns} FROM injection WHERE scheme = ? AND number = ?", scheme, number)
        return _unpacked(found[0]) if found else None

    def find(self, fault: str) -> Row:
        """The injection called ``fault``: fitact-3, or fitact-0003. Raises CampaignError if there is none."""
        match = re.fullmatch(r"(.+)-(\d+)", fault)
        row = self.row(match[1], int(match[2])) if match else None
        if row is None:
            raise CampaignError(f"{self.path} has no injection {fault!r}: names are like fitact-17, see its report")
        return row

    def add_rtl(self, differences: Mapping[tuple[str, int], str]) -> None:
        """Keep what plain RTL runs of the injections (scheme, number) said against their rows, "" for nothing."""
        with self.transaction():
            self._insert_rtl(differences)

    def _insert_rtl(self, differences: Mapping[tuple[str, int], str]) -> None:
        rows = [(*key, text) for key, text in differences.items()]
        self._db.executemany("INSERT OR REPLACE INTO rtl VALUES (?, ?, ?)", rows)

    def rtl(self) -> dict[tuple[str, int], str]:
        """What :meth:`add_rtl` kept."""
        if self.version < 3:
            return {}
        return {(scheme, number): text for scheme, number, text in self.select("SELECT * FROM rtl")}
