"""Which neurons of a layer share a bound."""

from __future__ import annotations

from enum import Enum

import numpy as np
import torch
from torch import Tensor

from golden.errors import GoldenError


class Granularity(str, Enum):
    """Which neurons share a bound."""

    LAYER = "layer"
    CHANNEL = "channel"
    PATCH = "patch"
    NEURON = "neuron"


def find_granularity(name: str) -> Granularity:
    """By name. Raises GoldenError for an unknown one."""
    try:
        return Granularity(name)
    except ValueError:
        known = ", ".join(granularity.value for granularity in Granularity)
        raise GoldenError(f"granularity {name!r} is unknown: choose one of {known}") from None


def groups(shape: tuple[int, int, int], granularity: Granularity) -> np.ndarray:
    """Group index of each neuron, int64 of ``shape``, groups numbered in the order of memory."""
    channel, row, column = np.indices(shape)
    if granularity is Granularity.LAYER:
        return np.zeros(shape, np.int64)
    if granularity is Granularity.CHANNEL:
        return channel.astype(np.int64)
    if granularity is Granularity.NEURON:
        return np.arange(channel.size).reshape(shape)
    patch_rows, patch_columns = (shape[1] + 1) // 2, (shape[2] + 1) // 2
    return ((channel * patch_rows + row // 2) * patch_columns + column // 2).astype(np.int64)


def groups_of(bound: Tensor, granularity: Granularity) -> Tensor:
    """:func:`groups` of a bound per neuron, (channels, rows, columns) or (features,): int64 of its shape."""
    shape = (*bound.shape, 1, 1)[:3]
    return torch.from_numpy(groups(shape, granularity)).view(bound.shape)


def shared_maxima(bound: Tensor, group: Tensor) -> Tensor:
    """Of the bounds that share a group the largest, for each of them; both in the same shape."""
    peaks = bound.new_zeros(int(group.max()) + 1)
    return peaks.scatter_reduce(0, group.flatten(), bound.flatten(), "amax")[group]
