"""Means and bootstrap intervals over fault maps, the sampling unit: images under one map are correlated."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from golden.errors import GoldenError

ENOUGH_MAPS = 10
"""With fewer there is no verdict: the bootstrap knows only the maps that were drawn, its intervals are too narrow."""

RESAMPLES = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval; one map has none."""

    mean: float
    low: float | None
    high: float | None
    count: int


def too_few(maps: int) -> str:
    """Why ``maps`` give no verdict; empty if they do."""
    if maps >= ENOUGH_MAPS:
        return ""
    return f"{maps} {'map' if maps == 1 else 'maps'}: too few for a verdict"


def mean_interval(values: np.ndarray, seed: int = 0) -> Interval:
    """Mean of one value per map and its 95 % bias-corrected (BCa) bootstrap interval over maps.

    Where BCa is undefined (all resamples equal) it is the percentile interval; of equal values both ends are the mean.
    Raises GoldenError if empty.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise GoldenError("statistics need at least one fault map")
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, None, None, len(values))
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean, len(values))
    low, high = _bootstrap(values, "BCa", seed)
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = _bootstrap(values, "percentile", seed)
    return Interval(mean, low, high, len(values))


def paired_interval(values: np.ndarray, rival: np.ndarray, seed: int = 0) -> Interval:
    """Mean of ``values - rival`` under the same maps (same order) with its interval over maps."""
    values, rival = np.asarray(values, np.float64), np.asarray(rival, np.float64)
    if values.shape != rival.shape:
        raise GoldenError(f"paired statistics need the same maps: {values.shape} and {rival.shape}")
    return mean_interval(values - rival, seed)


def _bootstrap(values: np.ndarray, method: str, seed: int) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of degenerate data, which the caller handles
        result = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method=method,
            vectorized=True,
            rng=np.random.default_rng(seed),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
