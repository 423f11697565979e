"""Running the command line as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FITACT = Path(sys.executable).with_name("fitact")


def fitact(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `fitact` with arguments from the repository root; returns exit code and output."""
    command = [str(FITACT), *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1200, check=False)


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one error line; fails if there is a traceback or more than one line."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert "Traceback" not in result.stderr, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error:"), lines[0]
    return lines[0]
