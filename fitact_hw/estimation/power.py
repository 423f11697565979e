"""Which differences a sample can tell."""

from __future__ import annotations

from scipy.stats import norm

from fitact_hw.estimation.intervals import CONFIDENCE

USUAL_POWER = 0.8


def power(difference: float, half_width: float, confidence: float = CONFIDENCE) -> float:
    """Probability that an interval with this half width leaves 0 out, if the true difference is ``difference``.

    Two-sided, normal: Cohen, Statistical Power Analysis (1988), chapter 2.
    """
    if half_width <= 0:
        return 1.0 if difference else 0.0
    z = float(norm.ppf(0.5 + confidence / 2))
    shift = abs(difference) * z / half_width
    return float(norm.cdf(shift - z) + norm.cdf(-shift - z))


def detectable(half_width: float, confidence: float = CONFIDENCE, wanted: float = USUAL_POWER) -> float:
    """The difference that an interval with this half width would show with probability ``wanted``."""
    z = float(norm.ppf(0.5 + confidence / 2))
    return half_width * (z + float(norm.ppf(wanted))) / z


def effort_for(half_width: float, wanted: float) -> float:
    """How many times the draws bring the interval from ``half_width`` to ``wanted``: widths go with 1 / sqrt(n)."""
    return max(1.0, (half_width / wanted) ** 2)
