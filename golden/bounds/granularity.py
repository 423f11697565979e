"""Which neurons of a layer share a bound."""

from __future__ import annotations

from enum import Enum

import numpy as np

from golden.errors import GoldenError


class Granularity(str, Enum):
    """Which neurons share a bound. Hardware of one also does what those before it do."""

    NONE = "none"
    LAYER = "layer"
    CHANNEL = "channel"
    PATCH = "patch"
    NEURON = "neuron"

    @property
    def buffered(self) -> bool:
        """Whether a layer has several bounds, so that they need a buffer: one for each channel, patch or neuron."""
        return self not in (Granularity.NONE, Granularity.LAYER)


SHARED: tuple[Granularity, ...] = tuple(
    granularity for granularity in Granularity if granularity is not Granularity.NONE
)
"""Those with bounds."""

GROUPED = (Granularity.CHANNEL, Granularity.PATCH)
"""Those that are neither one bound for a layer nor one for each neuron."""

PATCH_SIDE = 2
"""Rows and columns of the neurons of a channel that share a bound with Granularity.PATCH."""


def find_granularity(name: str) -> Granularity:
    """One with bounds, by name. Raises GoldenError for an unknown one."""
    for granularity in SHARED:
        if granularity.value == name:
            return granularity
    known = ", ".join(granularity.value for granularity in SHARED)
    raise GoldenError(f"granularity {name!r} is unknown: choose one of {known}")


def groups(shape: tuple[int, int, int], granularity: Granularity) -> np.ndarray:
    """Group index of each neuron, int64 of ``shape``, groups numbered in the order of memory.

    Raises ValueError for Granularity.NONE, which has no bounds.
    """
    if granularity is Granularity.NONE:
        raise ValueError("without bounds there are no groups")
    channel, row, column = np.indices(shape)
    if granularity is Granularity.LAYER:
        return np.zeros(shape, np.int64)
    if granularity is Granularity.CHANNEL:
        return channel.astype(np.int64)
    if granularity is Granularity.NEURON:
        return np.arange(channel.size).reshape(shape)
    patch_rows, patch_columns = (-(-size // PATCH_SIDE) for size in shape[1:])
    patch = (channel * patch_rows + row // PATCH_SIDE) * patch_columns + column // PATCH_SIDE
    return np.asarray(patch, np.int64)
