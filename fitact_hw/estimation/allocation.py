"""How many draws of each stratum a round makes: Neyman's allocation with costs, from what the rounds before found.

Proportions are smoothed, so that a stratum in which nothing has failed yet is not starved; a part of the round goes by
weight alone, which bounds what one failure not yet seen may add; and each stratum gets a few draws at least.

If the draws of all rounds of a stratum were put together, its rate would be too low on average: an unlucky 0 leads to
few more draws, and stays. So each round is a stratified sample of its own, unbiased whatever led to its allocation,
and the rate is their mean weighted with their sizes (:func:`round_weights`), which do not depend on what failed where.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST = 4
"""Draws of a stratum in a round, at least."""

BY_WEIGHT = 0.25
"""Part of a round that goes by weight, whatever has failed so far."""


def smoothed(hits: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Proportions with half a hit and half a miss more (Jeffreys): never 0, so that no stratum is starved."""
    return np.asarray((hits + 0.5) / (draws + 1.0))


def neyman(weights: np.ndarray, variances: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Shares of the draws that give the smallest variance of the weighted sum for a given cost.

    Cochran, Sampling Techniques (1977), section 5.5: proportional to weight x standard deviation / sqrt(cost).
    ``variances``: of one draw in each stratum.
    """
    return _parts(weights * np.sqrt(variances / costs))


def allocation(
    weights: np.ndarray, variances: np.ndarray, costs: np.ndarray, total: int, least: int = LEAST
) -> np.ndarray:
    """Draws int64 (strata,) of a round of ``total``, or of ``least`` for each stratum if that is more.

    ``weights`` (share of the population), ``variances`` (of one draw), ``costs`` (of one draw, any unit): (strata,)
    each. Rounded by largest remainders, so that equal input gives equal output.
    """
    by_weight = _parts(weights / np.sqrt(costs))
    best = (1 - BY_WEIGHT) * neyman(weights, variances, costs) + BY_WEIGHT * by_weight
    numbers = np.full(len(weights), least, np.int64)
    free = total - int(numbers.sum())
    while free > 0:  # what lies above the floor shares the rest
        wanted = np.maximum(best * total - numbers, 0)
        more = _whole(wanted, min(free, int(np.ceil(wanted.sum()))))
        if not more.sum():
            more = _whole(best, free)
        numbers += more
        free -= int(more.sum())
    return numbers


def round_weights(sizes: Sequence[int]) -> np.ndarray:
    """Weight of each round in the rate, float64 (rounds,): by its size."""
    return _parts(np.asarray(sizes, float))


def _parts(values: np.ndarray) -> np.ndarray:
    whole = values.sum()
    return np.asarray(values / whole) if whole > 0 else np.full(len(values), 1 / max(1, len(values)))


def _whole(values: np.ndarray, total: int) -> np.ndarray:
    """``total`` in whole numbers in proportion to ``values`` (largest remainders; the first of equal ones)."""
    exact = _parts(values) * total
    numbers = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - numbers), kind="stable")[: total - int(numbers.sum())]
    numbers[order] += 1
    return numbers
