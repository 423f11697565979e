"""Estimates, allocation and power against scipy and against what they reduce to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from fitact_hw.estimation.allocation import neyman
from fitact_hw.estimation.counts import Counts, cluster_variance
from fitact_hw.estimation.intervals import difference, interval
from fitact_hw.estimation.power import detectable, effort_for, power


def _counts(weights: list[float], draws: list[list[int]], hits: list[list[int]]) -> Counts:
    return Counts(np.array(weights), np.array(draws), np.array(hits))


@pytest.mark.parametrize("hits", [0, 1, 2, 7, 30])
def test_one_stratum_of_rare_hits_has_the_exact_interval_of_a_poisson_count(hits: int) -> None:
    """Witness: tail probabilities of scipy's Poisson distribution at the ends."""
    images, each = 5000, 400_000  # many: a variance between few images widens the interval
    row = np.zeros(images, int)
    row[:hits] = 1  # on different images: no more clustered than chance
    found = interval(Counts(np.array([1.0]), np.full((1, images), each), row[None]))
    size = images * each
    high = stats.poisson(found.high * size)
    assert high.cdf(hits) == pytest.approx(0.025, rel=2e-3)
    if hits:
        low = stats.poisson(found.low * size)
        assert low.sf(hits - 1) == pytest.approx(0.025, rel=2e-3)
    else:
        assert found.low == 0


def test_the_value_is_the_weighted_sum_and_the_rest_cannot_hit() -> None:
    found = interval(_counts([0.1, 0.2], [[50, 50], [10, 10]], [[1, 1], [5, 5]]))
    assert found.value == pytest.approx(0.1 * 0.02 + 0.2 * 0.5)
    assert found.low < found.value < found.high < 0.3


def test_strata_without_a_draw_bound_the_value() -> None:
    sampled = interval(_counts([0.1], [[50, 50]], [[1, 1]]))
    found = interval(_counts([0.1, 0.2], [[50, 50], [0, 0]], [[1, 1], [0, 0]]))
    assert (found.low, found.high) == pytest.approx((sampled.low, sampled.high + 0.2))
    assert found.unsampled == pytest.approx(0.2)
    nothing = interval(_counts([0.3], [[0, 0]], [[0, 0]]))
    assert (nothing.low, nothing.high) == pytest.approx((0, 0.3))


def test_hits_and_misses_are_mirror_images() -> None:
    counts = _counts([0.4, 0.1], [[30, 30], [8, 8]], [[3, 1], [0, 1]])
    one, other = interval(counts), interval(counts.complement())
    assert (one.low, one.high) == pytest.approx((0.5 - other.high, 0.5 - other.low))


def test_all_hits_on_one_image_widen_the_interval() -> None:
    spread, heaped = np.zeros((1, 50), int), np.zeros((1, 50), int)
    spread[0, :20], heaped[0, 0] = 1, 20
    draws = np.full((1, 50), 40)
    one, other = (interval(Counts(np.array([1.0]), draws, hits)) for hits in (spread, heaped))
    assert one.value == other.value
    assert other.half > 2 * one.half
    assert other.design_effect > 10 > 1.2 > one.design_effect >= 1


def test_variance_between_images_is_that_of_their_means() -> None:
    """Equal draws on every image: the variance of a mean of independent values, as numpy and scipy have it."""
    rng = np.random.default_rng(1)
    draws = np.full((1, 30), 20)
    hits = rng.binomial(20, rng.uniform(0, 0.4, 30))[None]
    expected = stats.sem(hits[0] / 20) ** 2
    assert cluster_variance(draws, hits, np.array([1 / 600])) == pytest.approx(expected)


def test_a_difference_changes_its_sign_with_its_sides() -> None:
    first = _counts([0.3, 0.1], [[40, 40], [9, 9]], [[3, 2], [1, 0]])
    second = _counts([0.3, 0.1], [[40, 40], [9, 9]], [[0, 1], [0, 0]])
    one, other = difference(first, second), difference(second, first)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one.value == pytest.approx(first.value - second.value)


def test_neyman_has_the_smallest_variance_for_its_cost() -> None:
    """Witness: scipy's minimiser."""
    weights, variances, costs = np.array([0.5, 0.3, 0.2]), np.array([0.01, 0.2, 0.05]), np.array([1.0, 9.0, 100.0])

    def variance(logs: np.ndarray) -> float:
        shares = np.exp(logs)
        return float((weights**2 * variances / shares).sum() * (shares @ costs))

    best = np.exp(optimize.minimize(variance, np.zeros(3), method="Nelder-Mead", tol=1e-12).x)
    assert neyman(weights, variances, costs) == pytest.approx(best / best.sum(), rel=1e-4)


def test_power_is_that_of_a_normal_test() -> None:
    half = stats.norm.ppf(0.975) * 0.01
    rng = np.random.default_rng(3)
    found = rng.normal(0.02, 0.01, 100_000)
    assert power(0.02, half) == pytest.approx(np.mean(np.abs(found) > half), abs=0.005)
    assert power(detectable(half), half) == pytest.approx(0.8, abs=1e-3)
    assert power(0.0, half) == pytest.approx(0.05)
    assert effort_for(0.02, 0.01) == pytest.approx(4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        _counts([0.1], [[1], [2]], [[0], [0]])
    with pytest.raises(ValueError, match="some of the draws"):
        _counts([0.1], [[1]], [[2]])
