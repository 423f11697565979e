"""Bounds as tensors that groups of neurons share while they are learned."""

from __future__ import annotations

import torch
from torch import Tensor

from golden.bounds.granularity import Granularity, groups


def groups_of(bound: Tensor, granularity: Granularity) -> Tensor:
    """:func:`groups` of a bound per neuron, (channels, rows, columns) or (features,): int64 of its shape."""
    shape = (*bound.shape, 1, 1)[:3]
    return torch.from_numpy(groups(shape, granularity)).view(bound.shape)


def shared_maxima(bound: Tensor, group: Tensor) -> Tensor:
    """Of the bounds that share a group the largest, for each of them; both in the same shape."""
    peaks = bound.new_zeros(int(group.max()) + 1)
    return peaks.scatter_reduce(0, group.flatten(), bound.flatten(), "amax")[group]
