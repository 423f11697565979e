"""Sample sizes, and probabilities with intervals from a stratified campaign."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from scipy.stats import binomtest, norm


@lru_cache(maxsize=8)
def _normal_quantile(confidence: float) -> float:
    """Half width of the central interval of the standard normal distribution."""
    return float(norm.ppf(0.5 + confidence / 2))


def wilson(value: float, size: float, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of the proportion ``value`` of ``size`` observations, which need not be whole."""
    z2 = _normal_quantile(confidence) ** 2
    centre = (value + z2 / (2 * size)) / (1 + z2 / size)
    half = math.sqrt(z2 * (value * (1 - value) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    # rounding must not push 0 or 1 out of their own interval
    return min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half))


def sample_size(population: int, margin: float, confidence: float = 0.95, p: float = 0.5) -> int:
    """Injections for a margin of error of ``margin`` (a fraction), finite population (Leveugle et al., DATE 2009).

    ``population``: possible upsets, bits x cycles. ``p``: expected probability; 0.5 is the safe choice.
    """
    if population < 1 or not 0 < margin < 1 or not 0 < confidence < 1:
        raise ValueError("population >= 1, margin and confidence between 0 and 1")
    t = _normal_quantile(confidence)
    return math.ceil(population / (1 + margin**2 * (population - 1) / (t**2 * p * (1 - p))))


@dataclass(frozen=True)
class Estimate:
    """A probability with its interval.

    ``unsampled``: share of the population that nothing was drawn from. ``value`` counts it as 0, the interval as
    anything from 0 to 1: such a probability is bounded, not estimated.
    """

    value: float
    low: float
    high: float
    hits: int
    total: int
    unsampled: float = 0.0

    @staticmethod
    def of(hits: int, total: int, confidence: float = 0.95) -> Estimate:
        """Proportion with its Wilson interval."""
        if not total:
            return Estimate(0.0, 0.0, 1.0, hits, total, 1.0)
        return Estimate(hits / total, *wilson(hits / total, total, confidence), hits, total)

    def scaled(self, factor: float) -> Estimate:
        """The same in another unit."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)

    def beside(self, unsampled: float) -> Estimate:
        """Of a population of which this is the rest: nothing was drawn from the share ``unsampled``."""
        rest = 1 - unsampled
        return replace(
            self,
            value=rest * self.value,
            low=rest * self.low,
            high=rest * self.high + unsampled,
            unsampled=unsampled + rest * self.unsampled,
        )


def stratified(
    parts: Mapping[str, tuple[int, int]], weights: Mapping[str, float], confidence: float = 0.95
) -> Estimate:
    """Probability over all structures: each one's share weighted with its number of bits.

    ``parts``: structure -> (hits, injections).
    The interval is Wilson's for an effective sample size ``p (1 - p) / variance``, where p and every stratum's variance
    come from smoothed proportions, so that a stratum without hits still counts.
    """
    total = sum(weights[name] for name in parts)
    hits, count = (sum(part[place] for part in parts.values()) for place in range(2))
    value = variance = centre = 0.0
    for name, (bad, drawn) in parts.items():
        smoothed = (bad + 1) / (drawn + 2)
        value += weights[name] / total * bad / max(1, drawn)
        centre += weights[name] / total * smoothed
        variance += (weights[name] / total) ** 2 * smoothed * (1 - smoothed) / max(1, drawn)
    if not variance:
        return Estimate(value, 0.0, 1.0, hits, count)
    size = max(1, round(centre * (1 - centre) / variance))
    return Estimate(value, *wilson(value, size, confidence), hits, count)


@dataclass(frozen=True)
class Difference:
    """P(first fails) - P(second fails) on the same faults, with its interval.

    ``only_first``, ``only_second``: faults on which just one of them fails; ``p``: McNemar's exact p-value;
    ``unsampled``: as of :class:`Estimate`, where the difference may be anything from -1 to 1.
    """

    value: float
    low: float
    high: float
    only_first: int
    only_second: int
    total: int
    p: float
    unsampled: float = 0.0

    def beside(self, unsampled: float) -> Difference:
        """Over a population of which this is the rest: no fault struck the share ``unsampled``."""
        rest = 1 - unsampled
        return replace(
            self,
            value=rest * self.value,
            low=rest * self.low - unsampled,
            high=rest * self.high + unsampled,
            unsampled=unsampled + rest * self.unsampled,
        )

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_difference(only_first: int, only_second: int, total: int, confidence: float = 0.95) -> Difference:
    """Difference of two proportions over the same ``total`` faults.

    The interval is Wald's with one fault added to each discordant count (Bonett and Price, 2012), which holds its
    confidence for few discordant pairs.
    """
    return stratified_difference({"": (only_first, only_second, total)}, {"": 1.0}, confidence)


def stratified_difference(
    parts: Mapping[str, tuple[int, int, int]], weights: Mapping[str, float], confidence: float = 0.95
) -> Difference:
    """:func:`paired_difference` over all structures, each weighted with its number of bits.

    ``parts``: structure -> (only first fails, only second fails, faults). ``p`` is of all faults, unweighted.
    """
    only_first, only_second, total = (sum(part[place] for part in parts.values()) for place in range(3))
    p = mcnemar(only_first, only_second)
    if not all(count for _, _, count in parts.values()) or not parts:
        return Difference(0.0, -1.0, 1.0, only_first, only_second, total, p, 1.0)
    whole = sum(weights[name] for name in parts)
    value = centre = variance = 0.0
    for name, (first, second, count) in parts.items():
        share = weights[name] / whole
        one, other = (first + 1) / (count + 2), (second + 1) / (count + 2)
        value += share * (first - second) / count
        centre += share * (one - other)
        variance += share**2 * (one + other - (one - other) ** 2) / (count + 2)
    half = _normal_quantile(confidence) * math.sqrt(variance)
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return Difference(value, min(value, low), max(value, high), only_first, only_second, total, p)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that two schemes fail equally often on the same faults (discordant pairs)."""
    pairs = only_first + only_second
    return float(binomtest(only_first, pairs).pvalue) if pairs else 1.0
