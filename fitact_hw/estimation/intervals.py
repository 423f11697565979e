"""Intervals of weighted sums of rare events: gamma intervals, widened for clusters of images.

Fay and Feuer, Statistics in Medicine 16 (1997) 791: a weighted sum of Poisson counts is matched to a gamma
distribution; its upper end counts one more hit in the stratum where it weighs most. Of one stratum it is the exact
(Garwood) interval. Differences: Zou and Donner, Statistics in Medicine 27 (2008) 1693 (MOVER). docs/method/sampling.md
says what else was tried and why it lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.stats import gamma, norm, t

from fitact_hw.estimation.counts import Counts, binomial_variances, cluster_variance

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate between its ends. ``unsampled``: weight of strata without a draw, which only bound it;
    ``design_effect``: variance with images as clusters over that of independent draws, at least 1."""

    value: float
    low: float
    high: float
    unsampled: float = 0.0
    design_effect: float = 1.0

    @property
    def half(self) -> float:
        """Half of the width."""
        return (self.high - self.low) / 2


@lru_cache(maxsize=64)
def _widening(images: int, confidence: float) -> float:
    """Square of Student's quantile over the normal one: a variance between few images is itself uncertain."""
    tail = 0.5 + confidence / 2
    return float(t.ppf(tail, max(1, images - 1)) / norm.ppf(tail)) ** 2


def _images_of(draws: np.ndarray, variances: np.ndarray) -> int:
    """Images behind a sum: the harmonic mean of those of its strata, each by its part of the variance."""
    used = (draws > 0).sum(axis=1)
    some = (variances > 0) & (used > 0)
    if not some.any():
        return int(used.max(initial=0))
    return max(1, round(float(variances[some].sum() / (variances[some] / used[some]).sum())))


def design_effect(
    draws: np.ndarray, scores: np.ndarray, factors: np.ndarray, variances: np.ndarray, confidence: float
) -> float:
    """Variance between images over that of independent draws (``variances`` (H,)), at least 1."""
    whole = float(variances.sum())
    if not whole:
        return 1.0
    images = _images_of(draws, variances)
    return max(1.0, cluster_variance(draws, scores, factors) / whole * _widening(images, confidence))


def _gamma_ends(value: float, variance: float, most: float, confidence: float) -> tuple[float, float]:
    """Fay and Feuer's interval; ``most``: what one hit counts where it counts most."""
    tail = (1 - confidence) / 2
    upper_mean, upper_variance = value + most, variance + most**2
    low = float(gamma.ppf(tail, value**2 / variance, scale=variance / value)) if variance else 0.0
    high = value
    if most:
        high = float(gamma.ppf(1 - tail, upper_mean**2 / upper_variance, scale=upper_variance / upper_mean))
    return min(value, low), max(value, high)


def interval(counts: Counts, confidence: float = CONFIDENCE) -> Interval:
    """Interval of :attr:`Counts.value`. Strata without a draw add anything from 0 to their weight to it."""
    sampled = float(counts.weights.sum()) - counts.unsampled
    if counts.value > sampled / 2:  # the rarer side is where hits are like Poisson counts
        found = _rare(counts.complement(), confidence)
        low, high = sampled - found.high, sampled - found.low
    else:
        found = _rare(counts, confidence)
        low, high = found.low, found.high
    low, high = max(0.0, low), min(sampled, high)
    return replace(found, value=counts.value, low=low, high=high + counts.unsampled, unsampled=counts.unsampled)


def _rare(counts: Counts, confidence: float) -> Interval:
    variances = binomial_variances(counts)
    effect = design_effect(counts.draws, counts.hits, counts.factors, variances, confidence)
    most = float(counts.factors.max(initial=0.0))
    low, high = _gamma_ends(counts.value, float(variances.sum()) * effect, most, confidence)
    return Interval(counts.value, low, high, 0.0, effect)


def difference(first: Counts, second: Counts, confidence: float = CONFIDENCE) -> Interval:
    """P(only the first fails) - P(only the second fails) of pairs: ``hits`` are discordant pairs, draws the same.

    A pair counts for one of them or for none, so both parts are nearly independent where they are rare.
    """
    one, other = _rare(first, confidence), _rare(second, confidence)
    value = one.value - other.value
    scores = first.hits - second.hits
    variances = binomial_variances(first) + binomial_variances(second)
    effect = design_effect(first.draws, scores, first.factors, variances, confidence)
    # ends of the parts with the design effect of the difference: what both have in common on an image cancels
    parts = [
        _gamma_ends(
            part.value,
            float(binomial_variances(part).sum()) * effect,
            float(part.factors.max(initial=0.0)),
            confidence,
        )
        for part in (first, second)
    ]
    (low, high), (other_low, other_high) = parts
    below = math.hypot(one.value - low, other_high - other.value)
    above = math.hypot(high - one.value, other.value - other_low)
    rest, most = first.unsampled, float(first.weights.sum())
    return Interval(value, max(-most, value - below - rest), min(most, value + above + rest), rest, effect)


def ratio(first: Interval, other: Interval) -> Interval:
    """``first / (first + other)`` of two sums, from both their intervals: with those at (1 + confidence) / 2 it holds
    at least ``confidence`` whatever their correlation (Bonferroni). ``unsampled`` is 1 where it is only bounded."""

    def share(one: float, two: float, nothing: float) -> float:
        both = one + two
        return one / both if both else nothing

    value = share(first.value, other.value, 0.0)
    low, high = share(first.low, other.high, 0.0), share(first.high, other.low, 1.0)
    return Interval(value, low, high, 0.0 if first.value + other.value and not other.unsampled else 1.0)
