"""The terminal: tables and progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

FILE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


def terminal() -> Console:
    """Standard output; as wide as the terminal, or wide enough for every table when it is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)


def noter(console: Console) -> Callable[[str], None]:
    """A function that prints one-line messages, dimmed: what :data:`sim.build.Note` asks for."""
    return lambda text: console.print(f"[dim]{text}[/]")


@contextmanager
def bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as a callback (done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
