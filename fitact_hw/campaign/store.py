"""The campaign store: SQLite in write-ahead mode, one row per injection, resumable after any kill."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fitact_hw.errors import FitActError

SCHEMA = 2
"""Version of the tables and of what their rows mean; a store of another version is refused."""

APPLICATION_ID = 0x46414354
"""Marks the file as ours ("FACT"), so that no other program's database is ever touched."""

HEADER_BYTES, VERSION_AT, OWNER_AT = 100, 60, 68
"""SQLite's file header: its size, and where user version and application id stand (big endian)."""

BUSY_SECONDS = 30.0

_TABLES = """
CREATE TABLE campaign (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE injection (
    scheme TEXT NOT NULL, number INTEGER NOT NULL, image INTEGER NOT NULL, structure TEXT NOT NULL,
    layer TEXT NOT NULL, site TEXT NOT NULL, word INTEGER NOT NULL, bit INTEGER NOT NULL, bits INTEGER NOT NULL,
    cycle INTEGER NOT NULL, event TEXT NOT NULL, outcome TEXT NOT NULL, code INTEGER NOT NULL, cycles INTEGER NOT NULL,
    way TEXT NOT NULL, simulated_cycles INTEGER NOT NULL, top1 INTEGER NOT NULL, logits TEXT NOT NULL,
    violation TEXT NOT NULL,
    PRIMARY KEY (scheme, number)
) STRICT, WITHOUT ROWID;
"""


STORE = "campaign.sqlite"


def store_path(folder: Path) -> Path:
    """The store of the campaign in ``folder``."""
    return folder / STORE


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

    @property
    def id(self) -> str:
        """How commands name the injection."""
        return f"{self.scheme}-{self.number}"


COLUMNS = tuple(item.name for item in fields(Row))

_CYCLES = COLUMNS.index("cycles")
_TOP_BIT = 1 << 63


def _packed(row: Row) -> tuple[str | int, ...]:
    """The columns of a row. An upset can set bit 63 of the cycle counter; SQLite's integers are signed."""
    values = [getattr(row, name) for name in COLUMNS]
    values[_CYCLES] = (values[_CYCLES] ^ _TOP_BIT) - _TOP_BIT
    return tuple(values)


def _unpacked(values: Sequence[Any]) -> Row:
    """Inverse of :func:`_packed`."""
    columns = list(values)
    columns[_CYCLES] %= 2 * _TOP_BIT
    return Row(*columns)


_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space and resume; what is stored stays",
    sqlite3.SQLITE_IOERR: "the file system failed (full, over quota?): put it right and resume; what is stored stays",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_SECONDS:.0f} s: wait for it, then resume",
    sqlite3.SQLITE_READONLY: "it may not be written: copy the folder to where it may",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the path and its permissions",
}
"""What to do, by SQLite's primary result code."""

_DAMAGED = "the file is damaged or no campaign store: move it away and start again"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _DAMAGED)
        raise CampaignError(f"campaign store {path}: {error}; {advice}") from None


class Store:
    """The store at ``path``, to read; with ``create`` also to write, made if it is missing.

    Raises CampaignError for a missing, damaged or foreign file and for tables of another version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.is_file():
            raise CampaignError(f"{path} does not exist: start a campaign with `fitact campaign run`")
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._check_header()
        with _explained(path):
            self._db = self._connect(create)
            try:
                if create:
                    self._prepare()
                elif not self._check():
                    raise CampaignError(f"{path} is empty: start a campaign with `fitact campaign run`")
            except BaseException:
                self._db.close()
                raise

    def _connect(self, create: bool) -> sqlite3.Connection:
        if create:
            return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        database = sqlite3.connect(uri, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
        try:
            database.execute("SELECT COUNT(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or self._log.exists():
                raise
            # a folder that may not be written: without a log beside it the file alone is whole
            database.close()
            database = sqlite3.connect(f"{uri}&immutable=1", isolation_level=None, uri=True)
        return database

    @property
    def _log(self) -> Path:
        return self.path.with_name(self.path.name + "-wal")

    def _check_header(self) -> None:
        """Look at the file before SQLite does, which may put files beside one that is not ours."""
        header = b""
        if self.path.is_file():
            with self.path.open("rb") as file:
                header = file.read(HEADER_BYTES)
        if len(header) == HEADER_BYTES and header.startswith(b"SQLite format 3"):
            version, owner = (int.from_bytes(header[at : at + 4], "big") for at in (VERSION_AT, OWNER_AT))
            self._check_owner(owner, version)

    def _check(self) -> bool:
        """Whether the file has tables. Raises CampaignError if they are not ours."""
        owner = int(self._db.execute("PRAGMA application_id").fetchone()[0])
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        tables = int(self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0])
        if not tables and not owner:
            return False
        self._check_owner(owner, version)
        return True

    def _check_owner(self, owner: int, version: int) -> None:
        if owner != APPLICATION_ID:
            raise CampaignError(f"{self.path} is no campaign store, or of a first version: choose another folder")
        if version != SCHEMA:
            newer = version > SCHEMA
            raise CampaignError(
                f"{self.path} has table version {version}, this program writes {SCHEMA}: "
                + ("update the program" if newer else "start again in another folder")
            )

    def _prepare(self) -> None:
        """Make the tables of a new file, in one transaction."""
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if not self._check():
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version={SCHEMA}")
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._use_log()

    def _use_log(self) -> None:
        """Write-ahead log. SQLite does not wait by itself when two processes switch it on at once."""
        give_up = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # after some errors SQLite has done it already
            self._db.execute("ROLLBACK")

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        with _explained(self.path):
            self._db.execute(f"BEGIN {kind}")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside is of one moment, whatever a running campaign adds."""
        return self._transaction("DEFERRED")

    def claim(self, identity: dict[str, Any]) -> None:
        """Bind an empty store to ``identity``; a store with another one is refused with the names that differ."""
        with self._transaction("IMMEDIATE"):
            present = self.identity()
            if not present:
                rows = [(key, json.dumps(value, sort_keys=True)) for key, value in identity.items()]
                self._db.executemany("INSERT INTO campaign VALUES (?, ?)", rows)
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
        return {key: json.loads(value) for key, value in self._select("SELECT key, value FROM campaign")}

    def note(self, **facts: Any) -> None:
        """Keep facts about the campaign that are no part of its identity; later ones replace earlier ones."""
        with self._transaction("IMMEDIATE"):
            rows = [(key, json.dumps(value, sort_keys=True)) for key, value in facts.items()]
            self._db.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", rows)

    def facts(self) -> dict[str, Any]:
        """What :meth:`note` kept."""
        return {key: json.loads(value) for key, value in self._select("SELECT key, value FROM fact")}

    def add(self, rows: Iterable[Row]) -> int:
        """Add rows in one transaction; rows that are there already are left alone. Returns how many were new."""
        values = [_packed(row) for row in rows]
        marks = ", ".join("?" * len(COLUMNS))
        with self._transaction("IMMEDIATE"):
            before = self._db.total_changes
            self._db.executemany(f"INSERT OR IGNORE INTO injection ({', '.join(COLUMNS)}) VALUES ({marks})", values)
            return self._db.total_changes - before

    def present(self) -> set[tuple[str, int]]:
        """(scheme, number) of every stored injection."""
        return set(self._select("SELECT scheme, number FROM injection"))

    def counts(self, *columns: str) -> dict[tuple[str, ...], int]:
        """Injections per combination of the values of ``columns``."""
        names = ", ".join(column for column in columns if column in COLUMNS)
        return {
            tuple(row[:-1]): row[-1]
            for row in self._select(f"SELECT {names}, COUNT(*) FROM injection GROUP BY {names}")
        }

    def rows(self) -> list[Row]:
        """All injections, in the order of their key."""
        names = ", ".join(COLUMNS)
        return [_unpacked(row) for row in self._select(f"SELECT {names} FROM injection ORDER BY scheme, number")]

    def row(self, scheme: str, number: int) -> Row | None:
        """One injection."""
        names = ", ".join(COLUMNS)
        found = self._select(f"SELECT {names} FROM injection WHERE scheme = ? AND number = ?", scheme, number)
        return _unpacked(found[0]) if found else None

    def _select(self, query: str, *values: str | int) -> list[Any]:
        with _explained(self.path):
            return self._db.execute(query, values).fetchall()
