"""How fast a run of a stratified campaign gets on: what a limit of time allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

IN_TIME = 0.85
"""Of the upsets that the time left should allow: the last round ends before it does."""

PART = 0.4
"""Of the time left, what a round may take that is not the last: pace changes with other load and with what is drawn."""

LAST_PART = 0.15
"""Of the whole time, what is left when a last round is drawn."""


@dataclass
class Pace:
    """``marks``: (seconds, upsets per scheme judged by then) at the start of this run and after each of its rounds."""

    clock: Callable[[], float] = time.monotonic
    marks: list[tuple[float, int]] = field(default_factory=list)

    def mark(self, total: int) -> None:
        """``total`` upsets per scheme are judged, those of earlier runs among them."""
        if not self.marks or self.marks[-1][1] != total:
            self.marks.append((self.clock(), total))

    @property
    def rate(self) -> float:
        """Upsets per scheme and second, of the whole run or of its last round, whichever is slower; 0 if unknown."""
        if len(self.marks) < 2:
            return 0.0
        (last, total) = self.marks[-1]
        return min((total - count) / max(last - moment, 1e-9) for moment, count in (self.marks[0], self.marks[-2]))

    @property
    def since(self) -> float:
        """Seconds since the last mark."""
        return self.clock() - self.marks[-1][0] if self.marks else 0.0

    def allows(self, left: float, whole: float) -> int:
        """Upsets of a round when ``left`` of ``whole`` seconds are left."""
        part = IN_TIME if left <= LAST_PART * whole else PART
        return max(0, int(part * self.rate * left))
