"""The cache of everything that is compiled here: simulators with their engines, and benches of single cells.

`<build root>/<place>/<name>-<hash>/` holds one build. The hash covers all that goes into it, so a changed input is
another folder. `stamp.json` is written last: a folder without it is never used. A lock beside the folder is held by
who builds it (alone) and by who uses it (together).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.support.files import write_text
from golden.support.folders import BUILD, build_root
from sim.errors import SimulationError

Note = Callable[[str], None]
"""Receives one-line messages for the user."""

STAMP = "stamp.json"
LOG_LINES = 6

KEPT = 4
"""Builds of one name that stay when another is made, the last used ones: branches of a source tree take turns."""


def silent(_: str) -> None:
    """A note that nobody reads."""


@dataclass(frozen=True)
class Entry:
    """One build: ``products`` are the files in ``folder`` that it is made for, ``digest`` stands for its inputs."""

    folder: Path
    digest: str
    products: tuple[str, ...]

    def is_whole(self) -> bool:
        """Whether the build is finished: its stamp names the inputs and the sizes of the products."""
        try:
            stamp = json.loads((self.folder / STAMP).read_text())
            return bool(stamp == self._stamp())
        except (OSError, ValueError):
            return False

    def finish(self) -> None:
        """Say that the build is finished."""
        write_text(self.folder / STAMP, json.dumps(self._stamp()))

    def _stamp(self) -> dict[str, Any]:
        return {"inputs": self.digest, "bytes": {name: (self.folder / name).stat().st_size for name in self.products}}


def digest_of(content: Any) -> str:
    """Hash of anything that JSON can write."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def entry(place: str, name: str, inputs: Mapping[str, Any], products: Sequence[str]) -> Entry:
    """The build `<place>/<name>` of ``inputs``, whether it is there or not."""
    digest = digest_of(inputs)
    return Entry(build_root() / place / f"{name}-{digest}", digest, tuple(products))


def obtain(wanted: Entry, make: Callable[[Path], None], what: str, note: Note = print) -> Entry:
    """``wanted``, made by ``make(folder)`` if it is not there yet; ``what`` says in a note what is built.

    ``make`` finds an empty folder, and leaves there what shall stay. Two processes at the same time: the second waits
    with a note. Raises SimulationError for a path that make refuses, and what ``make`` raises.
    """
    if wanted.is_whole():
        _mark_used(wanted)
        return wanted
    if any(character.isspace() for character in str(wanted.folder)):
        place = wanted.folder
        raise SimulationError(f"make cannot build in a path with spaces: set {BUILD} to a folder without ({place})")
    with _locked(_lock(wanted.folder), shared=False, note=note):
        if not wanted.is_whole():
            started = time.monotonic()
            note(f"building {what} ...")
            shutil.rmtree(wanted.folder, ignore_errors=True)
            wanted.folder.mkdir(parents=True)
            make(wanted.folder)
            wanted.finish()
            note(f"built in {time.monotonic() - started:.0f} s")
    _drop_older(wanted)
    return wanted


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """While this is held no other process removes the build in ``folder``."""
    with _locked(_lock(folder), shared=True, note=silent):
        yield


def keep_whole(target: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder ``target`` by ``fill(folder)``: it appears whole or not at all. Nothing if it is there."""
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    try:
        fill(part)
        with contextlib.suppress(OSError):  # another process was faster
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def log_tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log on one line, with its path."""
    try:
        text = log.read_text(errors="replace").strip().splitlines()[-lines:]
    except OSError:
        text = ["(no log)"]
    return " | ".join(line.strip() for line in text) + f" [{log}]"


def _lock(folder: Path) -> Path:
    """The lock file beside the folder of a build."""
    return folder.with_name(folder.name + ".lock")


@contextlib.contextmanager
def _locked(path: Path, shared: bool, note: Note) -> Iterator[None]:
    """Hold a lock on ``path`` (created if missing); says so once when it has to wait for another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except OSError:
            note(f"waiting for another process that builds {path.parent.name}/{path.stem}")
            fcntl.flock(lock, mode)
        yield


def _mark_used(taken: Entry) -> None:
    with contextlib.suppress(OSError):  # a build that others own serves as well
        os.utime(taken.folder / STAMP)


def _drop_older(kept: Entry) -> None:
    """Remove builds of the same name with other inputs that no process uses, but for the last used ones."""
    name = kept.folder.name.rpartition("-")[0]
    others = [
        path
        for path in kept.folder.parent.glob(f"{name}-*")
        if path.is_dir() and path.name.rpartition("-")[0] == name and path != kept.folder
    ]
    for folder in sorted(others, key=_last_use, reverse=True)[KEPT - 1 :]:
        with _lock(folder).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # still in use
            shutil.rmtree(folder, ignore_errors=True)


def _last_use(folder: Path) -> float:
    """When a build was last asked for; 0 for one that was never finished."""
    try:
        return (folder / STAMP).stat().st_mtime
    except OSError:
        return 0.0
