"""How much a program says, and where: set once by the command line, asked wherever something is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """``json``: standard output belongs to the result as JSON, everything else goes to standard error; ``quiet``: no
    notes and no progress, only results; ``verbose``: diagnostics too."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False


_current = Output()


def output() -> Output:
    """What is asked for now, in this process; no part of a thread, for work beside the main thread speaks as well."""
    return _current


@contextmanager
def speaking(mode: Output) -> Iterator[None]:
    """Speak like this until the block is over."""
    global _current
    before, _current = _current, mode
    try:
        yield
    finally:
        _current = before
