"""Points of (bit, cycle) that can matter under any of several schemes, counted exactly and drawn uniformly.

All schemes are struck by the same upsets: those of one of them, the base, at the same moment of the other runs
(:mod:`fitact_hw.injection.timeline`). A buffer word is live at a moment if any of the runs reads it there before it
writes it again; everywhere else an upset is masked under every scheme, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from fitact_hw.faults import FaultEvent, Shape, Storage, event_at
from fitact_hw.injection.timeline import Timeline, same_moments
from sim.engine.access import AccessTrace

Intervals = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Word, first and last cycle of the base run: int64 (n,) each, ordered by word, then by time, without overlap."""


@dataclass
class LivePoints:
    """Live intervals of each buffer by its path, in cycles of ``base``; everything else is live all the time."""

    base: Timeline
    shape: Shape = Shape.SINGLE
    interleave: int = 1
    buffers: dict[str, Intervals] = field(default_factory=dict)
    edges: dict[str, Intervals] = field(default_factory=dict)
    """For patterns anchored at the last bit of a word, which move inwards: with interleaving they cover other words."""

    def add(self, timeline: Timeline, accesses: AccessTrace) -> None:
        """Also live is what the run ``timeline`` with ``accesses`` reads."""
        moments = same_moments(self.base, timeline)
        for number, (path, depth) in enumerate(zip(accesses.names, accesses.depths, strict=True)):
            word, first, last = accesses.live_intervals(number)
            first, last = np.searchsorted(moments, first), np.searchsorted(moments, last, side="right") - 1
            some = first <= last  # not between two moments of the base run
            live = word[some], first[some], last[some]
            for bit, kept in enumerate([self.buffers, self.edges][: min(self.interleave, 2)]):
                found = _anchored(live, depth, self.shape, self.interleave, bit)
                kept[path] = joined([*filter(None, [kept.get(path)]), found], self.base.cycles)

    def window(self, storages: Sequence[Storage], begin: int, end: int) -> Window:
        """The live points of ``storages`` in the cycles from ``begin`` up to ``end``, not included."""
        parts = []
        for storage in storages:
            always = np.arange(storage.depth), np.zeros(storage.depth, int), np.full(storage.depth, self.base.cycles)
            whole = self.interleave == 1 or storage.path not in self.edges
            bits = range(storage.width) if whole else range(storage.width - 1)
            parts.append(_part(storage, bits, self.buffers.get(storage.path, always), begin, end))
            if not whole:
                parts.append(_part(storage, range(len(bits), storage.width), self.edges[storage.path], begin, end))
        return Window(parts, self.shape, self.interleave)


Part = tuple[Storage, range, np.ndarray, np.ndarray, np.ndarray]
"""Bits of words of a storage with their first and last cycle, as in Intervals."""


def _part(storage: Storage, bits: range, live: Intervals, begin: int, end: int) -> Part:
    word, first, last = live
    first, last = np.maximum(first, begin), np.minimum(last, end - 1)
    some = first <= last
    return storage, bits, word[some], first[some], last[some]


class Window:
    """Live points of some storages in some cycles, numbered from 0. ``points``: how many."""

    def __init__(self, parts: Sequence[Part], shape: Shape, interleave: int = 1) -> None:
        self._parts, self._shape, self._interleave = parts, shape, interleave
        self._ends = [np.cumsum((last - first + 1) * len(bits)) for _, bits, _, first, last in parts]
        self._sizes = [int(ends[-1]) if len(ends) else 0 for ends in self._ends]
        self.points = sum(self._sizes)

    def event(self, structure: str, point: int) -> FaultEvent:
        """The upset at point number ``point``."""
        for (storage, bits, word, first, last), ends, size in zip(self._parts, self._ends, self._sizes, strict=True):
            if point >= size:
                point -= size
                continue
            place = int(np.searchsorted(ends, point, side="right"))
            begin = int(ends[place]) - int(last[place] - first[place] + 1) * len(bits)
            cycle, bit = divmod(point - begin, len(bits))
            cell = int(word[place]) * storage.width + bits[bit]
            return event_at(structure, storage, cell, int(first[place]) + cycle, self._shape, self._interleave)
        raise IndexError(point)


def joined(parts: Iterable[Intervals], cycles: int) -> Intervals:
    """The union of intervals within 0 to ``cycles``."""
    word, first, last = (np.concatenate(part) for part in zip(*parts, strict=True))
    span = cycles + 1  # so that those of two words never touch
    begin, end = word * span + first, word * span + last
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order]) if len(order) else end
    opens = np.append(True, begin[1:] > end[:-1] + 1)[: len(begin)]
    closes = np.append(opens[1:], True)[: len(begin)]
    begin, end = begin[opens], end[closes]
    return begin // span, begin % span, end % span


@dataclass(frozen=True)
class _Memory:
    """One of ``depth`` words of two bits: the first behaves as all bits of a wide word but its last one."""

    depth: int
    width: int = 2
    path: str = "memory"


@lru_cache(maxsize=32)
def _cover(depth: int, shape: Shape, interleave: int, bit: int) -> tuple[np.ndarray, np.ndarray]:
    """Words that patterns cover and words where they are anchored, at ``bit`` of a :class:`_Memory`, by the first."""
    memory = _Memory(depth)
    pairs = [
        (upset.word, anchor)
        for anchor in range(depth)
        for upset in event_at("", memory, anchor * memory.width + bit, 0, shape, interleave).upsets
    ]
    covered, anchors = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    return covered, anchors


def _anchored(intervals: Intervals, depth: int, shape: Shape, interleave: int, bit: int) -> Intervals:
    """Where a pattern may be anchored (its word) so that it covers a live word, as `fitact_hw.faults` lays it."""
    if shape is Shape.SINGLE:
        return intervals
    word, first, last = intervals
    covered, anchors = _cover(depth, shape, interleave, bit)
    begin, end = np.searchsorted(covered, word), np.searchsorted(covered, word, side="right")
    counts = end - begin
    which = np.repeat(np.arange(len(word)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + begin[which]
    return anchors[place], first[which], last[which]
