"""Fused layers in floating point: what a network is lowered to, and what is quantised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.qnetwork import Activation, LayerKind, Pads, Sides, Windowed

Shape = tuple[int, int, int]
"""Channels, rows, columns."""


@dataclass(eq=False)
class FloatLayer(Windowed):
    """A fused layer before quantisation; fields as in :class:`golden.qnetwork.QLayer`, in float64.

    An average pool sums its window and divides by :func:`pool_divisor`. ``node``: the last operation of the graph that
    is part of it; ``call``: its activation call, if any; ``limit``: where that saturates without any scheme; ``bound``
    None, () or ``out_shape``.
    """

    name: str
    kind: LayerKind
    source: str
    in_shape: Shape
    out_shape: Shape
    kernel: Sides
    stride: Sides
    padding: Pads
    weight: np.ndarray | None
    bias: np.ndarray
    node: str
    activation: Activation = "linear"
    bound: np.ndarray | None = None
    residual: str | None = None
    call: str = ""
    limit: float | None = None


def pool_divisor(area: int) -> int:
    """What an average pool over ``area`` places divides by: a power of two, the least that keeps its sum a word."""
    return 1 << (area - 1).bit_length()
