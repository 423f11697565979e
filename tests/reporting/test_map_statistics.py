"""Intervals over fault maps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fitact_hw.reporting import map_statistics
from fitact_hw.reporting.map_statistics import Interval, mean_interval, paired_interval, too_few
from golden.errors import GoldenError


def ends(interval: Interval) -> tuple[float, float]:
    """Of an interval that is there."""
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def test_interval_of_normal_values_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(50, 4, 400)
    interval = mean_interval(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)
    assert interval.count == 400


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    """Skewed accuracies of 20 maps: 95 % nominal; bootstrap of so few is known to reach about 90 %."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(60):
        low, high = ends(mean_interval(100 * rng.beta(5, 2, 20)))
        hits += low <= 100 * 5 / 7 <= high
    assert hits >= 50


def test_pairing_removes_what_maps_have_in_common() -> None:
    rng = np.random.default_rng(2)
    maps = rng.normal(60, 15, 20)
    ours, rival = maps + rng.normal(5, 1, 20), maps
    low, high = ends(paired_interval(ours, rival))
    assert 3 < low < 5 < high < 7
    assert ends(mean_interval(ours))[0] < ends(mean_interval(rival))[1]  # unpaired intervals overlap


def test_same_seed_same_interval_and_no_spread_without_variation() -> None:
    values = np.random.default_rng(3).normal(0, 1, 20)
    assert mean_interval(values, 5) == mean_interval(values, 5)
    constant = mean_interval(np.full(20, 10.0))
    assert (constant.mean, constant.low, constant.high) == (10.0, 10.0, 10.0)
    one = mean_interval(np.array([3.0]))
    assert (one.low, one.high, one.count) == (None, None, 1)  # one map says nothing of the others


def test_ten_maps_are_enough() -> None:
    assert [too_few(maps) for maps in (1, 2, 9)] == [
        "1 map: too few for a verdict",
        "2 maps: too few for a verdict",
        "9 maps: too few for a verdict",
    ]
    assert not too_few(10)


def test_needs_the_same_maps_and_at_least_one() -> None:
    with pytest.raises(GoldenError, match="same maps"):
        paired_interval(np.zeros(3), np.zeros(4))
    with pytest.raises(GoldenError, match="at least one"):
        mean_interval(np.zeros(0))


def test_small_spreads_keep_an_interval_of_their_own() -> None:
    """One map of 20 differs, by 1e-9 of the mean: the interval is as wide as that, not none and not the mean alone."""
    values = np.full(20, 93.5)
    values[7] += 1e-7
    found = mean_interval(values)
    low, high = ends(found)
    assert low < found.mean < high
    assert high - low < 1e-7
    shifted = ends(mean_interval((values - 93.5) * 1e9))
    assert (low - 93.5, high - 93.5) == pytest.approx((shifted[0] * 1e-9, shifted[1] * 1e-9), abs=2e-13)


def test_an_interval_is_that_of_scipy() -> None:
    """BCa, 9999 resamples, 95 %, seeded: values of scipy.stats.bootstrap."""
    values = np.array([61.0, 64.5, 70.2, 55.0, 66.1, 63.3, 69.9, 58.8, 40.0, 62.7])
    expected = stats.bootstrap((values,), np.mean, n_resamples=9999, confidence_level=0.95, method="BCa",
                               rng=np.random.default_rng(4)).confidence_interval  # fmt: skip
    assert ends(mean_interval(values, 4)) == pytest.approx((expected.low, expected.high), abs=1e-12)
    percentile = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile",
                                 rng=np.random.default_rng(4)).confidence_interval  # fmt: skip
    assert ends(mean_interval(values, 4))[0] < percentile.low - 0.2


def test_without_a_seed_it_is_always_the_same() -> None:
    values, rival = np.random.default_rng(1).normal(size=(2, 12))
    assert paired_interval(values, rival) == paired_interval(values, rival, 0) == mean_interval(values - rival, 0)


def test_where_bca_is_undefined_it_is_the_percentile_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def bootstrap(values: np.ndarray, method: str, seed: int) -> tuple[float, float]:
        asked.append((method, seed))
        return (float("nan"), 1.0) if method == "BCa" else (0.25, 0.75)

    monkeypatch.setattr(map_statistics, "_bootstrap", bootstrap)
    assert mean_interval(np.array([0.0, 1.0]), 3) == Interval(0.5, 0.25, 0.75, 2)
    assert asked == [("BCa", 3), ("percentile", 3)]
