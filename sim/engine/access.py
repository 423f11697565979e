"""When every buffer word is written and read in a fault-free run, and what follows for upsets.

The machine's control does not depend on data, so one traced run holds for every image of a program. An access
in cycle c happens at the rising edge that ends c: it sees upsets of cycle c and of cycles before. In one cycle a read
comes before a write (a read of the word being written returns the old word).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fitact_hw.sites import FaultSite
from sim.engine.layout import ACCESS, Key

SORTED = Key("sorted_key", word=24, cycle=39, is_write=1)
"""Of accesses to one buffer: by word, then by time."""

ACCESSES_AT_A_TIME = 1 << 18
"""A long run has tens of millions, and what is computed of them needs several times their memory."""

_NONE = np.zeros(0, np.int64)

_FIRST_READS = 64
"""Accesses looked at first when the reads after an upset are counted; biases are read thousands of times."""


@dataclass(frozen=True, eq=False)
class AccessTrace:
    """Sorted accesses of each buffer.

    ``keys[b]``: uint64 SORTED keys in ascending order; ``depths``: words of each buffer; ``cycles``: length of the run.
    """

    names: tuple[str, ...]
    depths: tuple[int, ...]
    keys: tuple[np.ndarray, ...]
    cycles: int

    @staticmethod
    def from_records(buffers: Sequence[FaultSite], records: np.ndarray, cycles: int) -> AccessTrace:
        """From the engine's records (ACCESS keys)."""
        number = ACCESS.get_bytes(records, "buffer")
        parts = []
        for buffer in range(len(buffers)):  # one after another: a long run has tens of millions of records
            some = records[number == buffer]
            keys = SORTED.pack(**{field: ACCESS.get(some, field) for field in SORTED.widths})
            keys.sort()
            parts.append(keys)
        return AccessTrace(tuple(b.path for b in buffers), tuple(b.depth for b in buffers), tuple(parts), cycles)

    def next_read(self, path: str, word: int, cycle: int) -> int | None:
        """Cycle of the access that makes an upset of this word in ``cycle`` visible; None if the upset is dead.

        Raises KeyError if ``path`` is no traced buffer.
        """
        try:
            keys = self.keys[self.names.index(path)]
        except ValueError:
            raise KeyError(path) from None
        place = int(np.searchsorted(keys, np.uint64(SORTED.pack(word=word, cycle=cycle, is_write=0))))
        if place == len(keys):
            return None
        key = int(keys[place])
        if SORTED.get(key, "word") != word or SORTED.get(key, "is_write"):
            return None
        return int(SORTED.get(key, "cycle"))

    def reads(self, path: str, word: int, cycle: int) -> np.ndarray:
        """Cycles, int64 ascending, of all reads that see an upset of this word in ``cycle``: up to the next write.

        Raises KeyError if ``path`` is no traced buffer.
        """
        try:
            keys = self.keys[self.names.index(path)].view(np.int64)
        except ValueError:
            raise KeyError(path) from None
        first = last = int(np.searchsorted(keys, SORTED.pack(word=word, cycle=cycle, is_write=0)))
        step = _FIRST_READS
        while last < len(keys):
            some = keys[last : last + step]
            others = np.flatnonzero((SORTED.get(some, "word") != word) | (SORTED.get(some, "is_write") == 1))
            if len(others):
                last += int(others[0])
                break
            last, step = last + len(some), 2 * step
        return np.asarray(SORTED.get(keys[first:last], "cycle"))

    def live_cycles(self, buffer: int) -> np.ndarray:
        """int64 (depth,): in how many cycles an upset of each word of buffer number ``buffer`` would be read."""
        cycles = np.zeros(self.depths[buffer], np.int64)
        for first, last, word in self._spans(buffer):
            np.add.at(cycles, word, last - first + 1)
        return cycles

    def live_intervals(self, buffer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Word, first and last cycle, int64 each, of the intervals in which an upset of buffer number ``buffer`` would
        be read; ordered by word, then by time, and as long as can be."""
        parts = [_joined(word, first, last) for first, last, word in self._spans(buffer)]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True)) if parts else (_NONE,) * 3  # type: ignore[return-value]

    def writes(self, buffer: int) -> tuple[np.ndarray, np.ndarray]:
        """Word and cycle, int64, of every write of buffer number ``buffer``, in the order of time."""
        keys = self.keys[buffer]
        keys = keys[SORTED.get(keys, "is_write").astype(bool)].view(np.int64)
        cycle = SORTED.get(keys, "cycle")
        order = np.argsort(cycle, kind="stable")
        return SORTED.get(keys, "word")[order], cycle[order]

    def _spans(self, buffer: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Intervals [first, last] of cycles, int64, after which the next access of ``word`` is a read.

        Whole words in pieces of about ACCESSES_AT_A_TIME.
        """
        keys = self.keys[buffer].view(np.int64)
        starts = np.searchsorted(keys, SORTED.pack(word=np.arange(self.depths[buffer] + 1), cycle=0, is_write=0))
        wanted = np.arange(0, len(keys) + ACCESSES_AT_A_TIME, ACCESSES_AT_A_TIME)
        cuts = np.append(starts, len(keys))[np.searchsorted(starts, wanted)]
        for begin, end in pairwise(np.unique(cuts)):
            some = keys[begin:end]
            reads = np.flatnonzero(SORTED.get(some, "is_write") == 0)
            word, cycle = SORTED.get(some, "word"), SORTED.get(some, "cycle")
            before = np.maximum(reads - 1, 0)
            first = np.where((reads > 0) & (word[before] == word[reads]), cycle[before] + 1, 0)
            yield first, cycle[reads], word[reads]

    def live_sets(self, points: np.ndarray) -> np.ndarray:
        """Live words in the cycles ``points`` (ascending): uint64 (points, words64), the buffers one after another."""
        words64 = -(-sum(self.depths) // 64)
        changes = np.zeros((len(points) + 1, words64), np.uint64)
        offset = 0
        for number, depth in enumerate(self.depths):
            for first, last, word in self._spans(number):
                begin, end = np.searchsorted(points, first), np.searchsorted(points, last, side="right")
                some = begin < end  # intervals that contain a point
                begin, end, word = begin[some], end[some], word[some]
                # what ends where the next of the same word begins goes on; no change then meets another one
                goes_on = (word[1:] == word[:-1]) & (end[:-1] == begin[1:])
                begins, ends = np.append(True, ~goes_on)[: len(word)], np.append(~goes_on, True)[: len(word)]
                point, word = np.append(begin[begins], end[ends]), np.append(word[begins], word[ends])
                place = point * words64 * 64 + offset + word
                # so that adding sets bits; `add.at` is the fast one, in one dimension
                np.add.at(changes.reshape(-1), place >> 6, np.uint64(1) << (place & 63).astype(np.uint64))
            offset += depth
        return np.asarray(np.bitwise_xor.accumulate(changes[:-1], axis=0))


def _joined(word: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intervals of one word that follow each other without a gap as one; ordered before and after."""
    if not len(word):
        return word, first, last
    goes_on = (word[1:] == word[:-1]) & (first[1:] == last[:-1] + 1)
    return word[np.append(True, ~goes_on)], first[np.append(True, ~goes_on)], last[np.append(~goes_on, True)]
