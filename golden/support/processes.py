"""Processes of a program that need not know of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def apart_from_main() -> Iterator[None]:
    """Spawned processes that are started meanwhile do not import the caller's program.

    They would run all of it anew, unless it has ``if __name__ == "__main__":``, and start processes of their own. What
    they are given must not be defined in it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
