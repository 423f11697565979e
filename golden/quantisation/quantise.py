"""Post-training quantisation with power-of-two scales: a traced network becomes a ``QNetwork``.

A value ``x`` becomes ``round(x * 2**f)``; the binary points ``f`` minimise the squared error on calibration
images (8 and 16 bits) or are all 16 (32 bits, the Q15.16 of the literature). They are the only result of
calibration and are kept in a file, so that quantising again needs no images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from golden.data.cifar10 import MEAN, STD
from golden.errors import GoldenError, WeightsError
from golden.frontend.lowering import FloatLayer, lower, trace_module
from golden.qnetwork import ACC_BITS, INPUT, QLayer, QNetwork, Residual

Q15_16 = 16
"""The binary point of every tensor at 32 bits."""
MAX_SHIFT = 63
_FRACS = range(-8, 31)


@dataclass(frozen=True)
class BinaryPoints:
    """Binary points by layer name: of each layer's output, and of its weights (one per output channel
    or one for all). ``activation`` also holds :data:`INPUT`."""

    word_bits: int
    activation: dict[str, int]
    weight: dict[str, list[int]]

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> BinaryPoints:
        """Inverse of :meth:`to_json`. Raises WeightsError if the data are not of that form."""
        try:
            return BinaryPoints(
                int(data["word_bits"]),
                {str(key): int(value) for key, value in data["activation"].items()},
                {str(key): [int(f) for f in value] for key, value in data["weight"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"binary points are incomplete ({error!r})") from error


def word_name(word_bits: int) -> str:
    """What reports call words of a width: int8, int16, Q15.16."""
    return "Q15.16" if word_bits == 32 else f"int{word_bits}"


def check_word(word_bits: int) -> None:
    """Raise GoldenError unless the word is 8, 16 or 32 bits."""
    if word_bits not in ACC_BITS:
        raise GoldenError(f"word of {word_bits} bits is not supported: choose from 8, 16, 32")


def to_fixed(value: np.ndarray, frac: np.ndarray | int, bits: int) -> np.ndarray:
    """Round half up to int64 at binary point ``frac``, saturating to ``bits`` (float64 arithmetic)."""
    top = float(2 ** (bits - 1))
    scaled = np.floor(np.asarray(value, np.float64) * np.exp2(np.asarray(frac, np.float64)) + 0.5)
    # 2**63 - 1 has no float64; the word is at most 32 bits and biases are checked before
    return np.clip(scaled, -top, top - 1).astype(np.int64)


def best_frac(values: np.ndarray, bits: int) -> int:
    """Binary point with the smallest squared quantisation error of ``values`` (the smaller on a tie)."""
    values = np.asarray(values, np.float64).ravel()
    peak = float(np.abs(values).max(initial=0.0))
    if peak == 0.0:
        return bits - 1
    # Clipping beyond 4 bits of the peak never pays; this keeps the search to a few candidates.
    unclipped = int(np.floor(np.log2((2 ** (bits - 1) - 1) / peak)))
    candidates = [f for f in range(unclipped - 1, unclipped + 5) if f in _FRACS] or [_FRACS[0]]
    errors = [float(np.square(to_fixed(values, f, bits) * 2.0**-f - values).sum()) for f in candidates]
    return candidates[int(np.argmin(errors))]


def calibrate(model: nn.Module, images: np.ndarray, word_bits: int, per_channel: bool = True) -> BinaryPoints:
    """Choose binary points for ``model`` (unbounded) from calibration images uint8 (count, 32, 32, 3).

    ``per_channel``: a binary point per output channel of the weights, except in layers with a residual
    operand, whose alignment must be the same in all channels.
    """
    check_word(word_bits)
    layers = lower(model)
    if word_bits == 32:
        names = [INPUT, *(layer.name for layer in layers)]
        weights = {layer.name: [Q15_16] for layer in layers if layer.weight is not None}
        return BinaryPoints(word_bits, dict.fromkeys(names, Q15_16), weights)
    pixels = normalise_images(images)
    values = _node_values(model, torch.from_numpy(pixels).float(), {layer.node for layer in layers})
    activation = {INPUT: best_frac(pixels, word_bits)}
    weight: dict[str, list[int]] = {}
    for layer in layers:
        if layer.kind != "conv":
            activation[layer.name] = activation[layer.source]
            continue
        assert layer.weight is not None
        frac_in, frac_out = activation[layer.source], best_frac(values[layer.node], word_bits)
        groups = [layer.weight] if layer.residual or not per_channel else list(layer.weight)
        # Large channels may ask for so coarse a weight that the product is coarser than the output.
        fracs = [best_frac(group, word_bits) for group in groups]
        frac_out = min(frac_out, frac_in + min(fracs))
        highest = frac_out - frac_in + MAX_SHIFT
        weight[layer.name] = [min(frac, highest) for frac in fracs]
        activation[layer.name] = frac_out
    return BinaryPoints(word_bits, activation, weight)


def quantise(
    model: nn.Module,
    points: BinaryPoints,
    name: str = "network",
    scheme: str = "unprotected",
    meta: Mapping[str, str] | None = None,
) -> QNetwork:
    """Quantise ``model`` (with bounded activations, if any) at the given binary points.

    Raises UnsupportedError for operators without counterpart, WeightsError if the points do not belong
    to this network, GoldenError if a number does not fit the format.
    """
    check_word(points.word_bits)
    layers = lower(model)
    conv_names = {layer.name for layer in layers if layer.kind == "conv"}
    if set(points.weight) != conv_names or set(points.activation) != {INPUT, *(x.name for x in layers)}:
        raise WeightsError("binary points belong to another network")
    return QNetwork(
        name=name,
        scheme=scheme,
        word_bits=points.word_bits,
        acc_bits=ACC_BITS[points.word_bits],
        input_shape=layers[0].in_shape,
        input_frac=points.activation[INPUT],
        layers=tuple(_quantise_layer(layer, points) for layer in layers),
        meta=dict(meta or {}),
    )


def normalise_images(images: np.ndarray) -> np.ndarray:
    """uint8 (count, rows, columns, 3) to float64 (count, 3, rows, columns) as in training."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise GoldenError(f"expected uint8 images (count, rows, columns, 3), found {images.dtype} {images.shape}")
    return ((images / 255.0 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)


def quantise_images(qnet: QNetwork, images: np.ndarray) -> np.ndarray:
    """uint8 images (count, 32, 32, 3) to the network's int64 input (count, 3, 32, 32)."""
    return np.ascontiguousarray(to_fixed(normalise_images(images), qnet.input_frac, qnet.word_bits))


def quantise_bound(bound: np.ndarray, frac: int, word_bits: int) -> int | np.ndarray:
    """Bounds to words, rounding up so that a value at its bound still passes; at most the largest word.

    ``bound`` () gives an int, any other shape an int64 array. Raises GoldenError for a negative bound.
    """
    if not np.isfinite(bound).all() or (bound < 0).any():
        raise GoldenError(f"a bound is negative or not finite (smallest {bound.min()})")
    top = (1 << (word_bits - 1)) - 1
    words = np.minimum(np.ceil(bound.astype(np.float64) * 2.0**frac), top).astype(np.int64)
    return words if words.ndim else int(words)


def _quantise_layer(layer: FloatLayer, points: BinaryPoints) -> QLayer:
    word_bits, acc_bits = points.word_bits, ACC_BITS[points.word_bits]
    frac_in, frac_out = points.activation[layer.source], points.activation[layer.name]
    channels = layer.out_shape[0]
    weight, residual = None, None
    if layer.weight is None:
        frac_acc = np.full(channels, frac_in, np.int64)
        # An average pool divides by its area, a power of two, in the same shift.
        area_bits = 2 * (layer.kernel.bit_length() - 1) if layer.kind == "avgpool" else 0
        shift = np.full(channels, frac_in - frac_out + area_bits, np.int64)
    else:
        fracs = np.broadcast_to(np.asarray(points.weight[layer.name], np.int64), (channels,))
        weight = to_fixed(layer.weight, fracs.reshape(-1, 1, 1, 1), word_bits)
        frac_acc = frac_in + fracs
        shift = frac_acc - frac_out
    if shift.min() < 0 or shift.max() > MAX_SHIFT:
        raise GoldenError(f"layer {layer.name} needs a shift of {shift.min()}..{shift.max()}, not 0..{MAX_SHIFT}")
    scaled = np.floor(layer.bias * np.exp2(frac_acc) + 0.5)
    if np.abs(scaled).max() >= 2.0 ** (acc_bits - 1):
        raise GoldenError(f"layer {layer.name} has a bias that does not fit {acc_bits} bits")
    if layer.residual is not None:
        lshift = int(frac_acc[0]) - points.activation[layer.residual]
        if not 0 <= lshift <= MAX_SHIFT or (frac_acc != frac_acc[0]).any():
            raise GoldenError(f"layer {layer.name} cannot align its residual operand (left shift {lshift})")
        residual = Residual(layer.residual, lshift)
    return QLayer(
        name=layer.name,
        kind=layer.kind,
        source=layer.source,
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        kernel=layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
        weight=weight,
        bias=scaled.astype(np.int64),
        shift=shift.astype(np.int64),
        activation=layer.activation,
        bound=None if layer.bound is None else quantise_bound(layer.bound, frac_out, word_bits),
        frac_out=frac_out,
        residual=residual,
    )


class _Keeper(fx.Interpreter):
    """Runs a traced network and keeps the values of some nodes."""

    def __init__(self, module: fx.GraphModule, wanted: set[str]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.kept: dict[str, np.ndarray] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.wanted:
            self.kept[n.name] = value.numpy()
        return value


def _node_values(model: nn.Module, pixels: torch.Tensor, wanted: set[str]) -> dict[str, np.ndarray]:
    shape = (int(pixels.shape[1]), int(pixels.shape[2]), int(pixels.shape[3]))
    keeper = _Keeper(trace_module(model, shape), wanted)
    with torch.no_grad():
        keeper.run(pixels)
    return keeper.kept
