"""Points of (bit, cycle) that can matter under any of several schemes, counted exactly and drawn uniformly.

All schemes are struck by the same upsets: those of one of them, the base, at the same moment of the other runs
(:mod:`fitact_hw.injection.timeline`). A buffer word is live at a moment if any of the runs reads it there before it
writes it again; everywhere else an upset is masked under every scheme, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
    buffers: dict[str, Intervals] = field(default_factory=dict)

    def add(self, timeline: Timeline, accesses: AccessTrace) -> None:
        """Also live is what the run ``timeline`` with ``accesses`` reads."""
        moments = same_moments(self.base, timeline)
        for number, (path, depth) in enumerate(zip(accesses.names, accesses.depths, strict=True)):
            word, first, last = accesses.live_intervals(number)
            first, last = np.searchsorted(moments, first), np.searchsorted(moments, last, side="right") - 1
            some = first <= last  # not between two moments of the base run
            found = _anchored((word[some], first[some], last[some]), depth, self.shape)
            self.buffers[path] = joined([*filter(None, [self.buffers.get(path)]), found], self.base.cycles)

    def window(self, storages: Sequence[Storage], begin: int, end: int) -> Window:
        """The live points of ``storages`` in the cycles from ``begin`` up to ``end``, not included."""
        parts = []
        for storage in storages:
            if storage.path in self.buffers:
                word, first, last = self.buffers[storage.path]
            else:
                word = np.arange(storage.depth)
                first, last = np.zeros_like(word), np.full_like(word, self.base.cycles - 1)
            first, last = np.maximum(first, begin), np.minimum(last, end - 1)
            some = first <= last
            parts.append((storage, word[some], first[some], last[some]))
        return Window(parts, self.shape)


class Window:
    """Live points of some storages in some cycles, numbered from 0. ``points``: how many."""

    def __init__(self, parts: Sequence[tuple[Storage, np.ndarray, np.ndarray, np.ndarray]], shape: Shape) -> None:
        self._parts, self._shape = parts, shape
        self._ends = [np.cumsum((last - first + 1) * storage.width) for storage, _, first, last in parts]
        self._sizes = [int(ends[-1]) if len(ends) else 0 for ends in self._ends]
        self.points = sum(self._sizes)

    def event(self, structure: str, point: int) -> FaultEvent:
        """The upset at point number ``point``."""
        for (storage, word, first, last), ends, size in zip(self._parts, self._ends, self._sizes, strict=True):
            if point >= size:
                point -= size
                continue
            place = int(np.searchsorted(ends, point, side="right"))
            begin = int(ends[place]) - int(last[place] - first[place] + 1) * storage.width
            cycle, bit = divmod(point - begin, storage.width)
            cell = int(word[place]) * storage.width + bit
            return event_at(structure, storage, cell, int(first[place]) + cycle, self._shape)
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


def _anchored(intervals: Intervals, depth: int, shape: Shape) -> Intervals:
    """Where a pattern may be anchored (its first word) so that it covers a live word, as `fitact_hw.faults` lays it."""
    rows = min(shape.rows, depth)
    if rows == 1:
        return intervals
    word, first, last = intervals
    lowest = depth - rows  # anchors beyond it move here
    found = []
    for anchor_shift in range(rows):
        anchor = word - anchor_shift
        some = (anchor >= 0) & (anchor <= lowest)
        found.append((anchor[some], first[some], last[some]))
    covered = word >= lowest
    found += [(np.full(covered.sum(), anchor), first[covered], last[covered]) for anchor in range(lowest + 1, depth)]
    word, first, last = (np.concatenate(part) for part in zip(*found, strict=True))
    return word, first, last
