"""The exact integer reference: what every layer of the accelerator must output, bit for bit.

The formulas are those of :mod:`golden.qnetwork`, taken literally, so they also hold when a fault made a
value huge or a bound negative. Sums are formed in floating point where a range check proves that every
partial sum is an exact integer, otherwise from 16-bit limbs; modulo 2**64, then wrapped to ``acc_bits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from golden.errors import GoldenError
from golden.qnetwork import INPUT, QLayer, QNetwork, pads, pair

LayerTrace = dict[str, np.ndarray]
"""Output of each layer by name, int64 (batch, channels, rows, columns); also :data:`INPUT`."""

Overrides = Mapping[str, "QLayer | np.ndarray"]
"""Corruption by layer name: a QLayer is used instead of the layer (wrong weights, bias, shift or bound), an
array (batch or 1, channels, rows, columns) replaces its output as read by all later layers."""

_EXACT32 = 1 << 24
_EXACT64 = 1 << 53
_LIMB_BITS = 16
_CHUNK_ELEMENTS = 1 << 18
"""Elements of an unfolded input at a time: 2 MB in float64, measured best between 0.5 and 32 MB (ResNet50)."""


def run(qnet: QNetwork, images: np.ndarray, overrides: Overrides | None = None) -> LayerTrace:
    """Run quantised images int64 (batch, 3, rows, columns) through the network.

    Raises GoldenError for images of another shape, or an override of a layer that does not exist.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != tuple(qnet.input_shape):
        raise GoldenError(f"expected images (batch, {qnet.input_shape}), found {images.shape}")
    overrides = _checked(qnet, overrides)
    trace: LayerTrace = {INPUT: _output(overrides, INPUT, images.astype(np.int64))}
    for layer in qnet.layers:
        trace[layer.name] = _evaluate(qnet, layer, trace, overrides)
    return trace


def run_from(qnet: QNetwork, trace: LayerTrace, name: str, overrides: Overrides | None = None) -> LayerTrace:
    """Continue from the output of layer ``name`` (or :data:`INPUT`) as it stands in ``trace``.

    Only layers that depend on it are computed again; all others are taken from ``trace``, where a
    batch of one image is repeated to the batch size of ``trace[name]``. ``trace`` is not changed.
    """
    if name != INPUT:
        _named(qnet, name)
    overrides = _checked(qnet, overrides)
    result = dict(trace)
    stale = {name}
    for layer in qnet.layers:
        sources = {layer.source} | ({layer.residual.source} if layer.residual else set())
        if layer.name != name and sources & stale:
            stale.add(layer.name)
            result[layer.name] = _evaluate(qnet, layer, result, overrides)
    return result


def logits(qnet: QNetwork, images: np.ndarray, batch: int = 20) -> np.ndarray:
    """Outputs of the last layer, int64 (images, classes), computed ``batch`` images at a time."""
    last = qnet.layers[-1].name
    parts = [run(qnet, images[i : i + batch])[last] for i in range(0, len(images), batch)]
    return np.concatenate(parts).reshape(len(images), -1)


def run_layer(
    layer: QLayer, x: np.ndarray, acc_bits: int, word_bits: int, residual: np.ndarray | None = None
) -> np.ndarray:
    """One layer on int64 input (batch, channels, rows, columns); returns int64 of ``out_shape``."""
    if x.shape[1:] != tuple(layer.in_shape):
        raise GoldenError(f"layer {layer.name} expects {layer.in_shape}, its input is {x.shape[1:]}")
    acc = accumulate(layer, x)
    if layer.residual is not None:
        if residual is None:
            raise GoldenError(f"layer {layer.name} needs its residual operand")
        acc = acc + (residual << layer.residual.lshift)
    return epilogue(layer, acc, acc_bits, word_bits)


def accumulate(layer: QLayer, x: np.ndarray) -> np.ndarray:
    """Sum (or maximum) before residual, bias and epilogue, modulo 2**64, not yet wrapped to acc_bits."""
    if layer.kind == "conv":
        assert layer.weight is not None
        return _convolve(_padded(x, layer), layer.weight, pair(layer.stride))
    x = _padded(x, layer)
    combine = np.maximum if layer.kind == "maxpool" else np.add
    _, rows, columns = layer.out_shape
    acc: np.ndarray | None = None
    for i in range(layer.rows.kernel):
        for j in range(layer.columns.kernel):
            row_end, column_end = i + layer.rows.stride * rows, j + layer.columns.stride * columns
            part = x[:, :, i : row_end : layer.rows.stride, j : column_end : layer.columns.stride]
            acc = part.copy() if acc is None else combine(acc, part, out=acc)
    assert acc is not None
    return acc


def _padded(x: np.ndarray, layer: QLayer) -> np.ndarray:
    top, left, bottom, right = pads(layer.padding)
    return np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)]) if layer.padding else x


def epilogue(layer: QLayer, acc: np.ndarray, acc_bits: int, word_bits: int) -> np.ndarray:
    """Bias, rounding shift and activation of accumulators int64 (batch, channels, rows, columns).

    ``acc`` need only be right modulo 2**acc_bits: the sum with the bias is wrapped here.
    """
    value = rounded(layer, acc, acc_bits)
    top = (1 << (word_bits - 1)) - 1
    if layer.activation == "linear":
        return np.clip(value, -top - 1, top)
    if layer.activation == "relu":
        return np.clip(value, 0, top)
    assert layer.bound is not None
    bound = np.asarray(layer.bound, dtype=np.int64)
    if layer.activation == "clip":
        return value * ((value >= 0) & (value <= bound))
    return np.minimum(np.maximum(value, 0), bound)


def rounded(layer: QLayer, acc: np.ndarray, acc_bits: int) -> np.ndarray:
    """The wide value before the activation: bias and rounding shift of accumulators as :func:`epilogue` takes them."""
    value = wrap(acc + layer.bias.reshape(-1, 1, 1), acc_bits)
    return round_shift(value, layer.shift.reshape(-1, 1, 1))


def clamp_hits(layer: QLayer, value: np.ndarray, margin: int = 0) -> np.ndarray:
    """Where the bound acts on wide values int64 (batch, channels, rows, columns): bool of that shape.

    ``margin``: only values that are above the bound after a right shift by so many bits. Nowhere without a bound.
    """
    if layer.bound is None:
        return np.zeros(value.shape, bool)
    return np.asarray((value >> margin) > np.asarray(layer.bound, dtype=np.int64))


def wrap(value: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement of ``bits`` (at most 64) from int64 values that are right modulo 2**64."""
    spare = 64 - bits
    if not spare:
        return value
    wrapped = value << spare
    wrapped >>= spare
    return wrapped


def round_shift(value: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Right shift by 0..63, half rounding up, exact for every int64.

    ``((v >> (s - 1)) + 1) >> 1`` could overflow in its sum; with ``u = v >> (s - 1)`` it equals
    ``(u >> 1) + (u & 1)``, which cannot.
    """
    half = value >> np.maximum(shift - 1, 0)
    odd = half & 1
    half >>= 1
    half += odd
    return half if shift.all() else np.where(shift == 0, value, half)


def _checked(qnet: QNetwork, overrides: Overrides | None) -> Overrides:
    for name in overrides or {}:
        if name != INPUT:
            _named(qnet, name)
    return overrides or {}


def _named(qnet: QNetwork, name: str) -> QLayer:
    try:
        return qnet.layer(name)
    except KeyError:
        known = ", ".join(layer.name for layer in qnet.layers)
        raise GoldenError(f"{qnet.name} has no layer {name!r}: layers are {known}") from None


def _output(overrides: Overrides, name: str, computed: np.ndarray) -> np.ndarray:
    forced = overrides.get(name)
    if not isinstance(forced, np.ndarray):
        return computed
    if forced.shape[1:] != computed.shape[1:] or forced.shape[0] not in (1, computed.shape[0]):
        raise GoldenError(f"override of {name} has shape {forced.shape}, not {computed.shape}")
    return np.broadcast_to(forced.astype(np.int64), computed.shape)


def _evaluate(qnet: QNetwork, layer: QLayer, trace: LayerTrace, overrides: Overrides) -> np.ndarray:
    forced = overrides.get(layer.name)
    layer = replace(forced, name=layer.name) if isinstance(forced, QLayer) else layer
    x = trace[layer.source]
    residual = trace[layer.residual.source] if layer.residual is not None else None
    if residual is not None and len(residual) != len(x):
        # one of them comes from a fault-free trace of a single image
        count = max(len(residual), len(x))
        x, residual = (np.broadcast_to(t, (count, *t.shape[1:])) for t in (x, residual))
    return _output(overrides, layer.name, run_layer(layer, x, qnet.acc_bits, qnet.word_bits, residual))


def _convolve(x: np.ndarray, weight: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    """Integer cross-correlation modulo 2**64, images grouped so that one huge image slows only itself."""
    if len(x) == 0:
        raise GoldenError("a batch needs at least one image")
    gain = _gain(weight)
    peaks = _peaks(x)
    classes = np.array([0 if p * gain < _EXACT32 else 1 if p * gain < _EXACT64 else 2 for p in peaks])
    parts = [(np.flatnonzero(classes == c), _product(x[classes == c], weight, stride)) for c in np.unique(classes)]
    if len(parts) == 1:
        return parts[0][1]
    out = np.empty((len(x), *parts[0][1].shape[1:]), dtype=np.int64)
    for index, part in parts:
        out[index] = part
    return out


def _gain(weight: np.ndarray) -> int:
    """Largest sum of weight magnitudes of an output channel: bounds every partial sum per unit of input.

    Formed from halves, since magnitudes up to 2**63 would overflow int64 when added.
    """
    magnitude = np.abs(weight.reshape(len(weight), -1).astype(np.float64)).sum(axis=1).max()
    return int(magnitude * (1 + 1e-9)) + 1


def _peaks(x: np.ndarray) -> list[int]:
    """Largest magnitude in each image, as Python integers (exact for -2**63)."""
    flat = x.reshape(len(x), -1)
    highs, lows = flat.max(axis=1), flat.min(axis=1)
    return [max(int(high), -int(low)) for high, low in zip(highs, lows, strict=True)]


def _product(x: np.ndarray, weight: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    peak, gain = max(_peaks(x)), _gain(weight)
    if peak * gain < _EXACT32:
        return _float_product(x, weight, stride, np.float32)
    if peak * gain < _EXACT64:
        return _float_product(x, weight, stride, np.float64)
    # Limbs: value = high * 2**16 + low, with low in 0..65535; inputs first, since that mostly suffices.
    mask = (1 << _LIMB_BITS) - 1
    if peak > mask:
        low = _product(x & mask, weight, stride)
        high = _product(x >> _LIMB_BITS, weight, stride)
    elif max(_peaks(weight)) > mask:
        low = _product(x, weight & mask, stride)
        high = _product(x, weight >> _LIMB_BITS, stride)
    else:
        raise GoldenError(f"a layer of {weight[0].size} products per output is too large for the reference")
    return low + (high << _LIMB_BITS)


def _float_product(x: np.ndarray, weight: np.ndarray, stride: tuple[int, int], dtype: type[np.floating]) -> np.ndarray:
    """The same in floating point; all partial sums are exact integers, in whatever order they form.

    As a plain matrix product, because convolution libraries may use Winograd's fractions; by NumPy, whose OpenBLAS
    is up to 1.5 times as fast in float64 as the MKL of torch on AMD.
    """
    batch, _, rows, columns = x.shape
    kernel = weight.shape[2:]
    matrix = weight.reshape(len(weight), -1).astype(dtype)
    if kernel == (rows, columns):
        flat = x.reshape(batch, -1).astype(dtype)
        return (flat @ matrix.T).astype(np.int64).reshape(batch, len(weight), 1, 1)
    out_rows, out_columns = ((size - k) // s + 1 for size, k, s in zip((rows, columns), kernel, stride, strict=True))
    out = np.empty((batch, len(weight), out_rows, out_columns), dtype=np.int64)
    chunk = max(1, _CHUNK_ELEMENTS // (matrix.shape[1] * out_rows * out_columns))
    for start in range(0, batch, chunk):
        part = x[start : start + chunk].astype(dtype)
        if kernel == (1, 1):
            unfolded = part[:, :, :: stride[0], :: stride[1]].reshape(len(part), matrix.shape[1], -1)
        else:
            unfolded = F.unfold(torch.from_numpy(part), kernel, stride=stride).numpy()
        out[start : start + chunk] = np.matmul(matrix, unfolded).reshape(-1, *out.shape[1:])
    return out
