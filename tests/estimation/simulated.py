"""Machines that do not exist: strata of many sizes, rare failures, images that differ in how easily they fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fitact_hw.estimation.counts import Counts

IMAGES = 50
FEW_IMAGES = 6
"""Of every eighth stratum: those that RTL judges use fewer images."""


@dataclass(frozen=True)
class World:
    """``weights``, ``rates`` float64 (H,) and ``draws`` int64 (H,): so that ``expected`` hits are drawn in all.

    ``spread``: coefficient of variation of an image's factor on all rates (gamma distributed, mean 1).
    """

    weights: np.ndarray
    rates: np.ndarray
    draws: np.ndarray
    spread: float

    @staticmethod
    def make(rng: np.random.Generator, expected: float, spread: float, strata: int = 40) -> World:
        """A third of the strata never fails; draws roughly by Neyman, as in a campaign after its pilot."""
        weights = rng.dirichlet(np.full(strata, 0.5)) * 0.3
        rates = rng.lognormal(0, 1.5, strata)
        rates[: strata // 3] = 0
        sizes = weights * np.sqrt(np.maximum(rates, 0.02 * rates.max()))
        draws = np.maximum(8, (4000 * sizes / sizes.sum()).astype(int))
        rates *= expected / (rates @ draws)
        return World(weights, np.minimum(rates, 0.95), draws, spread)

    @property
    def truth(self) -> float:
        """The weighted sum over images of all kinds; rates are small enough that none is cut off at 1."""
        return float(self.weights @ self.rates)

    def samples(self, rng: np.random.Generator, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(draws, rates), (H, IMAGES) each, for images that are drawn anew each time."""
        strata = len(self.weights)
        for _ in range(number):
            factors = rng.gamma(1 / self.spread**2, self.spread**2, IMAGES) if self.spread else np.ones(IMAGES)
            order = rng.permutation(IMAGES)
            draws = np.zeros((strata, IMAGES), np.int64)
            for stratum in range(strata):
                images = order[: IMAGES if stratum % 8 else FEW_IMAGES]
                each, more = divmod(int(self.draws[stratum]), len(images))
                draws[stratum, images] = each
                draws[stratum, rng.permutation(images)[:more]] += 1
            yield draws, np.minimum(1.0, self.rates[:, None] * factors)

    def counts(self, rng: np.random.Generator, number: int) -> Iterator[Counts]:
        """Samples of one scheme."""
        for draws, rates in self.samples(rng, number):
            yield Counts(self.weights, draws, rng.binomial(draws, rates))

    def pairs(self, rng: np.random.Generator, number: int, share: float) -> Iterator[tuple[Counts, Counts]]:
        """Samples of two schemes: discordant pairs, of which the first fails in ``share``."""
        for draws, rates in self.samples(rng, number):
            discordant = rng.binomial(draws, rates)
            first = rng.binomial(discordant, share)
            yield Counts(self.weights, draws, first), Counts(self.weights, draws, discordant - first)
