"""Post-training quantisation with power-of-two scales: a traced network becomes a ``QNetwork``.

A value ``x`` becomes ``round(x * 2**f)``; the binary points ``f`` minimise the squared error on calibration
images (8 and 16 bits) or are all 16 (32 bits, the Q15.16 of the literature). They are the only result of
calibration and are kept in a file, so that quantising again needs no images.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from golden.bounds.schemes import UNPROTECTED
from golden.errors import GoldenError, UnsupportedError, WeightsError
from golden.frontend.activations import BoundedReLU
from golden.frontend.graph import image_shape
from golden.frontend.layers import FloatLayer, pool_divisor
from golden.frontend.lowering import import_network, lower_network
from golden.frontend.network import GraphNetwork
from golden.qnetwork import ACC_BITS, INPUT, QLayer, QNetwork
from golden.quantisation.calibration import calibrate
from golden.quantisation.images import network_input, normalise_images
from golden.quantisation.points import MAX_SHIFT, Q15_16, BinaryPoints, best_frac, check_word, to_fixed, word_name
from golden.quantisation.ranges import Range, Sums, output_range, word_range

__all__ = [
    "Q15_16",
    "BinaryPoints",
    "best_frac",
    "calibrate",
    "check_word",
    "normalise_images",
    "quantise",
    "quantise_bound",
    "quantise_images",
    "to_fixed",
    "word_name",
]


def quantise(
    model: nn.Module,
    points: BinaryPoints,
    name: str = "network",
    scheme: str = UNPROTECTED.name,
    meta: Mapping[str, str] | None = None,
) -> QNetwork:
    """Quantise ``model`` (with bounded activations, if any) at the given binary points. ``model`` stays as it is.

    Raises UnsupportedError for operators without counterpart, WeightsError if the points do not belong
    to this network, GoldenError if a number does not fit the format or sums could wrap.
    """
    check_word(points.word_bits)
    network = import_network(model, points.input_shape)
    if image_shape(points.input_shape) != network.graph.input_shape:
        raise WeightsError("binary points belong to a network for images of another size")
    _refuse_partial_bounds(network)
    layers = lower_network(network).layers
    conv_names = {layer.name for layer in layers if layer.kind == "conv"}
    if set(points.weight) != conv_names or set(points.activation) != {INPUT, *(x.name for x in layers)}:
        raise WeightsError("binary points belong to another network")
    ranges = {INPUT: word_range(points.word_bits)}
    for layer in layers:
        ranges[layer.name] = output_range(layer.kind, layer.activation, ranges[layer.source], points.word_bits)
    return QNetwork(
        name=name,
        scheme=scheme,
        word_bits=points.word_bits,
        acc_bits=ACC_BITS[points.word_bits],
        input_shape=layers[0].in_shape,
        input_frac=points.activation[INPUT],
        layers=tuple(_quantise_layer(layer, points, ranges) for layer in layers),
        meta=dict(meta or {}),
    )


def _refuse_partial_bounds(network: GraphNetwork) -> None:
    """A protected network protects all activations."""
    modules = {name: network.get_submodule(name) for name in network.activation_calls}
    free = [name for name, module in modules.items() if not isinstance(module, BoundedReLU)]
    if 0 < len(free) < len(modules):
        names = ", ".join(free)
        raise UnsupportedError(f"activations {names} of {network.graph.name} have no bounds, others have")


def quantise_images(qnet: QNetwork, images: np.ndarray) -> np.ndarray:
    """Images, uint8 (count, rows, columns, 3) or float (count, channels, rows, columns) as the network takes them, to
    the network's int64 input (count, channels, rows, columns). Raises GoldenError for images of another shape."""
    pixels = network_input(images)
    if pixels.shape[1:] != qnet.input_shape:
        size = "x".join(map(str, pixels.shape[1:]))
        raise GoldenError(f"{qnet.name} takes images of {'x'.join(map(str, qnet.input_shape))}, not {size}")
    return np.ascontiguousarray(to_fixed(pixels, qnet.input_frac, qnet.word_bits))


def quantise_bound(bound: np.ndarray, frac: int, word_bits: int) -> int | np.ndarray:
    """Bounds to words, rounding up so that a value at its bound still passes; at most the largest word.

    ``bound`` () gives an int, any other shape an int64 array. Raises GoldenError for a negative bound.
    """
    if not np.isfinite(bound).all() or (bound < 0).any():
        raise GoldenError(f"a bound is negative or not finite (smallest {bound.min()})")
    top = (1 << (word_bits - 1)) - 1
    words = np.minimum(np.ceil(bound.astype(np.float64) * 2.0**frac), top).astype(np.int64)
    return words if words.ndim else int(words)


def _quantise_layer(layer: FloatLayer, points: BinaryPoints, ranges: Mapping[str, Range]) -> QLayer:
    word_bits, acc_bits = points.word_bits, ACC_BITS[points.word_bits]
    frac_in, frac_out = points.activation[layer.source], points.activation[layer.name]
    channels = layer.out_shape[0]
    weight, lshift = None, 0
    if layer.weight is None:
        frac_acc = np.full(channels, frac_in, np.int64)
        # An average pool divides by a power of two in the same shift.
        area_bits = pool_divisor(layer.area).bit_length() - 1 if layer.kind == "avgpool" else 0
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
    if weight is not None and word_bits < 32:  # at 32 bits only calibration can tell: no point could be changed
        _refuse_wrapping(layer, weight, fracs, points, ranges)
    bound = None if layer.bound is None else quantise_bound(layer.bound, frac_out, word_bits)
    return layer.in_words(weight, scaled.astype(np.int64), shift.astype(np.int64), bound, frac_out, lshift)


def _refuse_wrapping(
    layer: FloatLayer, words: np.ndarray, fracs: np.ndarray, points: BinaryPoints, ranges: Mapping[str, Range]
) -> None:
    sums = Sums(layer.bias, ranges[layer.source], points.activation[layer.source])
    if layer.residual is not None:
        sums = sums.plus(ranges[layer.residual], points.activation[layer.residual])
    wraps = ~sums.fit(words, fracs, ACC_BITS[points.word_bits])
    if wraps.any():
        raise GoldenError(
            f"layer {layer.name}: bias, residual operand and sums of channel {int(wraps.argmax())} do not fit "
            f"{ACC_BITS[points.word_bits]} bits at these binary points: calibrate again"
        )
