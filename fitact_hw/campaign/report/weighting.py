"""Probabilities of a stratified campaign: every injection counts what its stratum weighs, dead points count exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from fitact_hw.campaign.report.measures import MEASURES, SDC
from fitact_hw.campaign.rounds import Found, Rounds
from fitact_hw.campaign.store import Row
from fitact_hw.estimation.counts import Counts
from fitact_hw.estimation.intervals import difference, interval
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.reporting.formats import percent
from fitact_hw.reporting.statistics import Difference, Estimate, mcnemar

IN_RTL = frozenset(way.value for way in (Mechanism.RECONVERGED, Mechanism.GOLDEN, Mechanism.FULL))
"""Ways to an outcome in which RTL is simulated for it."""


class Weighting:
    """Estimates from the complete ``rounds`` of a campaign. ``rows``: of all ``schemes``."""

    def __init__(self, rounds: Rounds, rows: Iterable[Row], schemes: Sequence[str], confidence: float) -> None:
        found = Found(rounds, rows, schemes)
        self.rounds, self.schemes, self.confidence = found.rounds, found.schemes, confidence
        self.rows = found.rows
        self._images = 1 + max((row.image for row in found.rows[found.schemes[0]]), default=0)

    @property
    def population_live(self) -> float:
        """Share of all points that some scheme reads: the others are masked under each, exactly."""
        return float(self.rounds.population.shares.sum())

    @property
    def images(self) -> int:
        """Images with an injection."""
        return int((self._draws.sum(axis=0) > 0).sum())

    def kept(self) -> tuple[Row, ...]:
        """Rows of complete rounds, scheme by scheme."""
        return tuple(row for scheme in self.schemes for row in self.rows[scheme])

    def estimates(self, scheme: str, rows: Sequence[Row], share: float | None) -> dict[str, Estimate]:
        """Name of a measure -> its probability for an upset of a domain that ``rows`` are all injections of.

        ``share``: of the domain in all points, dead ones included; None where it is not known: then the probability is
        that of a live upset.
        """
        inside = np.zeros(self.rounds.total, bool)
        inside[[row.number for row in rows]] = True
        return {measure: self._estimate(scheme, inside, outcomes, share) for measure, outcomes in MEASURES.items()}

    def _estimate(self, scheme: str, inside: np.ndarray, outcomes: frozenset[str], share: float | None) -> Estimate:
        hits = self._fails(scheme, outcomes) & inside
        found = interval(self._counts(inside, hits, share), self.confidence)
        # a domain in part of its strata cannot weigh more than it is
        value, low, high = (min(1.0, end) for end in (found.value, found.low, found.high))
        return Estimate(value, low, high, int(hits.sum()), int(inside.sum()), found.unsampled)

    def difference(self, first: str, second: str, measure: str, structure: str | None) -> Difference:
        """P(``first`` fails) - P(``second`` fails) on the same upsets, in one structure or (None) in all."""
        population, strata = self.rounds.population, self._strata
        names = np.array([stratum.structure for stratum in population.strata])
        inside = np.ones(self.rounds.total, bool) if structure is None else names[strata] == structure
        share = 1.0 if structure is None else population.share_of(structure)
        one, other = (self._fails(scheme, MEASURES[measure]) & inside for scheme in (first, second))
        only = one & ~other, other & ~one
        counts = [self._counts(inside, hits, share) for hits in only]
        found = difference(counts[0], counts[1], self.confidence)
        low, high = max(-1.0, found.low), min(1.0, found.high)
        just_one, just_other = (int(hits.sum()) for hits in only)
        p = mcnemar(just_one, just_other)
        return Difference(found.value, low, high, just_one, just_other, int(inside.sum()), p, found.unsampled)

    def half_width(self, scheme: str) -> float:
        """Half width of the interval of the whole machine's SDC rate."""
        everywhere = np.ones(self.rounds.total, bool)
        found = interval(self._counts(everywhere, self._fails(scheme, MEASURES[SDC]), 1.0), self.confidence)
        return found.half

    def work(self, scheme: str) -> str:
        """What an upset costs that strikes evenly over all points: share that is not settled by look-up, and of these
        the share that RTL judged with the cycles that it ran while the machine differed."""
        weights, rows = self._factors[self.rounds.cells], self.rows[scheme]
        live = float(weights @ np.array([row.way != Mechanism.DEAD.value for row in rows], float))
        in_rtl = np.array([row.way in IN_RTL for row in rows], float)
        rtl = float(weights @ in_rtl)
        if not rtl:
            return f"{percent(live)} of upsets not settled by look-up, none of them in RTL"
        cycles = float(weights @ (in_rtl * [row.simulated_cycles for row in rows])) / rtl
        return f"{percent(live)} of upsets not settled by look-up; {percent(rtl)} in RTL, {cycles:,.0f} cycles each"

    @property
    def _strata(self) -> np.ndarray:
        """int64 (total,): stratum of each injection number."""
        return self.rounds.cells % max(1, len(self.rounds.population.strata))

    @cached_property
    def _draws(self) -> np.ndarray:
        """int64 (cells, images)."""
        return self._counted(np.ones(self.rounds.total, bool))

    @cached_property
    def _factors(self) -> np.ndarray:
        """float64 (cells,): what one injection counts."""
        drawn = self._draws.sum(axis=1)
        return np.divide(self.rounds.shares, drawn, out=np.zeros(len(drawn)), where=drawn > 0)

    def _fails(self, scheme: str, outcomes: frozenset[str]) -> np.ndarray:
        return np.array([row.outcome in outcomes for row in self.rows[scheme]], bool)

    def _counted(self, chosen: np.ndarray) -> np.ndarray:
        """int64 (cells, images): how many of the ``chosen`` (total,) injections."""
        images = np.array([row.image for row in self.rows[self.schemes[0]]], np.int64)
        found = np.zeros((len(self.rounds.shares), self._images), np.int64)
        np.add.at(found, (self.rounds.cells, images), chosen.astype(np.int64))
        return found

    def _counts(self, inside: np.ndarray, hits: np.ndarray, share: float | None) -> Counts:
        """Of a domain: only cells with an injection of it weigh anything."""
        drawn, hit = self._counted(inside), self._counted(hits)
        if share is None:  # as many live points as its part of the injections says
            weights = self._factors * drawn.sum(axis=1)
            return Counts(weights / max(weights.sum(), np.finfo(float).tiny), drawn, hit)
        return Counts(np.where(drawn.sum(axis=1) > 0, self.rounds.shares, 0.0) / share, self._draws, hit)
