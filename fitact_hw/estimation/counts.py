"""What a stratified sample found: draws and hits by stratum and image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Counts:
    """Draws of H strata on I images, and those that hit.

    ``weights``: float64 (H,), share of the population that each stratum is (they need not add up to 1: the rest cannot
    hit); ``draws``, ``hits``: int64 (H, I). Raises ValueError for other shapes and for more hits than draws.
    """

    weights: np.ndarray
    draws: np.ndarray
    hits: np.ndarray

    def __post_init__(self) -> None:
        if self.draws.shape != self.hits.shape or self.draws.shape[:1] != self.weights.shape or self.draws.ndim != 2:
            raise ValueError("weights (H,), draws (H, I) and hits (H, I) belong together")
        if (self.hits > self.draws).any() or (self.hits < 0).any() or (self.weights < 0).any():
            raise ValueError("hits are some of the draws, weights are not negative")

    @cached_property
    def drawn(self) -> np.ndarray:
        """int64 (H,): draws of each stratum."""
        return np.asarray(self.draws.sum(axis=1))

    @cached_property
    def hit(self) -> np.ndarray:
        """int64 (H,): hits of each stratum."""
        return np.asarray(self.hits.sum(axis=1))

    @cached_property
    def factors(self) -> np.ndarray:
        """float64 (H,): what one hit counts, weight / draws; 0 where nothing was drawn."""
        return np.divide(self.weights, self.drawn, out=np.zeros_like(self.weights), where=self.drawn > 0)

    @property
    def value(self) -> float:
        """The weighted sum of the strata's proportions."""
        return float(self.factors @ self.hit)

    @property
    def unsampled(self) -> float:
        """Weight of the strata without a draw."""
        return float(self.weights[self.drawn == 0].sum())

    @property
    def images(self) -> int:
        """Images with a draw."""
        return int((self.draws.sum(axis=0) > 0).sum())

    def complement(self) -> Counts:
        """The draws that do not hit."""
        return replace(self, hits=self.draws - self.hits)


def binomial_variances(counts: Counts) -> np.ndarray:
    """float64 (H,): variance that each stratum adds to the value if draws are independent.

    ``factor^2 k (1 - p)`` with p smoothed: that of weighted Poisson counts where hits are rare, half of it at p = 1/2.
    """
    smooth = (counts.hit + 0.5) / (counts.drawn + 1)
    return np.asarray(counts.factors**2 * counts.hit * (1 - smooth))


def cluster_variance(draws: np.ndarray, scores: np.ndarray, factors: np.ndarray) -> float:
    """Variance of a weighted sum between images ("ultimate clusters"): images are drawn, then points on them.

    ``scores``: (H, I) sum of what the draws of each stratum and image count, from -1 to 1 each. Cochran, Sampling
    Techniques (1977), section 11; Kish, Survey Sampling (1965), section 6.5: I / (I - 1) x sum of squared residuals.
    """
    used = draws.sum(axis=0) > 0
    images = int(used.sum())
    if images < 2:
        return 0.0
    drawn = draws.sum(axis=1)
    means = np.divide(scores.sum(axis=1), drawn, out=np.zeros(len(drawn)), where=drawn > 0)
    residuals = (factors[:, None] * (scores - means[:, None] * draws)).sum(axis=0)[used]
    return float(images / (images - 1) * (residuals**2).sum())
