"""Random quantised networks with every kind of layer, for comparison with the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.qnetwork import ACC_BITS, INPUT, Activation, LayerKind, QLayer, QNetwork, Residual

SIDE = 8
CHANNELS = 16
"""Enough channels for the Winograd product."""


def conv(
    rng: np.random.Generator,
    word_bits: int,
    name: str,
    source: str,
    inputs: tuple[int, int, int],
    outputs: int,
    kernel: int,
    activation: Activation,
    stride: int = 1,
    padding: int = 0,
    residual: Residual | None = None,
    *,
    neuron_bounds: bool = True,
    full_range: bool = False,
) -> QLayer:
    """A convolution with weights of about a sixteenth of the word, or of its full range."""
    side = (inputs[1] + 2 * padding - kernel) // stride + 1
    shape = (outputs, side, side)
    top = 1 << (word_bits - 1)
    reach = top if full_range else max(4, top >> (word_bits // 2 + 1))
    weight = rng.integers(-reach, reach, (outputs, inputs[0], kernel, kernel))
    if full_range:
        weight.flat[0] = -top
    shift = np.full(outputs, word_bits // 2) if word_bits > 8 else rng.integers(4, 9, outputs)
    bound: int | np.ndarray | None = None
    if activation in ("clip", "saturate"):
        bound = rng.integers(0, top >> (word_bits // 4), shape)
        if not neuron_bounds:
            bound = int(bound.max())
    bias = rng.integers(-(1 << word_bits), 1 << word_bits, outputs)
    frac = word_bits // 2
    return QLayer(
        name,
        "conv",
        source,
        inputs,
        shape,
        kernel,
        stride,
        padding,
        weight,
        bias,
        shift,
        activation,
        bound,
        frac,
        residual,
    )


def pool(
    kind: LayerKind, name: str, source: str, inputs: tuple[int, int, int], kernel: int, padding: int = 0
) -> QLayer:
    """A pool whose stride is its kernel."""
    side = (inputs[1] + 2 * padding - kernel) // kernel + 1
    shift = np.full(inputs[0], 2 * (kernel.bit_length() - 1) if kind == "avgpool" else 0)
    bias = np.zeros(inputs[0], np.int64)
    shape = (inputs[0], side, side)
    return QLayer(
        name,
        kind,
        source,
        inputs,
        shape,
        kernel,
        kernel,
        padding,
        None,
        bias,
        shift,
        "linear",
        None,
        0,
    )


def network(
    seed: int,
    word_bits: int,
    activation: Activation = "clip",
    neuron_bounds: bool = True,
    full_range: bool = False,
) -> QNetwork:
    """Stem, Winograd-sized convolution, max pool, 1x1, residual, stride 2, average pool, two FC."""
    rng = np.random.default_rng(seed)
    small, big = (CHANNELS, SIDE, SIDE), (CHANNELS, SIDE // 2, SIDE // 2)
    common: dict[str, Any] = {"neuron_bounds": neuron_bounds, "full_range": full_range}
    layers = (
        conv(rng, word_bits, "stem", INPUT, (3, SIDE, SIDE), CHANNELS, 3, activation, padding=1, **common),
        conv(rng, word_bits, "quick", "stem", small, CHANNELS, 3, activation, padding=1, **common),
        pool("maxpool", "pool", "quick", small, 2),
        conv(rng, word_bits, "narrow", "pool", big, 6, 1, activation, **common),
        conv(
            rng,
            word_bits,
            "join",
            "narrow",
            (6, 4, 4),
            CHANNELS,
            3,
            activation,
            padding=1,
            residual=Residual("pool", word_bits // 2),
            **common,
        ),
        conv(rng, word_bits, "strided", "join", big, CHANNELS, 3, activation, stride=2, padding=1, **common),
        pool("avgpool", "mean", "strided", (CHANNELS, 2, 2), 2),
        conv(rng, word_bits, "fc1", "mean", (CHANNELS, 1, 1), 12, 1, activation, **common),
        conv(rng, word_bits, "fc2", "join", big, 10, SIDE // 2, "linear", full_range=full_range),
    )
    return QNetwork("random", activation, word_bits, ACC_BITS[word_bits], (3, SIDE, SIDE), word_bits // 2, layers)


def inputs(seed: int, word_bits: int, count: int, reach_bits: int | None = None) -> np.ndarray:
    """Input words int64 (count, 3, SIDE, SIDE) of up to ``reach_bits`` bits (default three quarters)."""
    reach = 1 << (reach_bits if reach_bits is not None else word_bits * 3 // 4)
    return np.random.default_rng(seed).integers(-reach, reach, (count, 3, SIDE, SIDE))
