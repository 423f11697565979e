"""When a stratified campaign has enough, and how large its next round is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fitact_hw.campaign.pace import IN_TIME, Pace
from fitact_hw.campaign.rounds import Found
from fitact_hw.campaign.targets import MACHINE, STRUCTURES, Quantity, quantities
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

    ``margin``: largest half-width of the intervals of all that ``targets`` ask for
    (:func:`fitact_hw.campaign.targets.quantities`) at ``confidence``; ``minutes`` of this run; ``faults`` per scheme
    in all.
    """

    margin: float | None = None
    minutes: float | None = None
    faults: int | None = None
    confidence: float = 0.95
    targets: tuple[str, ...] = (MACHINE,)
    began: float = field(default_factory=time.monotonic)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("margin", "minutes", "faults", "confidence")
        return {**{name: getattr(self, name) for name in names}, "targets": list(self.targets)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Goal:
        """Inverse of :meth:`to_json`, also of goals from before there were targets; the time begins now."""
        each = (MACHINE, STRUCTURES) if value.get("per_structure") else (MACHINE,)
        names = ("margin", "minutes", "faults", "confidence")
        kept = {name: value[name] for name in names if name in value}
        return Goal(**kept, targets=tuple(value.get("targets", each)))

    def pilot(self, strata: int) -> tuple[int, int]:
        """Upsets of the first round, and of each stratum in a round at least."""
        if self.faults is None:
            return max(PILOT, LEAST * strata), LEAST
        least = max(1, min(LEAST, self.faults // strata))
        return min(self.faults, max(PILOT, least * strata)), least

    def reached(self, found: Found) -> dict[str, Interval]:
        """Scheme -> the interval of the whole machine's SDC rate."""
        return {scheme: found.rate(scheme, SDC, confidence=self.confidence) for scheme in found.schemes}

    def quantities(self, found: Found) -> list[Quantity]:
        """All that the margin is of. Raises FitActError for a target that the campaign does not have."""
        structures = tuple(dict.fromkeys(stratum.structure for stratum in found.rounds.population.strata))
        return quantities(self.targets, found.schemes, structures, tuple(found.layers))

    def intervals(self, found: Found) -> dict[Quantity, Interval]:
        """What is known of each of them."""
        return {quantity: found.of(quantity, SDC, self.confidence) for quantity in self.quantities(found)}

    def half_width(self, found: Found) -> float:
        """The largest that ``margin`` is about."""
        return max(interval.half for interval in self.intervals(found).values())

    def needed(self, found: Found, margin: float) -> float:
        """Upsets per scheme in all that should give this margin; infinite if these images cannot.

        A half-width falls with the root of the upsets, but for what images differ by: that part stays.
        """
        most = 1.0
        for item in self.intervals(found).values():
            stays = _stays(item)
            if margin**2 <= stays:
                return np.inf
            most = max(most, (item.half**2 - stays) / (margin**2 - stays))
        return float(np.ceil(found.rounds.total * most))

    def expected(self, found: Found, total: float) -> float:
        """The margin that ``total`` upsets per scheme in all should give: as :meth:`needed`, the other way round."""
        widest = 0.0
        for item in self.intervals(found).values():
            stays = _stays(item)
            widest = max(widest, stays + (item.half**2 - stays) * found.rounds.total / total)
        return float(np.sqrt(widest))

    def budget(self, total: int, pace: Pace) -> int | None:
        """Upsets per scheme in all that the budget allows, after ``total`` of them; None without one, or not known."""
        budgets = []
        if self.faults is not None:
            budgets.append(self.faults)
        if self.minutes is not None and pace.rate:
            left = 60 * self.minutes - (time.monotonic() - self.began)
            budgets.append(total + int(max(0.0, left) * IN_TIME * pace.rate))
        return max(total, min(budgets)) if budgets else None

    def seconds_left(self, found: Found, pace: Pace) -> float | None:
        """Until the margin, at the pace so far; None if there is none, it is reached, or that cannot be told."""
        if self.margin is None or not pace.rate or self.half_width(found) <= self.margin:
            return None
        more = (ABOVE * self.needed(found, self.margin) - found.rounds.total) / pace.rate
        return max(0.0, more - pace.since) if np.isfinite(more) else None

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


def _stays(item: Interval) -> float:
    """Of the square of a half-width, the part by which images differ."""
    return item.half**2 * (1 - 1 / item.design_effect)
