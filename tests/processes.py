"""What runs, as Linux tells."""

from __future__ import annotations

from pathlib import Path

import psutil


def children(process: int) -> list[int]:
    """Processes that a process started; not from ``/proc/.../children``, which some kernels leave out."""
    try:
        return [child.pid for child in psutil.Process(process).children()]
    except psutil.NoSuchProcess:
        return []


def alive(process: int) -> bool:
    """Whether a process exists and has not ended (an orphan may remain as a zombie where nobody reaps it)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
