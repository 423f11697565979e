"""Sample sizes, and probabilities with intervals from a stratified campaign."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import binomtest, norm

from fitact_hw.faults import wilson_interval


def sample_size(population: int, margin: float, confidence: float = 0.95, p: float = 0.5) -> int:
    """Injections for a margin of error of ``margin`` (a fraction), finite population (Leveugle et al., DATE 2009).

    ``population``: possible upsets, bits x cycles. ``p``: expected probability; 0.5 is the safe choice.
    """
    if population < 1 or not 0 < margin < 1 or not 0 < confidence < 1:
        raise ValueError("population >= 1, margin and confidence between 0 and 1")
    t = float(norm.ppf(0.5 + confidence / 2))
    return math.ceil(population / (1 + margin**2 * (population - 1) / (t**2 * p * (1 - p))))


@dataclass(frozen=True)
class Estimate:
    """A probability with its interval."""

    value: float
    low: float
    high: float
    hits: int
    total: int

    @staticmethod
    def of(hits: int, total: int, confidence: float = 0.95) -> Estimate:
        """Proportion with its Wilson interval."""
        low, high = wilson_interval(hits, total, confidence)
        return Estimate(hits / total if total else 0.0, low, high, hits, total)


def stratified(parts: dict[str, Estimate], weights: dict[str, float], confidence: float = 0.95) -> Estimate:
    """Probability over all structures: each one's share weighted with its number of bits.

    The interval is Wilson's for an effective sample size ``p (1 - p) / variance``, where p and every stratum's variance
    come from smoothed proportions, so that a stratum without hits still counts.
    """
    total = sum(weights[name] for name in parts)
    value = sum(weights[name] / total * part.value for name, part in parts.items())
    hits, count = sum(p.hits for p in parts.values()), sum(p.total for p in parts.values())
    variance = centre = 0.0
    for name, part in parts.items():
        smoothed = (part.hits + 1) / (part.total + 2)
        centre += weights[name] / total * smoothed
        variance += (weights[name] / total) ** 2 * smoothed * (1 - smoothed) / max(1, part.total)
    if not variance:
        return Estimate(value, 0.0, 1.0, hits, count)
    size = max(1, round(centre * (1 - centre) / variance))
    z2 = float(norm.ppf(0.5 + confidence / 2)) ** 2
    centre = (value + z2 / (2 * size)) / (1 + z2 / size)
    half = math.sqrt(z2 * (value * (1 - value) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    # rounding must not push 0 or 1 out of their own interval
    low, high = min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half))
    return Estimate(value, low, high, hits, count)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that two schemes fail equally often on the same faults (discordant pairs)."""
    pairs = only_first + only_second
    return float(binomtest(only_first, pairs).pvalue) if pairs else 1.0
