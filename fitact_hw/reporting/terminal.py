"""The terminal: tables and progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from golden.support.progress import LOG_SECONDS, progress

FILE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


def terminal() -> Console:
    """Standard output; as wide as the terminal, or wide enough for every table when it is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)


def noter(console: Console) -> Callable[[str], None]:
    """A function that prints one-line messages, dimmed: what :data:`sim.build.Note` asks for."""
    return lambda text: console.print(f"[dim]{text}[/]")


@contextmanager
def bar(console: Console, title: str, every: float | None = LOG_SECONDS) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as a callback (done, total); a line ``every`` seconds (None: none) where there is no terminal."""
    with progress(console, transient=True, every=every) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
