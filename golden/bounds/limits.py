"""The limit of a range check of parameters, from the fault-free words of a layer."""

from __future__ import annotations

import numpy as np


def limit_of(words: np.ndarray, exact: bool) -> int:
    """The largest magnitude among integer ``words``, or (not ``exact``) its number of bits; 0 for no words."""
    values = np.asarray(words).astype(np.int64)
    most = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    return most if exact else most.bit_length()
