"""Schemes against each other on the same faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fitact_hw.campaign.report.analysis import MACHINE
from fitact_hw.campaign.report.measures import MEASURES
from fitact_hw.campaign.report.weighting import Weighting
from fitact_hw.campaign.store import Row
from fitact_hw.campaign.targets import reference_of
from fitact_hw.estimation.power import USUAL_POWER, detectable
from fitact_hw.reporting.formats import percent
from fitact_hw.reporting.statistics import Difference, stratified_difference
from golden.bounds.schemes import title_of


def scheme_name(scheme: str) -> str:
    """How reports write a scheme."""
    return title_of(scheme)


@dataclass(frozen=True)
class Comparison:
    """P(``rival`` fails) - P(``scheme`` fails) within ``key`` (a structure or the machine); positive: scheme is better.

    ``measure``: a name of :data:`~fitact_hw.campaign.report.analysis.MEASURES`.
    """

    key: str
    measure: str
    scheme: str
    rival: str
    difference: Difference

    @property
    def words(self) -> str:
        """What the interval says, in words."""
        d = self.difference
        if not d.shown:
            return "no difference shown"
        better = self.scheme if d.value > 0 else self.rival
        return f"{scheme_name(better)} fails less often"

    def resolution(self, confidence: float) -> str:
        """Which difference this many faults would have shown; empty where one is shown, or nothing was drawn.

        Nothing is said of the power for the value found, which would only repeat the p-value: Hoenig and Heisey, The
        American Statistician 55 (2001) 19.
        """
        d = self.difference
        half = (d.high - d.low) / 2
        if d.shown or d.unsampled or not half:
            return ""
        least = percent(detectable(half, confidence))
        return f"a difference of {least} would have been found with probability {USUAL_POWER:g}"


Parts = dict[str, tuple[int, int, int]]


def _parts(rows: Iterable[Row], first: str, second: str, measure: str) -> Parts:
    """Structure -> (only ``first`` fails, only ``second`` fails, faults that both have)."""
    outcomes = MEASURES[measure]
    failed: dict[int, dict[str, tuple[str, bool]]] = defaultdict(dict)
    for row in rows:
        failed[row.number][row.scheme] = (row.structure, row.outcome in outcomes)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for found in failed.values():
        if first in found and second in found:
            (structure, one), (_, other) = found[first], found[second]
            counts[structure][0] += one and not other
            counts[structure][1] += other and not one
            counts[structure][2] += 1
    return {name: (part[0], part[1], part[2]) for name, part in counts.items()}


def compare_schemes(
    rows: Iterable[Row],
    schemes: Iterable[str],
    bits: Mapping[str, int],
    measure: str,
    confidence: float = 0.95,
) -> list[Comparison]:
    """The reference against every other scheme: in the whole machine, then in every structure, on the same faults.

    Structures of ``bits`` without a fault that both have bound the difference in the machine.
    """
    rows, names = list(rows), list(schemes)
    reference = reference_of(names)
    found = []
    for rival in (name for name in names if name != reference):
        parts = _parts(rows, rival, reference, measure)
        weights = {name: float(bits[name]) for name in parts}
        groups = {MACHINE: parts, **{name: {name: parts[name]} for name in bits if name in parts}}
        missing = 1 - sum(weights.values()) / sum(bits.values()) if len(parts) < len(bits) else 0.0
        for key, group in groups.items():
            difference = stratified_difference(group, weights, confidence)
            if key == MACHINE and missing:
                difference = difference.beside(missing)
            found.append(Comparison(key, measure, reference, rival, difference))
    return found


def compare_weighted(weighting: Weighting, measure: str) -> list[Comparison]:
    """As :func:`compare_schemes`, of a stratified campaign: in the machine, then in each structure with strata."""
    reference = reference_of(weighting.schemes)
    population = weighting.rounds.population
    known = {stratum.structure for stratum in population.strata}
    structures = sorted(known, key=lambda name: (-population.bits[name], name))
    return [
        Comparison(key or MACHINE, measure, reference, rival, weighting.difference(rival, reference, measure, key))
        for rival in weighting.schemes
        if rival != reference
        for key in (None, *structures)
    ]
