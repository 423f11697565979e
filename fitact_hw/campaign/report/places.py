"""Where upsets hurt: single sites, and rows and columns of the PE array."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency

from fitact_hw.campaign.report.analysis import pe_place, worst_first
from fitact_hw.campaign.report.measures import FAILURE, MEASURES
from fitact_hw.campaign.store import Row
from fitact_hw.campaign.targets import reference_of
from fitact_hw.reporting.statistics import Estimate

LIVE_ONLY = " (of upsets at live points, each counted alike)"
"""What a table of sites says of a stratified campaign."""


@dataclass(frozen=True)
class Site:
    """A register or memory. ``failing``: share of its upsets that make at least one scheme fail.

    ``failures``: scheme -> (failures, upsets). ``example``: one of its worst injections.
    """

    path: str
    structure: str
    failing: Estimate
    failures: Mapping[str, tuple[int, int]]
    example: Row


def worst_sites(rows: Sequence[Row], schemes: Sequence[str], confidence: float, count: int = 10) -> list[Site]:
    """The sites whose upsets fail most surely: by the lower end of the interval, so that luck does not rank first."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.site].append(row)
    sites = []
    for path, group in groups.items():
        faults: dict[int, bool] = defaultdict(bool)
        for row in group:
            faults[row.number] |= row.outcome in MEASURES[FAILURE]
        bad = sum(faults.values())
        if not bad:
            continue
        failures = {}
        for scheme in schemes:
            of_scheme = [row.outcome in MEASURES[FAILURE] for row in group if row.scheme == scheme]
            failures[scheme] = (sum(of_scheme), len(of_scheme))
        failing = Estimate.of(bad, len(faults), confidence)
        # the reference first: its failures are what a reader wants to look at
        shown = worst_first(sorted(group, key=lambda row: row.scheme != reference_of(schemes)))[0]
        sites.append(Site(path, group[0].structure, failing, failures, shown))
    return sorted(sites, key=lambda site: (-site.failing.low, -site.failing.hits, site.path))[:count]


def heat_map(
    rows: Sequence[Row], scheme: str, shape: tuple[int, int], bits: Mapping[str, int], measure: str
) -> np.ndarray:
    """Probability by PE, float64 (rows, columns); NaN where no upset struck.

    Each upset counts with the bits of its structure over the upsets in it, as in a uniform sample of the array's bits.
    """
    struck = [(row, place) for row in rows if row.scheme == scheme and (place := pe_place(row)) is not None]
    drawn: dict[str, int] = defaultdict(int)
    for row, _ in struck:
        drawn[row.structure] += 1
    bad, total = np.zeros(shape), np.zeros(shape)
    for row, place in struck:
        weight = bits[row.structure] / drawn[row.structure]
        total[place] += weight
        bad[place] += weight * (row.outcome in MEASURES[measure])
    return np.divide(bad, total, out=np.full(shape, np.nan), where=total > 0)


def uneven(rows: Sequence[Row], scheme: str, axis: int, measure: str) -> float | None:
    """p-value that all rows (``axis`` 0) or columns (1) of the array are hurt alike; None where nothing differs.

    Chi-squared test of the counts: every PE register has the same bits in every row and column.
    """
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        place = pe_place(row)
        if row.scheme == scheme and place is not None:
            counts[place[axis]][row.outcome in MEASURES[measure]] += 1
    table = np.array(list(counts.values()))
    if len(table) < 2 or not table.sum(axis=0).all():
        return None
    return float(chi2_contingency(table).pvalue)
