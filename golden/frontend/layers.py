"""Fused layers in floating point: what a network is lowered to, and what is quantised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.qnetwork import Activation, LayerKind

Shape = tuple[int, int, int]
"""Channels, rows, columns."""


@dataclass(eq=False)
class FloatLayer:
    """A fused layer before quantisation; fields as in :class:`golden.qnetwork.QLayer`, in float64.

    ``node`` is the fx node whose value is this layer's output; ``bound`` None, () or ``out_shape``.
    """

    name: str
    kind: LayerKind
    source: str
    in_shape: Shape
    out_shape: Shape
    kernel: int
    stride: int
    padding: int
    weight: np.ndarray | None
    bias: np.ndarray
    node: str
    activation: Activation = "linear"
    bound: np.ndarray | None = None
    residual: str | None = None
