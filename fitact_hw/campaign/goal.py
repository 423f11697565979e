"""When a stratified campaign has enough, and how large its next round is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from fitact_hw.campaign.pace import Pace
from fitact_hw.campaign.rounds import Found
from fitact_hw.estimation.allocation import LEAST
from fitact_hw.estimation.intervals import Interval
from fitact_hw.faults import Outcome

PILOT = 1000
"""Upsets of the first round, or LEAST of each stratum if that is more."""

GROWTH = 3
"""A round has as many upsets as this times all before it, at most: early ones know little."""

ABOVE = 1.1
"""What is drawn beyond the number that should do, so that it mostly does."""

LAST_SHARE = 0.05
"""A rest of the budget that is a smaller part is drawn at once: a round costs more than its upsets."""

SURE = 4 * PILOT
"""Upsets from which on it is believed what images differ by."""

SDC = (Outcome.SDC.value,)


@dataclass(frozen=True)
class Goal:
    """What is asked for; the first that is reached ends the campaign.

    ``margin``: largest half-width, over all schemes, of the interval of the whole machine's SDC rate (and of each
    structure's, ``per_structure``) at ``confidence``; ``minutes`` of this run; ``faults`` per scheme in all.
    """

    margin: float | None = None
    minutes: float | None = None
    faults: int | None = None
    confidence: float = 0.95
    per_structure: bool = False
    began: float = field(default_factory=time.monotonic)

    def to_json(self) -> dict[str, float | int | bool | None]:
        """Plain values."""
        names = ("margin", "minutes", "faults", "confidence", "per_structure")
        return {name: getattr(self, name) for name in names}

    def pilot(self, strata: int) -> tuple[int, int]:
        """Upsets of the first round, and of each stratum in a round at least."""
        if self.faults is None:
            return max(PILOT, LEAST * strata), LEAST
        least = max(1, min(LEAST, self.faults // strata))
        return min(self.faults, max(PILOT, least * strata)), least

    def reached(self, found: Found) -> dict[str, Interval]:
        """Scheme -> the interval of the whole machine's SDC rate."""
        return {scheme: found.rate(scheme, SDC, confidence=self.confidence) for scheme in found.schemes}

    def _intervals(self, found: Found) -> list[Interval]:
        intervals = list(self.reached(found).values())
        if self.per_structure:
            names = dict.fromkeys(stratum.structure for stratum in found.rounds.population.strata)
            intervals += [
                found.rate(scheme, SDC, [name], self.confidence) for scheme in found.schemes for name in names
            ]
        return intervals

    def half_width(self, found: Found) -> float:
        """The largest that ``margin`` is about."""
        return max(interval.half for interval in self._intervals(found))

    def needed(self, found: Found, margin: float) -> float:
        """Upsets per scheme in all that should give this margin; infinite if these images cannot.

        A half-width falls with the root of the upsets, but for what images differ by: that part stays.
        """
        most = 1.0
        for item in self._intervals(found):
            stays = item.half**2 * (1 - 1 / item.design_effect)
            if margin**2 <= stays:
                return np.inf
            most = max(most, (item.half**2 - stays) / (margin**2 - stays))
        return float(np.ceil(found.rounds.total * most))

    def out_of_reach(self, found: Found) -> bool:
        """Whether no number of upsets on these images gives the margin, as far as the rounds so far can tell."""
        if self.margin is None or found.rounds.total < SURE:
            return False
        return self.half_width(found) > self.margin and not np.isfinite(self.needed(found, self.margin))

    def next_size(self, found: Found, pace: Pace | None = None) -> int:
        """Upsets of the next round; 0: it is enough.

        ``pace``: of this run, with a mark for the rounds so far; none: all of them were drawn since :attr:`began`.
        """
        total, least = found.rounds.total, len(found.rounds.population.strata)
        size = GROWTH * total
        if self.margin is not None:
            if self.half_width(found) <= self.margin or self.out_of_reach(found):
                return 0
            size = int(min(size, ABOVE * self.needed(found, self.margin) - total))
        left = self._left(total, pace)
        if left is None:
            return max(size, least)
        if left < max(least, 1):
            return 0
        size = max(min(size, left), least)
        return left if left - size < max(least, LAST_SHARE * (total + size)) else size

    def _left(self, total: int, pace: Pace | None) -> int | None:
        """Upsets that the budget still allows after ``total`` of them; None without one."""
        budgets = []
        if self.faults is not None:
            budgets.append(self.faults - total)
        if self.minutes is not None:
            whole, now = 60 * self.minutes, time.monotonic()
            pace = pace or Pace(marks=[(self.began, 0), (now, total)])
            left = whole - (now - self.began)
            budgets.append(pace.allows(left, whole) if pace.rate or left <= 0 else PILOT)
        return min(budgets) if budgets else None
