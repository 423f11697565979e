"""Sample sizes and stratified intervals against published figures and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

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
