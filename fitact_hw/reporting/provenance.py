"""Where a result comes from: version, commit, date, duration, processor, packages and fingerprints of what ran."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "fitact-testbed"
ROOT = Path(__file__).resolve().parents[2]


@cache
def version() -> str:
    """Version of this program, as it is installed."""
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
