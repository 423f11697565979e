"""Ctrl-C at a bad moment, and children that must not outlive their parent."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int) -> None:
    """In a child: signal ``number`` when the parent dies. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


@contextmanager
def held_back() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the block is over.

    For libraries in C++ that call Python: what a signal handler raises in there is lost or comes out as another
    error. A signal that has no Python handler, or the block in another thread than the main one: nothing changes,
    for there no handler runs inside the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))

    handlers = {int(number): handler for number in HELD if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came[:1]:
            handlers[number](number, frame)
