"""Intervals of weighted sums as their sources have them, spelled out with loops over plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import special, stats

Table = list[list[int]]


class Spelled:
    """One set of counts: ``weights`` of strata, ``draws`` and ``hits`` by stratum and image."""

    def __init__(self, weights: Sequence[float], draws: Table, hits: Table) -> None:
        self.weights, self.draws, self.hits = weights, draws, hits
        self.strata = [h for h in range(len(weights)) if sum(draws[h])]
        self.factor = {h: weights[h] / sum(draws[h]) for h in self.strata}
        self.value = math.fsum(self.factor[h] * sum(hits[h]) for h in self.strata)
        self.sampled = math.fsum(weights[h] for h in self.strata)
        self.rest = math.fsum(weights) - self.sampled
        self.most = max(self.factor.values(), default=0.0)

    def of_stratum(self, h: int) -> float:
        """Variance of weighted Poisson counts, less what a smoothed proportion takes away."""
        hits, draws = sum(self.hits[h]), sum(self.draws[h])
        return self.factor[h] ** 2 * hits * (1 - (hits + 0.5) / (draws + 1))

    @property
    def variance(self) -> float:
        return math.fsum(self.of_stratum(h) for h in self.strata)

    def misses(self) -> Spelled:
        turned = [[n - k for n, k in zip(*rows, strict=True)] for rows in zip(self.draws, self.hits, strict=True)]
        return Spelled(self.weights, self.draws, turned)


def between_images(parts: Sequence[tuple[Spelled, int]]) -> float:
    """Variance of the signed sum of ``parts`` from the sums of residuals of each image (Kish 1965, 6.5)."""
    first = parts[0][0]
    images = [i for i in range(len(first.draws[0])) if any(first.draws[h][i] for h in first.strata)]
    if len(images) < 2:
        return 0.0
    total = 0.0
    for i in images:
        residual = 0.0
        for part, sign in parts:
            for h in part.strata:
                mean = sum(part.hits[h]) / sum(part.draws[h])
                residual += sign * part.factor[h] * (part.hits[h][i] - mean * part.draws[h][i])
        total += residual**2
    return len(images) / (len(images) - 1) * total


def effect(parts: Sequence[tuple[Spelled, int]], confidence: float) -> float:
    """Variance between images over that of independent draws, with Student's t for the number of images behind it."""
    variances = {h: math.fsum(part.of_stratum(h) for part, _ in parts) for h in parts[0][0].strata}
    whole = math.fsum(variances.values())
    if not whole:
        return 1.0
    images = {h: sum(n > 0 for n in parts[0][0].draws[h]) for h in variances}
    behind = max(1, round(whole / math.fsum(v / images[h] for h, v in variances.items())))
    level = (1 + confidence) / 2
    wider = float(special.stdtrit(max(1, behind - 1), level) / special.ndtri(level)) ** 2
    return max(1.0, between_images(parts) / whole * wider)


def ends(part: Spelled, wider: float, confidence: float) -> tuple[float, float]:
    """Fay and Feuer (1997): chi-squared quantiles over twice the size of the count that has mean and variance."""
    if not part.most:  # nothing was drawn
        return 0.0, 0.0
    variance, tail = part.variance * wider, (1 - confidence) / 2
    low = variance / (2 * part.value) * stats.chi2.ppf(tail, 2 * part.value**2 / variance) if variance else 0.0
    mean, more = part.value + part.most, variance + part.most**2
    return min(low, part.value), max(part.value, more / (2 * mean) * stats.chi2.ppf(1 - tail, 2 * mean**2 / more))


def expected_interval(part: Spelled, confidence: float) -> tuple[float, float, float]:
    """Value and ends: of what is rarer, hits or misses."""
    rare = part.misses() if part.value > part.sampled / 2 else part
    low, high = ends(rare, effect([(rare, 1)], confidence), confidence)
    if rare is not part:
        low, high = part.sampled - high, part.sampled - low
    return part.value, max(0.0, low), min(part.sampled, high) + part.rest
