"""What runs, as Linux tells."""

from __future__ import annotations

from pathlib import Path


def children(process: int) -> list[int]:
    """Processes that a process started."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    found = []
    for task in tasks:
        try:
            found += [int(child) for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):  # the thread ended since it was listed
            continue
    return found


def alive(process: int) -> bool:
    """Whether a process exists and has not ended (an orphan may remain as a zombie where nobody reaps it)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
