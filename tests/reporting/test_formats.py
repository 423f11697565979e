"""Shares and intervals as text."""

from __future__ import annotations

from fitact_hw.reporting.formats import listed, number_interval, percent, percent_interval
from fitact_hw.reporting.statistics import Estimate


def test_percent_keeps_small_numbers_readable() -> None:
    assert [percent(value) for value in (0, 0.5, 0.0123, 0.00012, 1.2e-7, -0.02)] == [
        "0 %", "50.0 %", "1.23 %", "0.012 %", "1e-05 %", "-2.00 %",
    ]  # fmt: skip


def test_one_of_many_is_not_nothing() -> None:
    """A share of 1 in 203 was once printed as 0 %."""
    assert percent_interval(Estimate.of(1, 203)) == "0.493 % [0.087, 2.74]"
    assert [percent(value) for value in (6e-25, -6e-25)] == ["0 %", "0 %"]
    assert percent_interval(Estimate.of(0, 29)) == "0 % [0, 11.7]"
    assert number_interval(Estimate(1234.5, 0.001234, 1e6, 1, 2)) == "1.23e+03 [0.00123, 1e+06]"


def test_lists_read_as_sentences() -> None:
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
