"""Fused layers in floating point: what a network is lowered to, and what is quantised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.qnetwork import Activation, LayerKind, Pads, QLayer, Residual, Sides, Windowed

Shape = tuple[int, int, int]
"""Channels, rows, columns."""


@dataclass(eq=False)
class FloatLayer(Windowed):
    """A fused layer before quantisation; fields as in :class:`golden.qnetwork.QLayer`, in float64.

    An average pool sums its window and divides by :func:`pool_divisor`. ``node``: the last operation of the graph that
    is part of it; ``call``: its activation call, if any; ``limit``: where that saturates without any scheme; ``bound``
    None, () or ``out_shape``. ``useful_weights``: how many of ``weight`` are the network's own; None: all.
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
    useful_weights: int | None = None
    links: np.ndarray | None = None

    def in_words(
        self,
        weight: np.ndarray | None,
        bias: np.ndarray,
        shift: np.ndarray,
        bound: int | np.ndarray | None,
        frac_out: int,
        residual_lshift: int = 0,
        activation: Activation | None = None,
    ) -> QLayer:
        """The same layer with parameters as words, as :class:`golden.qnetwork.QLayer` has them; ``activation`` None:
        as it is here."""
        return QLayer(
            name=self.name,
            kind=self.kind,
            source=self.source,
            in_shape=self.in_shape,
            out_shape=self.out_shape,
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            weight=weight,
            bias=bias,
            shift=shift,
            activation=self.activation if activation is None else activation,
            bound=bound,
            frac_out=frac_out,
            residual=None if self.residual is None else Residual(self.residual, residual_lshift),
            useful_weights=self.useful_weights,
            links=self.links,
        )


def pool_divisor(area: int) -> int:
    """What an average pool over ``area`` places divides by: a power of two, the least that keeps its sum a word."""
    return 1 << (area - 1).bit_length()
