"""Where the draws of a round go, and that the rate of several rounds is right."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.estimation.allocation import BY_WEIGHT, LEAST, allocation, round_weights, smoothed
from fitact_hw.estimation.counts import Counts
from fitact_hw.estimation.intervals import interval

SHARES, VARIANCES = np.array([0.6, 0.3, 0.1]), np.array([0.01, 0.04, 0.25])


def test_is_that_of_neyman_beside_the_part_by_weight() -> None:
    neyman = np.array([0.06, 0.06, 0.05]) / 0.17
    wanted = 10_000 * ((1 - BY_WEIGHT) * neyman + BY_WEIGHT * SHARES)
    assert np.abs(allocation(SHARES, VARIANCES, np.ones(3), 10_000) - wanted).max() <= 2


def test_costs_count_by_their_root() -> None:
    plain = allocation(SHARES, VARIANCES, np.ones(3), 10_000)
    dear = allocation(SHARES, VARIANCES, np.array([1.0, 1.0, 100.0]), 10_000)
    assert dear[2] < plain[2] / 4
    assert dear[0] > plain[0]


@pytest.mark.parametrize("total", [1, 13, 1000, 10_000, 123_457])
def test_total_is_kept_and_nobody_starves(total: int) -> None:
    numbers = allocation(SHARES, np.array([1e-6, 0.2, 0.0]), np.ones(3), total)
    assert numbers.sum() == max(total, 3 * LEAST)
    assert (numbers >= LEAST).all()


def test_smoothing_is_that_of_jeffreys() -> None:
    assert smoothed(np.array([0, 3]), np.array([9, 9])).tolist() == [0.05, 0.35]


ROUNDS = (200, 400, 800)


def adaptive(rng: np.random.Generator, shares: np.ndarray, rates: np.ndarray) -> tuple[float, Counts]:
    """Three rounds, each allocated by what the ones before found: the rate as all draws of a stratum together give it,
    and what the rounds found."""
    drawn, failed, cells = np.zeros(len(rates), np.int64), np.zeros(len(rates), np.int64), []
    for total in ROUNDS:
        q = smoothed(failed, drawn)
        more = allocation(shares, q * (1 - q), np.ones(len(rates)), total, 1)
        hits = rng.binomial(more, rates)
        cells.append((more, hits))
        drawn, failed = drawn + more, failed + hits
    weight = round_weights(ROUNDS)
    found = Counts(
        (weight[:, None] * shares).ravel(),
        np.concatenate([more for more, _ in cells])[:, None],
        np.concatenate([hits for _, hits in cells])[:, None],
    )
    return float((shares * failed / drawn).sum()), found


def test_rounds_that_follow_failures_do_not_bias_the_rate_and_its_interval_holds() -> None:
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(12)) * 0.5
    rates = rng.gamma(0.3, 0.02, 12)
    truth = float((shares * rates).sum())
    samples = [adaptive(rng, shares, rates) for _ in range(3000)]
    together, rounds = [value for value, _ in samples], [found.value for _, found in samples]
    error = float(np.std(rounds) / np.sqrt(len(rounds)))
    assert abs(np.mean(rounds) - truth) < 3 * error
    assert np.mean(together) < truth - 5 * error  # what the rounds are for
    ends = [interval(found) for _, found in samples]
    assert np.mean([item.low <= truth <= item.high for item in ends]) >= 0.94
