"""One large thing in memory at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Latest(Generic[K, V]):
    """Calls ``make`` for a key and keeps what it gave until another key is asked for: then lets go of it first."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._kept: tuple[K, V] | None = None

    def __call__(self, key: K) -> V:
        if self._kept is None or self._kept[0] != key:
            self.forget()
            self._kept = key, self._make(key)
        return self._kept[1]

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept = None
