"""The 4-bit code of a bound: one exponent and one mantissa digit, relative to its layer. Defined here only.

A code c stands for 0 if c = 0, else for (2 + (c & 1)) * 2**(c >> 1) times 2**base: levels 3, 4, 6, 8,
12, ... 384 of one exponent and one mantissa digit. ``base`` belongs to the layer (it lies with the
instruction, not in parameter memory). Encoding rounds up, so a coded bound is never below the true one, and
by at most half above it unless it is below the smallest level. The largest level covers the layer's
largest bound by less than twice: no flip of a code can raise a bound beyond that.

`rtl/fitact_bound_code.v` decodes the same code; a test compares them for every code and base.
"""

from __future__ import annotations

import numpy as np

from golden.errors import GoldenError

CODE_BITS = 4
BASE_BITS = 6
"""Width of a layer's base (two's complement bits)."""

LEAST_BASE = -16
LEVELS = np.array([0, *((2 + (code & 1)) << (code >> 1) for code in range(1, 1 << CODE_BITS))], np.int64)
"""Value of each code at base 0."""


def decode(code: np.ndarray, base: int) -> np.ndarray:
    """Codes 0..15 to bounds, int64; a negative ``base`` (-32 to 31) divides, rounding up."""
    levels = LEVELS[code]
    return levels << base if base >= 0 else -(-levels >> -base)


def encode(bound: np.ndarray) -> tuple[np.ndarray, int]:
    """Codes int64 of non-negative bounds, rounded up, and their base. Raises GoldenError below zero."""
    if bound.size and bound.min() < 0:
        raise GoldenError(f"a negative bound ({bound.min()}) has no code")
    peak = int(bound.max(initial=0))
    base = LEAST_BASE
    while int(decode(np.array(LEVELS.size - 1), base)) < peak:
        base += 1
    return np.searchsorted(decode(np.arange(LEVELS.size), base), bound, side="left").astype(np.int64), base
