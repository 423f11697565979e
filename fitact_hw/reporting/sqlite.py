"""SQLite files of studies: known by their header, opened to read or to write, with errors that say what to do."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from golden.errors import UserError

HEADER_BYTES, VERSION_AT, OWNER_AT = 100, 60, 68
"""SQLite's file header: its size, and where user version and application id stand (big endian)."""

BUSY_SECONDS = 30.0

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space and resume; what is stored stays",
    sqlite3.SQLITE_IOERR: "the file system failed (full, over quota?): put it right and resume; what is stored stays",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_SECONDS:.0f} s: wait for it, then resume",
    sqlite3.SQLITE_READONLY: "it may not be written: copy the folder to where it may",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the path and its permissions",
}
"""What to do, by SQLite's primary result code."""


@dataclass(frozen=True)
class Format:
    """A kind of file.

    ``name`` and ``start`` (how to make one) are for messages, ``error`` is what they are raised as. ``owner``: SQLite's
    application id, so that no other program's file is ever touched; ``version``: of the tables; ``oldest``: version
    that is still read. ``tables``: statements that make them. ``unmarked``: a table by which files from before they
    were marked (owner 0) are known; they count as version 0.
    """

    name: str
    start: str
    error: type[UserError]
    owner: int
    version: int
    oldest: int
    tables: str
    unmarked: str = ""


class Database:
    """The file at ``path``, to read; with ``create`` also to write, made if it is missing, brought to the present
    version if it is older; ``version`` is that of its tables. Tables of names and JSON values have the columns ``key``
    and ``value``.

    Raises the format's error for a missing, damaged or foreign file and for tables of an unknown version.
    """

    format: ClassVar[Format]

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.is_file():
            raise self.error(f"{path} does not exist: {self.format.start}")
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._check_header()
        with self.explained():
            self._db = self._connect(create)
            try:
                if create:
                    self._prepare()
                version = self._found_version()
                if version is None:
                    raise self.error(f"{path} is empty: {self.format.start}")
                self.version = version
            except BaseException:
                self._db.close()
                raise

    def error(self, text: str) -> UserError:
        """An error about the file."""
        return self.format.error(text)

    def upgrade(self, version: int) -> None:
        """Change tables of the older ``version`` to the present one, in the transaction of the caller."""
        raise NotImplementedError(f"{self.format.name} of version {version}")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """SQLite's errors as the format's, with what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._about(error, _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")) from None

    @contextmanager
    def decoded(self) -> Iterator[None]:
        """For reading what the file holds: values that cannot be are damage, too."""
        try:
            with self.explained():
                yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._about(error, "") from None

    def _about(self, error: Exception, advice: str) -> UserError:
        name = self.format.name
        advice = advice or f"the file is damaged or no {name}: move it away and start again"
        return self.error(f"{name} {self.path}: {error}; {advice}")

    def _connect(self, create: bool) -> sqlite3.Connection:
        if create:
            return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        database = sqlite3.connect(uri, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
        try:
            database.execute("SELECT COUNT(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            log = self.path.with_name(self.path.name + "-wal")
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or log.exists():
                raise
            # a folder that may not be written: without a log beside it the file alone is whole
            database.close()
            database = sqlite3.connect(f"{uri}&immutable=1", isolation_level=None, uri=True)
        return database

    def _check_header(self) -> None:
        """Look at the file before SQLite does, which may put files beside one that is not ours."""
        header = b""
        if self.path.is_file():
            with self.path.open("rb") as file:
                header = file.read(HEADER_BYTES)
        if len(header) == HEADER_BYTES and header.startswith(b"SQLite format 3"):
            version, owner = (int.from_bytes(header[at : at + 4], "big") for at in (VERSION_AT, OWNER_AT))
            if owner or not self.format.unmarked:
                self._check_owner(owner, version)

    def _found_version(self) -> int | None:
        """Version of the tables, None if there are none. Raises the format's error if they are not ours."""
        owner, version = (
            int(self._db.execute(f"PRAGMA {n}").fetchone()[0]) for n in ("application_id", "user_version")
        )
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
        if not owner and not tables:
            return None
        if not owner and self.format.unmarked in tables:
            return 0
        self._check_owner(owner, version)
        return version

    def _check_owner(self, owner: int, version: int) -> None:
        form = self.format
        if owner != form.owner:
            raise self.error(f"{self.path} is no {form.name}, or of a first version: choose another folder")
        if not form.oldest <= version <= form.version:
            raise self.error(
                f"{self.path} has table version {version}, this program writes {form.version}: "
                + ("update the program" if version > form.version else "start again in another folder")
            )

    def _prepare(self) -> None:
        """Make the tables of a new file, or change those of an older one, in one transaction."""
        self._db.execute("PRAGMA synchronous=NORMAL")
        with self._transaction("IMMEDIATE"):
            version = self._found_version()
            if version != self.format.version:
                if version is None:
                    for statement in filter(str.strip, self.format.tables.split(";")):
                        self._db.execute(statement)
                else:
                    self.upgrade(version)
                self._db.execute(f"PRAGMA application_id={self.format.owner}")
                self._db.execute(f"PRAGMA user_version={self.format.version}")
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

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # after some errors SQLite has ended it already
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """All that is written inside, or nothing."""
        with self.explained(), self._transaction(kind):
            yield

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside is of one moment, whatever another process adds."""
        return self.transaction("DEFERRED")

    def select(self, query: str, *values: Any) -> list[Any]:
        """Rows of a query."""
        with self.explained():
            return self._db.execute(query, values).fetchall()

    def values(self, table: str) -> dict[str, Any]:
        """Names and values of ``table``."""
        with self.decoded():
            return {key: json.loads(value) for key, value in self.select(f"SELECT key, value FROM {table}")}

    def put(self, table: str, values: Mapping[str, Any]) -> None:
        """Write values; later ones replace earlier ones. Within a transaction."""
        rows = [(key, json.dumps(value, sort_keys=True)) for key, value in values.items()]
        self._db.executemany(f"INSERT OR REPLACE INTO {table} (key, value) VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Names whose values, as JSON, are not the same in both."""
    plain = json.loads(json.dumps(here))
    return sorted(key for key in plain.keys() | there.keys() if plain.get(key) != there.get(key))
