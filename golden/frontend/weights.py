"""Weights of a convolution as dense arrays of the layer that reads them."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def dense(weight: Tensor, groups: int, dilation: tuple[int, int]) -> np.ndarray:
    """A convolution's weights, float64 (outputs, inputs, rows, columns), with zeros for what groups and dilation leave
    out."""
    values = weight.detach().double().numpy()
    if groups > 1:
        outputs, inputs = len(values) // groups, values.shape[1]
        full = np.zeros((len(values), inputs * groups, *values.shape[2:]))
        for group in range(groups):
            own = slice(group * outputs, (group + 1) * outputs)
            full[own, group * inputs : (group + 1) * inputs] = values[own]
        values = full
    if dilation != (1, 1):
        rows, columns = ((size - 1) * step + 1 for size, step in zip(values.shape[2:], dilation, strict=True))
        wide = np.zeros((*values.shape[:2], rows, columns))
        wide[:, :, :: dilation[0], :: dilation[1]] = values
        values = wide
    return np.asarray(values)


def spread(weight: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
    """Weights (outputs, inputs, ...) of inputs that are ``index`` of ``size`` others, as weights of these."""
    if np.array_equal(index, np.arange(size)):
        return weight
    wide = np.zeros((len(weight), size, *weight.shape[2:]))
    if len(np.unique(index)) == len(index):
        wide[:, index] = weight
    else:
        np.add.at(wide.swapaxes(0, 1), index, weight.swapaxes(0, 1))
    return wide


def group_links(outputs: int, inputs: int, groups: int) -> np.ndarray | None:
    """Which inputs each output of a grouped convolution reads, bool (outputs, inputs); None: all."""
    if groups == 1:
        return None
    group = np.arange(outputs)[:, None] // (outputs // groups)
    return np.asarray(group == np.arange(inputs) // (inputs // groups))
