"""Allocation of on-chip buffer words: a ring in which what is loaded stays until it is overwritten."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np


@dataclass(eq=False)
class Region:
    """Words ``[start, stop)`` of a buffer; ``transfers`` are the numbers of the loads that fill it."""

    start: int
    stop: int
    key: Hashable
    transfers: list[int] = field(default_factory=list)


class Ring:
    """First in, first out allocator over the words ``[base, base + words)`` of a buffer.

    ``last_piece`` is int64 (depth,): the last piece of work that uses each word, -1 if none. Rings that
    share a buffer share this array.
    """

    def __init__(self, last_piece: np.ndarray) -> None:
        self.last_piece = last_piece
        self.base, self.stop, self.cursor = 0, len(last_piece), 0
        self.pitch = 1
        self._live: deque[Region] = deque()
        self._by_key: dict[Hashable, Region] = {}

    @property
    def words(self) -> int:
        """Words that the ring may use."""
        return self.stop - self.base

    def limit(self, base: int, stop: int, pitch: int = 1) -> None:
        """Use the words ``[base, stop)`` from now on, every region taking at least ``pitch`` words.

        Regions of equal size follow each other round the ring without ever meeting the youngest ones.
        """
        self.base, self.stop, self.pitch = base, stop, pitch
        if not base <= self.cursor < stop:
            self.cursor = base

    def reserve(self, words: int) -> None:
        """Let the next ``words`` words lie together: a set that fits the ring must not evict itself."""
        if words <= self.words and self.cursor + words > self.stop:
            self.cursor = self.base

    def find(self, key: Hashable) -> Region | None:
        """The region that still holds ``key``."""
        return self._by_key.get(key)

    def use(self, region: Region, piece: int) -> None:
        """Note that ``piece`` uses ``region``."""
        self.last_piece[region.start : region.stop] = piece

    def allocate(self, key: Hashable, words: int) -> tuple[Region, int]:
        """A region for ``key`` and the last piece that uses a word which it overwrites (-1 if none)."""
        taken = max(words, self.pitch)
        if self.cursor + taken > self.stop:
            self.cursor = self.base
        region = Region(self.cursor, self.cursor + words, key)
        self.cursor += taken
        for other in [o for o in self._live if o.start < region.stop and region.start < o.stop]:
            self._live.remove(other)
            del self._by_key[other.key]
        self._live.append(region)
        self._by_key[key] = region
        return region, int(self.last_piece[region.start : region.stop].max())
