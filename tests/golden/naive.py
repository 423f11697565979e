"""A second reference, independent of golden.reference: pure Python integers, one output element at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from golden.qnetwork import INPUT, QLayer, QNetwork


def wrapped(value: int, bits: int) -> int:
    """Two's complement of unbounded ``value`` in ``bits``."""
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value


def rounded(value: int, shift: int) -> int:
    """Right shift, half rounding up, in unbounded integers: floor(value / 2**shift + 1/2)."""
    return value if shift == 0 else (value + (1 << (shift - 1))) // (1 << shift)


def activated(value: int, layer: QLayer, bound: int, word_bits: int) -> int:
    """Activation of the wide value, as docs/reference/machine.md states it."""
    low, high = -(1 << (word_bits - 1)), (1 << (word_bits - 1)) - 1
    if layer.activation == "linear":
        return max(low, min(high, value))
    if layer.activation == "relu":
        return min(max(0, value), high)
    if layer.activation == "clip":
        return value if 0 <= value <= bound else 0
    return min(max(value, 0), bound)


def run_layer(
    layer: QLayer, image: np.ndarray, acc_bits: int, word_bits: int, residual: np.ndarray | None = None
) -> np.ndarray:
    """One layer on one image int64 (channels, rows, columns)."""
    out = np.zeros(layer.out_shape, dtype=np.int64)
    for c, i, j in np.ndindex(*layer.out_shape):
        acc = _accumulated(layer, image, c, i, j)
        if layer.residual is not None and residual is not None:
            acc += int(residual[c, i, j]) << layer.residual.lshift
        total = wrapped(acc + int(layer.bias[c]), acc_bits)
        bound = np.broadcast_to(np.asarray(0 if layer.bound is None else layer.bound), layer.out_shape)
        out[c, i, j] = activated(rounded(total, int(layer.shift[c])), layer, int(bound[c, i, j]), word_bits)
    return out


def _accumulated(layer: QLayer, image: np.ndarray, c: int, i: int, j: int) -> int:
    channels: Sequence[int] = range(layer.in_shape[0]) if layer.kind == "conv" else [c]
    terms = []
    for channel in channels:
        for a in range(layer.rows.kernel):
            for b in range(layer.columns.kernel):
                row = i * layer.rows.stride + a - layer.rows.before
                column = j * layer.columns.stride + b - layer.columns.before
                inside = 0 <= row < layer.in_shape[1] and 0 <= column < layer.in_shape[2]
                value = int(image[channel, row, column]) if inside else 0
                weight = 1 if layer.weight is None else int(layer.weight[c, channel, a, b])
                terms.append(value * weight)
    return max(terms) if layer.kind == "maxpool" else sum(terms)


def run(qnet: QNetwork, images: np.ndarray, acc_bits: int = 0) -> dict[str, np.ndarray]:
    """The whole network, image by image; as golden.reference.run. ``acc_bits``: of another machine's accumulators."""
    traces, acc_bits = [], acc_bits or qnet.acc_bits
    for image in images:
        trace = {INPUT: image}
        for layer in qnet.layers:
            residual = trace[layer.residual.source] if layer.residual else None
            trace[layer.name] = run_layer(layer, trace[layer.source], acc_bits, qnet.word_bits, residual)
        traces.append(trace)
    return {name: np.stack([trace[name] for trace in traces]) for name in traces[0]}
