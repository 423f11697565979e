"""Failure rates by structure and class, with intervals, and the metrics that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fitact_hw.estimation.counts import Counts
from fitact_hw.estimation.intervals import Interval, interval, ratio
from fitact_hw.fmeda.classes import Class
from fitact_hw.fmeda.rates import Rate, raw_fit

TOTAL = "total"

TARGETS: dict[str, tuple[float, float, float]] = {
    "SPFM": (0.90, 0.97, 0.99),
    "LFM": (0.60, 0.80, 0.90),
    "PMHF": (100.0, 100.0, 10.0),
}
"""ASIL B, C and D: at least so much of SPFM and LFM (ISO 26262-5:2018, tables 4 and 5), less than so many FIT of PMHF
(table 6)."""

LEVELS = ("ASIL B", "ASIL C", "ASIL D")

MET, MISSED, OPEN = "met", "missed", "open"


@dataclass(frozen=True, eq=False)
class Part:
    """Upsets of one structure: ``draws`` int64 (I,) by image, and of each class those that came to it.

    ``hits`` has the classes that the table of classes allows in this structure; of any other there are none. Both may
    be (H, I), of H strata with ``weights``, float64 (H,), their shares of the structure's (bit, cycle) points;
    ``exact``: shares of a class that are known without a draw.
    """

    name: str
    kind: str
    bits: int
    draws: np.ndarray
    hits: Mapping[Class, np.ndarray]
    weights: np.ndarray = field(default_factory=lambda: np.ones(1))
    exact: Mapping[Class, float] = field(default_factory=dict)

    def fit(self, rates: Mapping[str, Rate]) -> float:
        """Raw FIT of all its bits."""
        return raw_fit(self.kind, self.bits, rates)


@dataclass(frozen=True)
class Line:
    """FIT of one structure, or of all: ``raw``, and of every class with its interval."""

    name: str
    kind: str
    bits: int
    raw: float
    upsets: int
    fit: Mapping[Class, Interval]


@dataclass(frozen=True)
class Metric:
    """A metric with its interval, and what it says about the targets of :data:`LEVELS` (none: no target)."""

    name: str
    value: Interval
    verdicts: tuple[str, ...] = ()


def lines(parts: Sequence[Part], rates: Mapping[str, Rate], confidence: float) -> list[Line]:
    """A line for each of ``parts``, the largest raw FIT first, and the total at the end."""
    order = sorted(parts, key=lambda part: (-part.fit(rates), part.name))
    return [*(_line(part.name, [part], rates, confidence) for part in order), _line(TOTAL, order, rates, confidence)]


def _line(name: str, parts: Sequence[Part], rates: Mapping[str, Rate], confidence: float) -> Line:
    raw = sum(part.fit(rates) for part in parts)
    kinds = dict.fromkeys(part.kind for part in parts)
    upsets = sum(int(part.draws.sum()) for part in parts)
    found = {klass: _fit(parts, klass, rates, confidence) for klass in Class}
    return Line(name, " + ".join(kinds), sum(part.bits for part in parts), raw, upsets, found)


def _fit(parts: Iterable[Part], klass: Class, rates: Mapping[str, Rate], confidence: float) -> Interval:
    """FIT of one class: a sum of proportions, each weighted with the raw FIT of its structure."""
    some = [part for part in parts if klass in part.hits]
    if not some:
        return Interval(0.0, 0.0, 0.0)
    counts = Counts(
        np.concatenate([part.fit(rates) * part.weights for part in some]),
        np.concatenate([np.atleast_2d(part.draws) for part in some]),
        np.concatenate([np.atleast_2d(part.hits[klass]) for part in some]),
    )
    known = sum(part.fit(rates) * part.exact.get(klass, 0.0) for part in some)
    found = interval(counts, confidence)
    return replace(found, value=found.value + known, low=found.low + known, high=found.high + known)


def metrics(parts: Sequence[Part], rates: Mapping[str, Rate], confidence: float) -> list[Metric]:
    """Of all ``parts`` together. Raw rates count as exact: intervals are those of the probabilities.

    ISO 26262-5:2018, annex C: SPFM = 1 - DU / all, LFM = 1 - latent / (all - DU). PMHF: its single-point part, DU. DC,
    diagnostic coverage of what is dangerous: DD / (DD + DU). The interval of a ratio of two estimates is made of theirs
    at (1 + confidence) / 2 (Bonferroni), so that it holds at least ``confidence`` whatever their correlation.
    """
    total = sum(part.fit(rates) for part in parts)
    du = _fit(parts, Class.DU, rates, confidence)
    both = {klass: _fit(parts, klass, rates, (1 + confidence) / 2) for klass in (Class.DU, Class.DD, Class.LATENT)}
    found = {
        "SPFM": Interval(1 - du.value / total, 1 - du.high / total, 1 - du.low / total, du.unsampled / total),
        "LFM": _latent_metric(total, both[Class.DU], both[Class.LATENT]),
        "PMHF": du,
    }
    coverage = ratio(both[Class.DD], both[Class.DU])
    return [*(Metric(name, value, verdicts(name, value)) for name, value in found.items()), Metric("DC", coverage)]


def _latent_metric(total: float, du: Interval, latent: Interval) -> Interval:
    def share(dangerous: float, hidden: float) -> float:
        rest = total - dangerous
        return max(0.0, 1 - hidden / rest) if rest > 0 else 0.0

    return Interval(
        share(du.value, latent.value), share(du.high, latent.high), share(du.low, latent.low), latent.unsampled / total
    )


def verdicts(name: str, value: Interval) -> tuple[str, ...]:
    """For each level whether the target is met, missed, or open: the interval lies on both sides of it."""
    found = []
    for target in TARGETS[name]:
        if name == "PMHF":
            good, bad = value.high < target, value.low >= target
        else:
            good, bad = value.low >= target, value.high < target
        found.append(MET if good else MISSED if bad else OPEN)
    return tuple(found)
