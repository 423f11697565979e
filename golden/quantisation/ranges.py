"""What the sums of a layer can reach, and what its accumulator holds.

All in float64: sums are compared with powers of two that leave a margin far above rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from golden.frontend.layers import FloatLayer
from golden.qnetwork import Activation, LayerKind

Range = tuple[int, int]
"""Least and largest word."""

_MARGIN = 1 - 2.0**-20
"""Of the accumulator: float64 sums of up to millions of words are exact to far less."""


def word_range(word_bits: int) -> Range:
    """Every word."""
    top = 1 << (word_bits - 1)
    return -top, top - 1


def output_range(kind: LayerKind, activation: Activation, source: Range, word_bits: int) -> Range:
    """What a fault-free layer can put out, whatever its parameters are."""
    low, high = word_range(word_bits)
    if activation != "linear":
        return 0, high
    return (low, high) if kind == "conv" else source


@dataclass(frozen=True, eq=False)
class Sums:
    """What a layer adds up, besides weights.

    ``bias`` float64 (channels,), ``source`` and ``residual`` the ranges of its operands, ``frac_in`` and
    ``frac_residual`` their binary points.
    """

    bias: np.ndarray
    source: Range
    frac_in: int
    residual: Range | None = None
    frac_residual: int = 0

    def plus(self, residual: Range, frac_residual: int) -> Sums:
        """The same with a residual operand."""
        return replace(self, residual=residual, frac_residual=frac_residual)

    def fit(self, words: np.ndarray, fracs: np.ndarray, acc_bits: int) -> np.ndarray:
        """Which channels no input can make wrap, bool (channels,), with weights ``words`` at points ``fracs``.

        A residual operand may use half of the accumulator, the bias must also fit alone, since it lies in memory.
        """
        limit = 2.0 ** (acc_bits - 1) * _MARGIN
        words = words.reshape(len(words), -1).astype(np.float64)
        positive, negative = np.maximum(words, 0).sum(axis=1), np.minimum(words, 0).sum(axis=1)
        bias = np.floor(self.bias * np.exp2(self.frac_in + fracs.astype(np.float64)) + 0.5)
        low = positive * self.source[0] + negative * self.source[1] + bias
        high = positive * self.source[1] + negative * self.source[0] + bias
        fits: np.ndarray = np.abs(bias) <= limit
        if self.residual is not None:
            scale = np.exp2(self.frac_in + fracs.astype(np.float64) - self.frac_residual)
            low, high = low + scale * self.residual[0], high + scale * self.residual[1]
            fits &= scale * max(self.residual[1], -self.residual[0]) <= 2.0 ** (acc_bits - 2)
        return fits & (-limit <= low) & (high <= limit)


def input_peaks(layer: FloatLayer, peaks: np.ndarray) -> np.ndarray:
    """For each product of an output of ``layer`` the largest magnitude of its input, float64 (products,).

    ``peaks``: those of the layer's input, of its shape or flat.
    """
    peaks = peaks.reshape(layer.in_shape).astype(np.float64)
    if (layer.rows.kernel, layer.columns.kernel) == layer.in_shape[1:] and not layer.padding:
        return peaks.ravel()
    return np.repeat(peaks.max(axis=(1, 2)), layer.area)
