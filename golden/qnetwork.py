"""The quantised network: the one data type that golden hands to the compiler.

All tensors are integers. A value ``q`` of a tensor with binary point ``f`` stands for ``q / 2**f``.
Every layer is one pass of the accelerator: multiply-accumulate (or maximum), an optional residual
operand, then the epilogue of ``docs/reference/machine.md``:

1. ``acc + bias[c]``, wrapping at ``acc_bits``;
2. rounding right shift by ``shift[c]``, round half up, kept wide;
3. activation on the wide value: ``linear`` and ``relu`` saturate to ``word_bits``, ``clip`` zeroes
   above the bound, ``saturate`` limits to the bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

LayerKind = Literal["conv", "maxpool", "avgpool"]
Activation = Literal["linear", "relu", "clip", "saturate"]

INPUT = "input"
"""Name of the network's input tensor in :attr:`QLayer.source`."""

ACC_BITS = {8: 32, 16: 48, 32: 64}
"""Default accumulator width for each word width (bits)."""


SHIFT_BITS = 6
"""Width of a channel's right shift (bits), 0..63."""


Sides = int | tuple[int, int]
"""Rows and columns; one number where they are equal."""

Pads = int | tuple[int, int, int, int]
"""Zeros above, left, below and right; one number where they are equal."""


@dataclass(frozen=True)
class Axis:
    """Windows along rows or columns: ``kernel`` places, ``stride`` apart, ``before`` and ``after`` zeros around."""

    kernel: int
    stride: int
    before: int
    after: int

    def windows(self, size: int) -> int:
        """Number of windows on ``size`` places."""
        return (size + self.before + self.after - self.kernel) // self.stride + 1

    @property
    def padded(self) -> bool:
        """Whether there are zeros around."""
        return bool(self.before or self.after)


class Windowed:
    """What has ``kernel``, ``stride`` and ``padding``: both axes of it."""

    kernel: Sides
    stride: Sides
    padding: Pads

    @property
    def rows(self) -> Axis:
        """Windows from top to bottom."""
        before, _, after, _ = pads(self.padding)
        return Axis(pair(self.kernel)[0], pair(self.stride)[0], before, after)

    @property
    def columns(self) -> Axis:
        """Windows from left to right."""
        _, before, _, after = pads(self.padding)
        return Axis(pair(self.kernel)[1], pair(self.stride)[1], before, after)

    @property
    def area(self) -> int:
        """Places of a window."""
        return self.rows.kernel * self.columns.kernel


def pair(sides: Sides) -> tuple[int, int]:
    """Rows and columns."""
    return sides if isinstance(sides, tuple) else (sides, sides)


def pads(padding: Pads) -> tuple[int, int, int, int]:
    """Above, left, below, right."""
    return padding if isinstance(padding, tuple) else (padding, padding, padding, padding)


def sides(values: tuple[int, int]) -> Sides:
    """One number if both are equal."""
    return values[0] if values[0] == values[1] else values


def margins(values: tuple[int, int, int, int]) -> Pads:
    """One number if all are equal."""
    return values[0] if len(set(values)) == 1 else values


@dataclass(frozen=True, eq=False)
class Residual:
    """A second operand of the same shape as the output, added to the accumulator.

    ``acc += value << lshift`` (wrapping), before bias and shift.
    """

    source: str
    lshift: int


@dataclass(frozen=True, eq=False)
class QLayer(Windowed):
    """One layer. A fully connected layer is a ``conv`` whose kernel covers its whole input.

    ``out_shape`` and ``in_shape`` are (channels, rows, columns).
    ``weight``: int64 (out_channels, in_channels, kernel rows, kernel columns) for ``conv``, else None.
    ``links``: bool (out_channels, in_channels), between which channels there are weights (groups, copies); where there
    are none they are 0, and no part of the stored parameters. None: between all.
    ``bias``: int64 (out_channels,) at accumulator precision; ``shift``: int64 (out_channels,), 0..63.
    ``bound``: None, an int (one per layer) or int64 of ``out_shape`` (one per neuron);
    present exactly when ``activation`` is ``clip`` or ``saturate``.
    Pools: ``maxpool`` pads with zeros, so its input must be non-negative if ``padding`` > 0;
    ``avgpool`` sums and divides with ``shift``.
    ``useful_weights``: how many of ``weight`` are the network's own, not zeros that stand for groups, dilation or a
    rearrangement; None: all.
    """

    name: str
    kind: LayerKind
    source: str
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: Sides
    stride: Sides
    padding: Pads
    weight: np.ndarray | None
    bias: np.ndarray
    shift: np.ndarray
    activation: Activation
    bound: int | np.ndarray | None
    frac_out: int
    residual: Residual | None = None
    useful_weights: int | None = None
    links: np.ndarray | None = None

    @property
    def stored_weights(self) -> np.ndarray | None:
        """Places of the weights that there are in the flat order of ``weight``, int64; None: all of them."""
        if self.links is None:
            return None
        return np.flatnonzero(np.repeat(self.links.ravel(), self.area))

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates for one image (0 for pools)."""
        if self.weight is None:
            return 0
        _, rows, cols = self.out_shape
        if self.useful_weights is not None:
            return self.useful_weights * rows * cols
        weights = self.weight.size if self.links is None else np.count_nonzero(self.links) * self.area
        return int(weights) * rows * cols


def last_uses(reads: Iterable[Iterable[str | None]]) -> dict[int, list[str]]:
    """Index of a layer -> tensors that no later layer reads; ``reads``: what each layer reads, in execution order."""
    last = {name: index for index, names in enumerate(reads) for name in names if name is not None}
    uses: dict[int, list[str]] = {}
    for name, index in last.items():
        uses.setdefault(index, []).append(name)
    return uses


@dataclass(frozen=True, eq=False)
class QNetwork:
    """A whole quantised network in execution order; the last layer's output are the logits."""

    name: str
    scheme: str
    word_bits: int
    acc_bits: int
    input_shape: tuple[int, int, int]
    input_frac: int
    layers: tuple[QLayer, ...]
    meta: dict[str, str] = field(default_factory=dict)

    def layer(self, name: str) -> QLayer:
        """The layer called ``name``. Raises KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)
