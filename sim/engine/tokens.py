"""When the fault-free run looks at its token counters, and what follows for upsets in them.

A counter acts on nothing but the gate of the instruction queue that takes its tokens (`fitact_issue`), and only while
the instruction there needs a token: a surplus token matters when the gate waits with the counter at 0. Until then the
run is the fault-free one but for the surplus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fitact_hw.isa import MOST_TOKENS
from sim.engine.layout import TOKEN_CHANGE


@dataclass(frozen=True, eq=False)
class TokenTrace:
    """Changes of every counter: ``cycle``, ``count`` (int64) and whether the gate ``waits``, ascending, per counter."""

    names: tuple[str, ...]
    changes: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]

    @staticmethod
    def from_records(names: Sequence[str], records: np.ndarray) -> TokenTrace:
        """From the engine's records (TOKEN_CHANGE keys)."""
        number = TOKEN_CHANGE.get(records, "counter")
        parts = []
        for counter in range(len(names)):
            part = records[number == counter].astype(np.int64)
            cycle, count, waits = (TOKEN_CHANGE.get(part, field) for field in ("cycle", "count", "waits"))
            parts.append((cycle, count, waits.astype(bool)))
        return TokenTrace(tuple(names), tuple(parts))

    def moved(self, path: str, mask: int, cycle: int) -> tuple[int, int] | None:
        """Cycle and mask of an equal upset of the counter ``path``, as late as possible; None if it is never seen.

        Raises ValueError if ``path`` is no counter.
        """
        cycles, counts, waits = self.changes[self.names.index(path)]
        now = int(np.searchsorted(cycles, cycle, side="right")) - 1
        surplus = (int(counts[now]) ^ mask) - int(counts[now])
        full = int(counts.max()) + surplus >= MOST_TOKENS  # a token that comes to a full counter is lost
        if surplus < 0 or waits[now] or full:
            return cycle, mask
        later = np.flatnonzero(waits[now:])
        return (int(cycles[now + later[0]]), surplus) if len(later) else None
