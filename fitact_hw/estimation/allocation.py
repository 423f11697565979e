"""How many draws each stratum gets next."""

from __future__ import annotations

import numpy as np

MOST_GROWTH = 4
"""A round gives a stratum at most so many times what it has: early proportions are uncertain."""


def smoothed(hits: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Proportions with half a hit and half a miss more (Jeffreys): never 0, so that no stratum is starved."""
    return np.asarray((hits + 0.5) / (draws + 1.0))


def neyman(weights: np.ndarray, variances: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Shares of the draws that give the smallest variance of the weighted sum for a given cost.

    Cochran, Sampling Techniques (1977), section 5.5: proportional to weight x standard deviation / sqrt(cost).
    ``variances``: of one draw in each stratum.
    """
    sizes = weights * np.sqrt(variances / costs)
    total = sizes.sum()
    return np.asarray(sizes / total if total else np.full(len(weights), 1 / max(1, len(weights))))


def next_draws(
    drawn: np.ndarray, weights: np.ndarray, variances: np.ndarray, costs: np.ndarray, budget: float, floor: int
) -> np.ndarray:
    """int64 (H,): draws of a round that costs about ``budget``, so that all draws together come close to Neyman's.

    ``drawn``: before. Strata that have more than their share get none; every stratum with a weight has at least
    ``floor`` in all. Rounded by largest remainders, so that equal input gives equal output.
    """
    share = neyman(weights, variances, costs)
    low = np.where(weights > 0, np.maximum(0, floor - drawn), 0)
    per_draw = float(share @ costs)
    total = (budget + float(drawn @ costs)) / per_draw if per_draw else 0.0
    missing = np.maximum(0.0, share * total - drawn)
    missing = np.minimum(missing, MOST_GROWTH * np.maximum(drawn, floor))
    spent = float(missing @ costs)
    if spent > budget:  # strata that have more than their share leave less for the others
        missing *= budget / spent
    whole = np.floor(missing).astype(np.int64)
    rest = round(float((missing - whole).sum()))
    order = np.argsort(-(missing - whole), kind="stable")
    whole[order[:rest]] += 1
    return np.asarray(np.maximum(whole, low))
