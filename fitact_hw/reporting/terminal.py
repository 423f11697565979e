"""The terminal: results, notes, diagnostics and progress, as the command line asked for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from golden.support.output import output
from golden.support.progress import LOG_SECONDS, progress, working

__all__ = ["bar", "details", "noter", "terminal", "working"]

FILE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


def terminal(file_width: int = FILE_WIDTH) -> Console:
    """Where results are printed: standard output; with ``--json``, which owns that, standard error.

    As wide as the terminal, or wide enough for every table when it is none.
    """
    mode = output()
    stream = sys.stderr if mode.json else sys.stdout
    width = None if stream.isatty() else file_width
    return Console(highlight=False, emoji=False, stderr=mode.json, quiet=mode.json and mode.quiet, width=width)


def noter(console: Console) -> Callable[[str], None]:
    """A function that prints one-line messages, dimmed, not with ``--quiet``: what :data:`sim.build.Note` asks for."""

    def note(text: str) -> None:
        if not output().quiet:
            console.print(f"[dim]{escape(text)}[/]", soft_wrap=True)

    return note


def details(console: Console) -> Console:
    """Where diagnostics go: ``console`` with ``--verbose``, else nowhere."""
    return console if output().verbose else Console(quiet=True)


@contextmanager
def bar(console: Console, title: str, every: float | None = LOG_SECONDS) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as a callback (done, total); a line ``every`` seconds (None: none) where there is no terminal."""
    with progress(console, transient=True, every=every) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
