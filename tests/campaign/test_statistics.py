"""Sample sizes and stratified intervals against published figures and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.campaign.statistics import Estimate, mcnemar, sample_size, stratified


def test_sample_sizes_of_leveugle() -> None:
    huge = 10**15
    assert sample_size(huge, 0.05) == 385
    assert sample_size(huge, 0.01) == 9604
    assert sample_size(huge, 0.01, 0.99) == 16588  # 16 590 with t rounded to 2.576
    assert sample_size(100, 0.01) == 99
    with pytest.raises(ValueError, match="margin"):
        sample_size(100, 0.0)


def test_stratified_weights_structures_by_bits() -> None:
    parts = {"big": Estimate.of(10, 100), "small": Estimate.of(90, 100)}
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
        parts = {name: Estimate.of(int(rng.binomial(200, p)), 200) for name, p in truth.items()}
        value = stratified(parts, weights)
        hits += value.low <= exact <= value.high
    assert hits >= 372


def test_no_hits_still_have_an_upper_bound() -> None:
    value = stratified({"a": Estimate.of(0, 1000)}, {"a": 5.0})
    assert value.low == 0.0
    assert 0.001 < value.high < 0.01


def test_mcnemar_is_exact() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 * 0.5**5)
    assert mcnemar(4, 4) == 1.0
