"""Intervals, variances and allocations against the formulas of their sources, spelled out with loops.

Coverage by simulation does not see an interval that is somewhat too wide, or a term that matters in few samples.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fitact_hw.estimation.allocation import BY_WEIGHT, LEAST, allocation, neyman, round_weights
from fitact_hw.estimation.counts import Counts, binomial_variances, cluster_variance
from fitact_hw.estimation.intervals import Interval, difference, interval
from fitact_hw.estimation.power import detectable, effort_for, power
from tests.estimation.spelled import Spelled, between_images, effect, ends, expected_interval


def drawn(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """Strata of which some have few images or no draw, and their rates."""
    rng = np.random.default_rng(seed)
    strata, images = int(rng.integers(2, 7)), int(rng.integers(2, 9))
    draws = rng.integers(1, 30, (strata, images))
    draws[0, 1:] = 0
    draws[1] *= seed % 3 > 0
    low, high = ((0, 0.1), (0, 0.5), (0.5, 1))[seed % 3]
    return rng, rng.dirichlet(np.ones(strata)) * 0.7, draws, rng.uniform(low, high, strata)


def same(found: Interval, wanted: tuple[float, float, float]) -> None:
    assert (found.value, found.low, found.high) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize("seed", range(30))
def test_interval(seed: int, confidence: float) -> None:
    rng, weights, draws, rates = drawn(seed)
    hits = rng.binomial(draws, rates[:, None] ** rng.uniform(0, 2, draws.shape[1]))
    part = Spelled(weights.tolist(), draws.tolist(), hits.tolist())
    found = interval(Counts(weights, draws, hits), confidence)
    same(found, expected_interval(part, confidence))
    assert found.unsampled == pytest.approx(part.rest)
    rare = part.misses() if part.value > part.sampled / 2 else part
    assert found.design_effect == pytest.approx(effect([(rare, 1)], confidence))


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize("seed", range(30))
def test_difference(seed: int, confidence: float) -> None:
    """Zou and Donner (2008): distances of the ends of both parts, squared, added."""
    rng, weights, draws, rates = drawn(seed)
    discordant = rng.binomial(draws, rates[:, None] * rng.uniform(0, 1, draws.shape[1]))
    first = rng.binomial(discordant, 0.3)
    one, other = (
        Spelled(weights.tolist(), draws.tolist(), part.tolist()) for part in (first, discordant - first)
    )  # fmt: skip
    wider = effect([(one, 1), (other, -1)], confidence)
    (low, high), (other_low, other_high) = (ends(part, wider, confidence) for part in (one, other))
    value, most = one.value - other.value, math.fsum(weights)
    below = ((one.value - low) ** 2 + (other_high - other.value) ** 2) ** 0.5 + one.rest
    above = ((high - one.value) ** 2 + (other.value - other_low) ** 2) ** 0.5 + one.rest
    found = difference(Counts(weights, draws, first), Counts(weights, draws, discordant - first), confidence)
    same(found, (value, max(-most, value - below), min(most, value + above)))
    assert (found.unsampled, found.design_effect) == pytest.approx((one.rest, wider))


def test_a_difference_is_no_more_than_all_there_is() -> None:
    """Few draws, all of them hits of the first: the upper end is the weight of what was drawn and of the rest."""
    draws, weights = np.array([[2], [0]]), np.array([0.3, 0.2])
    all_of_them, none = (Counts(weights, draws, hits) for hits in (draws, 0 * draws))
    found = difference(all_of_them, none)
    assert (found.value, found.high) == pytest.approx((0.3, 0.5))
    found = difference(none, all_of_them)
    assert (found.value, found.low) == pytest.approx((-0.3, -0.5))
    with pytest.raises(ValueError, match="some of the draws"):
        Counts(weights, np.array([[2, 1], [3, 3]]), np.array([[1, 2], [0, 0]]))


@pytest.mark.parametrize("seed", range(10))
def test_variances(seed: int) -> None:
    rng, weights, draws, rates = drawn(seed)
    draws[:, -1] = 0  # an image without a draw is no cluster
    hits = rng.binomial(draws, rates[:, None])
    counts, part = Counts(weights, draws, hits), Spelled(weights.tolist(), draws.tolist(), hits.tolist())
    assert binomial_variances(counts).sum() == pytest.approx(part.variance)
    assert cluster_variance(draws, hits, counts.factors) == pytest.approx(between_images([(part, 1)]))
    assert counts.images == sum(any(row[i] for row in part.draws) for i in range(draws.shape[1]))


def test_one_image_has_no_variance_between_images() -> None:
    assert cluster_variance(np.array([[5]]), np.array([[2]]), np.array([0.1])) == 0.0


def test_allocation_by_hand() -> None:
    """Floors of LEAST first; what lies above them shares the rest by the weighted mean of both ways."""
    weights, variances, costs = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.01, 0.2, 0.09, 0.25]), np.array(
        [1.0, 4.0, 25.0, 9.0]
    )  # fmt: skip
    by_spread = [w * (v / c) ** 0.5 for w, v, c in zip(weights, variances, costs, strict=True)]
    by_weight = [w / c**0.5 for w, c in zip(weights, costs, strict=True)]
    assert neyman(weights, variances, costs) == pytest.approx(np.array(by_spread) / sum(by_spread))
    wanted = [
        10_000 * ((1 - BY_WEIGHT) * a / sum(by_spread) + BY_WEIGHT * b / sum(by_weight))
        for a, b in zip(by_spread, by_weight, strict=True)
    ]
    found = allocation(weights, variances, costs, 10_000)
    assert np.abs(found - wanted).max() < 1
    assert found.sum() == 10_000
    small = allocation(weights, variances, costs, 40)
    assert small.sum() == 40
    assert small.min() >= LEAST
    # what is left above the floors goes where most is wanted
    assert (small > LEAST).tolist() == [40 * w / 10_000 > LEAST for w in wanted]


def test_largest_remainders_first_of_equal_ones() -> None:
    ones = np.ones(3)
    assert allocation(ones / 3, ones, ones, 14, 1).tolist() == [5, 5, 4]
    assert allocation(np.array([0.1, 0.45, 0.45]), ones, ones, 11, 0).tolist() == [1, 5, 5]
    assert round_weights([100, 300]).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_power_by_its_definition(confidence: float) -> None:
    """The estimate is normal with the standard error that belongs to the half width."""
    half = 0.03
    error = half / stats.norm.ppf((1 + confidence) / 2)
    for shift in (0.0, 0.01, -0.02, 0.09):
        outside = stats.norm(shift, error).sf(half) + stats.norm(shift, error).cdf(-half)
        assert power(shift, half, confidence) == pytest.approx(outside)
    for wanted in (0.8, 0.95):
        shift = detectable(half, confidence, wanted)
        assert stats.norm(shift, error).sf(half) == pytest.approx(wanted)
    assert (power(0.0, 0.0), power(0.1, 0.0)) == (0.0, 1.0)
    assert (effort_for(0.03, 0.01), effort_for(0.01, 0.03)) == pytest.approx((9.0, 1.0))
