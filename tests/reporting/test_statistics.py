"""Sample sizes and stratified intervals against published figures and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from fitact_hw.reporting.formats import number_interval, percent_interval
from fitact_hw.reporting.statistics import (
    Estimate,
    mcnemar,
    paired_difference,
    sample_size,
    stratified,
    stratified_difference,
)


def test_sample_sizes_of_leveugle() -> None:
    huge = 10**15
    assert sample_size(huge, 0.05) == 385
    assert sample_size(huge, 0.01) == 9604
    assert sample_size(huge, 0.01, 0.99) == 16588  # 16 590 with t rounded to 2.576
    assert sample_size(100, 0.01) == 99
    with pytest.raises(ValueError, match="margin"):
        sample_size(100, 0.0)


@pytest.mark.parametrize(("hits", "total"), [(0, 1), (0, 1000), (1, 40), (20, 40), (40, 40)])
def test_wilson_is_that_of_scipy(hits: int, total: int) -> None:
    estimate = Estimate.of(hits, total, 0.9)
    expected = binomtest(hits, total).proportion_ci(0.9, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert estimate.low <= estimate.value <= estimate.high


def test_wilson_of_rare_and_even_events() -> None:
    nothing = Estimate.of(0, 1000)
    assert nothing.low == 0
    assert 0.0037 < nothing.high < 0.0039  # 0 of 1000 leaves 0.37 to 0.38 %
    assert (Estimate.of(0, 0).low, Estimate.of(0, 0).high) == (0.0, 1.0)
    assert Estimate.of(5, 10).low == pytest.approx(0.2366, abs=1e-4)


def test_stratified_weights_structures_by_bits() -> None:
    parts = {"big": (10, 100), "small": (90, 100)}
    value = stratified(parts, {"big": 9.0, "small": 1.0})
    assert value.value == pytest.approx(0.18)
    assert value.low < 0.18 < value.high
    assert (value.hits, value.total) == (100, 200)


def test_stratified_intervals_cover() -> None:
    """At least 93 % of the 95 % intervals hold the true value, also with rare events."""
    rng = np.random.default_rng(5)
    truth, weights = {"a": 0.3, "b": 0.02, "c": 0.001}, {"a": 1.0, "b": 3.0, "c": 10.0}
    exact = sum(truth[k] * weights[k] for k in truth) / sum(weights.values())
    hits = 0
    for _ in range(400):
        parts = {name: (int(rng.binomial(200, p)), 200) for name, p in truth.items()}
        value = stratified(parts, weights)
        hits += value.low <= exact <= value.high
    assert hits >= 372


def test_no_hits_still_have_an_upper_bound() -> None:
    value = stratified({"a": (0, 1000)}, {"a": 5.0})
    assert value.low == 0.0
    assert 0.001 < value.high < 0.01


def test_mcnemar_is_exact() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 * 0.5**5)
    assert mcnemar(4, 4) == 1.0


def test_paired_difference_follows_its_formula() -> None:
    """Bonett and Price (2012): one is added to each discordant count, two to the number of pairs."""
    found = paired_difference(26, 7, 100)
    assert found.value == pytest.approx(0.19)
    one, other = 27 / 102, 8 / 102
    half = 1.959964 * ((one + other - (one - other) ** 2) / 102) ** 0.5
    assert (found.low, found.high) == pytest.approx((one - other - half, one - other + half))
    assert found.shown
    reverse = paired_difference(7, 26, 100)
    assert reverse.shown
    assert (reverse.low, reverse.high) == pytest.approx((-found.high, -found.low))
    assert not paired_difference(3, 2, 500).shown
    nothing = paired_difference(0, 0, 0)
    assert (nothing.low, nothing.high, nothing.shown) == (-1.0, 1.0, False)


def test_paired_differences_cover() -> None:
    """At least 93 % of the 95 % intervals hold the true weighted difference, also with rare events."""
    rng = np.random.default_rng(6)
    truth = {"a": (0.2, 0.1), "b": (0.02, 0.0), "c": (0.001, 0.002)}
    weights = {"a": 1.0, "b": 3.0, "c": 10.0}
    exact = sum(weights[k] * (one - other) for k, (one, other) in truth.items()) / sum(weights.values())
    covered = 0
    for _ in range(400):
        parts = {}
        for name, (one, other) in truth.items():
            first, second, _ = rng.multinomial(300, [one, other, 1 - one - other])
            parts[name] = (int(first), int(second), 300)
        found = stratified_difference(parts, weights)
        covered += found.low <= exact <= found.high
    assert covered >= 372


def test_what_was_not_sampled_bounds_a_probability() -> None:
    """A quarter of the bits without a draw: 10 of 100 elsewhere are 7.5 %, and the quarter may add nothing or 25 %."""
    rest = Estimate.of(10, 100)
    assert (rest.low, rest.high) == pytest.approx((0.05523, 0.17437), abs=1e-5)
    whole = rest.beside(0.25)
    assert (whole.value, whole.unsampled) == (pytest.approx(0.075), 0.25)
    assert (whole.low, whole.high) == pytest.approx((0.75 * 0.05523, 0.75 * 0.17437 + 0.25), abs=1e-5)
    assert whole.scaled(1000.0).high == pytest.approx(1000 * whole.high)
    assert whole.scaled(1000.0).unsampled == 0.25
    assert percent_interval(whole) == "4.14 to 38.1 %"
    assert number_interval(whole.scaled(1000.0)) == "41.4 to 381"
    assert percent_interval(Estimate.of(0, 0)) == "0 to 100.0 %"


def test_what_was_not_sampled_bounds_a_difference() -> None:
    """There one scheme may fail always and the other never, or the other way round."""
    rest = paired_difference(26, 7, 100)
    whole = rest.beside(0.1)
    assert whole.value == pytest.approx(0.9 * 0.19)
    assert (whole.low, whole.high) == pytest.approx((0.9 * rest.low - 0.1, 0.9 * rest.high + 0.1))
    assert (whole.only_first, whole.only_second, whole.total, whole.p) == (26, 7, 100, rest.p)
    assert rest.shown
    assert not rest.beside(0.3).shown
    assert " to " in percent_interval(whole)


@pytest.mark.parametrize(
    ("population", "size"), [(10, 10), (100, 80), (500, 218), (1000, 278), (10_000, 370), (1_000_000, 384)]
)
def test_sample_sizes_of_small_populations(population: int, size: int) -> None:
    """Krejcie and Morgan (1970), table 1, rounded up: 217.5 of 500 there is 217, and 384.0 of a million 384."""
    assert sample_size(population, 0.05) == pytest.approx(size, abs=0 if population < 1_000_000 else 1)


def test_sample_size_of_rare_events_and_other_confidences() -> None:
    """t of scipy.stats.norm: 1.644854 for 90 %, 2.575829 for 99 %."""
    assert sample_size(5000, 0.02, 0.9, 0.1) == 543  # 5000 / (1 + 0.0004 * 4999 / (2.705543 * 0.09)) = 542.9
    assert sample_size(5000, 0.02, 0.99, 0.1) == 1150  # t2 = 6.634897: 1149.8
    assert sample_size(1, 0.5) == 1
    assert sample_size(2, 0.9) == 2  # one of two would do for a population of N, not of N - 1, in the denominator


def test_stratified_interval_is_wilson_s_for_the_smoothed_variance() -> None:
    """Every figure by scipy.stats: proportions (x + 1) / (n + 2), their variance, and Wilson for that many draws."""
    parts, weights = {"a": (3, 50), "b": (0, 400), "c": (7, 7)}, {"a": 2.0, "b": 7.0, "c": 1.0}
    shares = {"a": 0.2, "b": 0.7, "c": 0.1}
    value = 0.2 * 3 / 50 + 0.1
    smoothed = {"a": 4 / 52, "b": 1 / 402, "c": 8 / 9}
    variance = sum(shares[k] ** 2 * smoothed[k] * (1 - smoothed[k]) / parts[k][1] for k in parts)
    centre = sum(shares[k] * smoothed[k] for k in parts)
    size = round(centre * (1 - centre) / variance)
    found = stratified(parts, weights)
    assert found.value == pytest.approx(value)
    z = norm.ppf(0.975)
    middle = (value + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * (value * (1 - value) / size + z * z / (4 * size * size)) ** 0.5
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert stratified(parts, {k: 10 * w for k, w in weights.items()}) == found  # only shares count


def test_equal_strata_are_one() -> None:
    """Two halves with the same share of hits: the interval is close to that of the whole."""
    halves, whole = stratified({"a": (20, 400), "b": (20, 400)}, {"a": 1, "b": 1}), Estimate.of(40, 800)
    assert (halves.low, halves.high) == pytest.approx((whole.low, whole.high), abs=5e-4)


def test_stratified_difference_by_hand() -> None:
    """Bonett and Price in every stratum, squares of the shares, the quantile of scipy.stats."""
    found = stratified_difference({"a": (5, 1, 48), "b": (0, 3, 98)}, {"a": 3.0, "b": 1.0}, 0.9)
    one, other = (6 / 50, 2 / 50), (1 / 100, 4 / 100)
    centre = 0.75 * (one[0] - one[1]) + 0.25 * (other[0] - other[1])
    variance = 0.75**2 * (sum(one) - (one[0] - one[1]) ** 2) / 50
    variance += 0.25**2 * (sum(other) - (other[0] - other[1]) ** 2) / 100
    half = norm.ppf(0.95) * variance**0.5
    assert found.value == pytest.approx(0.75 * 4 / 48 - 0.25 * 3 / 98)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half))
    assert found.p == pytest.approx(binomtest(5, 9).pvalue)
