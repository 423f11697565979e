"""Files on disk: written whole or not at all, result folders held by one run at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from golden.errors import StoreError

LOCK = ".lock"


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A stream that becomes ``path`` at the end of the block, in a folder made if need be.

    The file is the old one or the whole new one, whatever ends the process; an exception in the block leaves the old
    one. ``durable``: the content is on the disk before the old one goes. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, see :func:`replacing`."""
    with replacing(path) as stream:
        stream.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, and on the disk."""
    with replacing(path, durable=True) as stream:
        stream.write((json.dumps(value, indent=1) + "\n").encode())


def beside(path: Path) -> Path:
    """The JSON file beside a page or table that says where it comes from: ``lanes.md.json`` of ``lanes.md``."""
    return path.with_name(f"{path.name}.json")


def read_json(path: Path) -> Any:
    """Read JSON. Raises StoreError naming the file and what to do."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist: run `make sim` first or name another folder") from None
    except json.JSONDecodeError:
        raise StoreError(f"{path} is damaged: remove it and run `make sim` again") from None


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Create ``folder`` and hold it for this process. Raises StoreError if another run holds it or it is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise StoreError(f"{folder} is no folder: choose another one for the results") from None
    with (folder / LOCK).open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read().strip() or "unknown"
            raise StoreError(
                f"another run (process {owner}) is using {folder}: wait for it or take another with --out (make: OUT=)"
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold ``folder`` while several of its files change together; waits for another writer.

    The kernel drops the lock when the process dies. Independent of :func:`locked`; leaves no file. Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
