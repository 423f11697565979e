"""The numbers contract of :mod:`golden.qnetwork` once more, in plain NumPy: a witness that shares nothing with
:mod:`golden.reference` and :mod:`golden.exact`.

A layer is a loop over kernel positions; products are int64 sums, or float64 ones where every partial sum is a whole
number that float64 holds.
"""

from __future__ import annotations

import numpy as np

from golden.qnetwork import INPUT, QLayer, QNetwork, last_uses, pads, pair

_EXACT = 1 << 53
"""Whole numbers below are float64's."""


def wrapped(values: np.ndarray, bits: int) -> np.ndarray:
    """Sign-extend the low ``bits`` bits of int64."""
    unused = np.int64(64 - bits)
    return (values << unused) >> unused


def reference_layer(layer: QLayer, tensors: dict[str, np.ndarray], word_bits: int, acc_bits: int) -> np.ndarray:
    """Output of one layer, int64 (B, C, rows, columns); ``tensors``: what it reads, by name."""
    total = _maxima(layer, tensors[layer.source]) if layer.kind == "maxpool" else _sums(layer, tensors[layer.source])
    if layer.residual is not None:
        total = total + (tensors[layer.residual.source] << np.int64(layer.residual.lshift))
    biased = wrapped(total + layer.bias[None, :, None, None], acc_bits)
    shift = layer.shift.astype(np.int64)[None, :, None, None]
    half = np.where(shift > 0, biased >> np.maximum(shift - 1, 0) & 1, 0)
    result = (biased >> shift) + half
    low, high = -(1 << (word_bits - 1)), (1 << (word_bits - 1)) - 1
    if layer.activation == "linear":
        return np.clip(result, low, high)
    if layer.activation == "relu":
        return np.clip(result, 0, high)
    bound = np.asarray(layer.bound)
    if layer.activation == "clip":
        return np.asarray(result * ((result >= 0) & (result <= bound)))
    return np.minimum(np.maximum(result, 0), bound)


def reference_network(qnet: QNetwork, images: np.ndarray, keep: bool = True) -> dict[str, np.ndarray]:
    """Every layer's output for int64 ``images`` (B, C, rows, columns), by name, with the images; without ``keep`` only
    the last one's."""
    tensors = {INPUT: images}
    done = last_uses((layer.source, layer.residual.source if layer.residual else None) for layer in qnet.layers)
    for index, layer in enumerate(qnet.layers):
        tensors[layer.name] = reference_layer(layer, tensors, qnet.word_bits, qnet.acc_bits)
        for name in () if keep else done.get(index, ()):
            del tensors[name]
    return tensors


def _patches(layer: QLayer, x: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """For each kernel row and column the values under it, (B, C, rows, columns)."""
    (top, left, bottom, right), (down, across) = pads(layer.padding), pair(layer.stride)
    _, rows, cols = layer.out_shape
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    kernel_rows, kernel_cols = pair(layer.kernel)
    return [
        (r, c, x[:, :, r : r + down * (rows - 1) + 1 : down, c : c + across * (cols - 1) + 1 : across])
        for r in range(kernel_rows)
        for c in range(kernel_cols)
    ]


def _sums(layer: QLayer, x: np.ndarray) -> np.ndarray:
    channels, rows, cols = layer.out_shape
    weight = layer.weight
    total = np.zeros((len(x), channels, rows * cols), np.int64)
    if weight is None:
        for _, _, patch in _patches(layer, x):
            total += patch.reshape(len(x), channels, -1)
        return total.reshape(len(x), *layer.out_shape)
    largest = int(np.abs(x).max(initial=0)) * int(np.abs(weight).max(initial=0)) * weight[0].size
    kind: type = np.float64 if largest < _EXACT else np.int64
    weight, x = weight.astype(kind), x.astype(kind)
    exact: np.ndarray = total.astype(kind)
    for r, c, patch in _patches(layer, x):
        exact += weight[:, :, r, c] @ patch.reshape(len(x), patch.shape[1], -1)
    return exact.astype(np.int64).reshape(len(x), *layer.out_shape)


def _maxima(layer: QLayer, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.max([patch for _, _, patch in _patches(layer, x)], axis=0))
