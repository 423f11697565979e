"""Accuracy over fault maps: a summary of each network and rate, paired with the reference; what faulty bounds cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitact_hw.reporting.map_statistics import Interval, mean_interval, paired_interval, too_few
from fitact_hw.resilience.store import Row
from fitact_hw.resilience.subjects import FAULTY, PROTECTED
from golden.bounds.schemes import DEFAULT

REFERENCE = DEFAULT.name
"""The scheme that the others are compared with."""

BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"


@dataclass(frozen=True)
class Summary:
    """Accuracy over maps of one network at one rate, in per cent; and the paired difference of the reference
    minus this one (None for the reference itself, or where it was not run), over ``pairs`` maps that both have.

    One map has no interval. Without faults nothing is drawn: the only evaluation is exact, and its ends are its mean.
    """

    scheme: str
    word_bits: int
    memory: str
    rate: float
    maps: int
    images: int
    bound_bytes: int
    mean: float
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    pairs: int

    @property
    def label(self) -> str:
        """Scheme, and where its bounds are if that is not the faulty memory."""
        return self.scheme if self.memory == FAULTY else f"{self.scheme} ({self.memory} bounds)"

    @property
    def verdict(self) -> str:
        """What the reference is, in words: empty where there is nothing to compare or no fault."""
        if self.difference is None or self.rate == 0:
            return ""
        if too_few(self.pairs):
            return too_few(self.pairs)
        assert self.difference_low is not None
        assert self.difference_high is not None
        return BETTER if self.difference_low > 0 else WORSE if self.difference_high < 0 else NOT_SHOWN

    @property
    def note(self) -> str:
        """What the figures leave open; empty if nothing."""
        return too_few(self.maps if self.difference is None else self.pairs) if self.rate > 0 else ""


def summarise(rows: Sequence[Row], reference: str = REFERENCE) -> list[Summary]:
    """One summary per network and rate, in the order of the rows' first appearance within a word width.

    A network is compared with the reference in the same kind of bound memory; one that has no bounds with the
    reference in faulty memory, or in protected memory if it was run only there. Only maps that both have count in
    the difference.
    """
    groups: dict[tuple[str, int, str, float], dict[int, Row]] = {}
    for row in rows:
        groups.setdefault((row.scheme, row.word_bits, row.memory, row.rate), {})[row.map] = row
    summaries = []
    for (scheme, word_bits, memory, rate), by_map in groups.items():
        first = next(iter(by_map.values()))
        values = {index: 100 * row.accuracy for index, row in sorted(by_map.items())}
        whole = _exact(rate, mean_interval(np.array(list(values.values()))))
        rival = groups.get((reference, word_bits, memory, rate), {})
        if not rival and first.bound_bytes == 0:
            rival = groups.get((reference, word_bits, PROTECTED, rate), {})
        common = [index for index in values if index in rival]
        gain: Interval | None = None
        if scheme != reference and common:
            ours = np.array([100 * rival[index].accuracy for index in common])
            gain = _exact(rate, paired_interval(ours, np.array([values[index] for index in common])))
        summaries.append(
            Summary(
                scheme, word_bits, memory, rate, len(values), first.images, first.bound_bytes,
                whole.mean, whole.low, whole.high,
                None if gain is None else gain.mean, None if gain is None else gain.low,
                None if gain is None else gain.high, 0 if gain is None else gain.count,
            )
        )  # fmt: skip
    return summaries


def _exact(rate: float, found: Interval) -> Interval:
    return replace(found, low=found.mean, high=found.mean) if rate == 0 else found


@dataclass(frozen=True)
class BoundsCost:
    """What is lost because the bounds lie in faulty memory: accuracy with protected bounds minus that with
    faulty ones, in points, over the same maps."""

    scheme: str
    word_bits: int
    rate: float
    maps: int
    lost: float
    low: float | None
    high: float | None

    @property
    def note(self) -> str:
        """What the figure leaves open; empty if nothing."""
        return too_few(self.maps)


def bounds_cost(rows: Sequence[Row]) -> list[BoundsCost]:
    """The loss of every network and rate that was run with both kinds of bound memory."""
    groups: dict[tuple[str, int, float], dict[str, dict[int, float]]] = {}
    for row in rows:
        kinds = groups.setdefault((row.scheme, row.word_bits, row.rate), {})
        kinds.setdefault(row.memory, {})[row.map] = 100 * row.accuracy
    costs = []
    for (scheme, word_bits, rate), kinds in groups.items():
        common = sorted(kinds.get(FAULTY, {}).keys() & kinds.get(PROTECTED, {}).keys())
        if rate > 0 and common:
            faulty, kept = (np.array([kinds[kind][index] for index in common]) for kind in (FAULTY, PROTECTED))
            loss = paired_interval(kept, faulty)
            costs.append(BoundsCost(scheme, word_bits, rate, loss.count, loss.mean, loss.low, loss.high))
    return costs
