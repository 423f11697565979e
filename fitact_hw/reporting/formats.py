"""Figures as text, the same in terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.reporting.statistics import Difference, Estimate


def points(value: float) -> str:
    """Percentage points with two or three digits; 0 for what is far below what any study can tell from it."""
    hundredfold = 100 * value if abs(value) > 1e-9 else 0.0
    for least, digits in ((10, 1), (1, 2), (0.01, 3)):
        if abs(hundredfold) >= least:
            return f"{hundredfold:.{digits}f}"
    return f"{hundredfold:.1g}"


def percent(value: float) -> str:
    """A share with two or three digits."""
    return f"{points(value)} %"


def percent_interval(value: Estimate | Difference) -> str:
    """Share and interval, in %; what is only bounded has no share."""
    if value.unsampled:
        return f"{points(value.low)} to {percent(value.high)}"
    return f"{percent(value.value)} [{points(value.low)}, {points(value.high)}]"


def number_interval(value: Estimate) -> str:
    """A rate and its interval; what is only bounded has no rate."""
    if value.unsampled:
        return f"{value.low:.3g} to {value.high:.3g}"
    return f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]"


RULE_OF_THREE = 3
"""None of n differ: with 95 % confidence at most 3 / n do (Hanley and Lippman-Hand, JAMA 249, 1983)."""


def agreement(compared: int, what: str) -> str:
    """That none of ``compared`` results differ, and what follows for all."""
    if not compared:
        return f"{what}: none"
    most = percent(min(1.0, RULE_OF_THREE / compared))
    return f"{what}: {compared:,}, differing: 0 (at most {most} with 95 % confidence)"


def scientific(value: float) -> str:
    """A rate with all its digits, as 3e-6."""
    return np.format_float_scientific(value, trim="-", exp_digits=1)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def spaced(name: str) -> str:
    """The name of a structure as a sentence writes it."""
    return name.replace("_", " ")
