"""Binary points from calibration images: the smallest squared error (8 and 16 bits) or 16 everywhere (Q15.16).

A weight point is made coarser where bias, residual operand and sums would not fit the accumulator. What that and
saturation cost on the calibration images is noted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from torch import nn

from golden.errors import GoldenError, QuantisationWarning
from golden.frontend.check import check_import, check_layers, checkable
from golden.frontend.layers import FloatLayer
from golden.frontend.lowering import import_network, lower_network
from golden.qnetwork import ACC_BITS, INPUT
from golden.quantisation.images import check_images, network_input, taken_shape
from golden.quantisation.points import (
    FINEST,
    MAX_SHIFT,
    BinaryPoints,
    best_frac,
    check_word,
    counts_as_zero,
    to_fixed,
    word_name,
)
from golden.quantisation.q15_16 import points_q15_16
from golden.quantisation.ranges import Range, Sums, input_peaks, output_range, word_range
from golden.quantisation.seen import Seen, best_points, observe

_ANY = 100
"""Finest binary point of activations, which have no scale of their own."""
_UNSEEN = 0.5
"""Steps of an output: a smaller error of its sum is within its own rounding."""


def calibrate(model: nn.Module, images: np.ndarray, word_bits: int, per_channel: bool = True) -> BinaryPoints:
    """Choose binary points for ``model`` (unbounded) from calibration images: uint8 (count, rows, columns, 3) or float
    (count, channels, rows, columns) as the network takes them. ``model`` stays as it is.

    ``per_channel``: a binary point per output channel of the weights, except in layers with a residual
    operand, whose alignment must be the same in all channels.

    What is lost is in :attr:`BinaryPoints.notes`, and each line of it is a QuantisationWarning. Raises UnsupportedError
    for operators without counterpart; GoldenError for images and parameters that no point suits.
    """
    check_word(word_bits)
    pixels, taken = network_input(images), taken_shape(images)
    if not len(pixels):
        raise GoldenError("calibration needs at least one image")
    network = import_network(model, taken)
    check_images(network, pixels)
    lowered = lower_network(network)
    layers = lowered.layers
    seen = observe(layers, pixels)
    few = pixels[: checkable(network)]
    check_import(model, network, few)
    check_layers(network, lowered, few)
    if word_bits == 32:
        points, notes = points_q15_16(layers, seen)
    else:
        best = best_points(layers, pixels, seen, word_bits, _ANY)
        points, notes = _Calibration(layers, seen, best, word_bits, per_channel).run()
    for note in notes:
        warnings.warn(note, QuantisationWarning, stacklevel=2)
    return replace(points, input_shape=taken, notes=tuple(notes))


@dataclass
class _Found:
    """Points of the layers so far, and what words these can put out."""

    activation: dict[str, int]
    ranges: dict[str, Range]
    weight: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _TooFine(Exception):
    """A tensor is finer than the accumulator that it is to be added to, whose point is ``frac``."""

    def __init__(self, tensor: str, frac: int, layer: str) -> None:
        super().__init__(tensor, frac, layer)
        self.tensor, self.frac, self.layer = tensor, frac, layer


class _Calibration:
    """Points at 8 and 16 bits, layer by layer.

    Where a residual operand is finer than the accumulator, the layer that makes it gets a limit, and all begins anew.
    """

    def __init__(
        self,
        layers: list[FloatLayer],
        seen: Mapping[str, Seen],
        best: Mapping[str, int],
        word_bits: int,
        per_channel: bool,
    ) -> None:
        self.layers, self.word_bits, self.per_channel = layers, word_bits, per_channel
        self.acc_bits = ACC_BITS[word_bits]
        self.by_name = {layer.name: layer for layer in layers}
        self.seen, self.best = seen, best
        self.limits: dict[str, int] = {}

    def run(self) -> tuple[BinaryPoints, list[str]]:
        """The points, and what they lose."""
        for _ in range(len(self.layers) + 1):
            try:
                found = self._attempt()
            except _TooFine as problem:
                self.limits[problem.tensor], last = problem.frac, problem.layer
                continue
            return BinaryPoints(self.word_bits, found.activation, found.weight), found.notes
        raise _unaligned(last, self.word_bits)

    def _attempt(self) -> _Found:
        found = _Found({INPUT: self._activation(INPUT)}, {INPUT: word_range(self.word_bits)})
        for name, frac in self.limits.items():
            found.notes.append(
                f"{name}: kept {self.best[name] - frac} bits coarser than would suit it, since it is a residual "
                f"operand of a layer with large weights: its largest value is {self.seen[name].peak * 2.0**frac:.3g} "
                "steps"
            )
        for layer in self.layers:
            if layer.kind == "conv":
                self._conv(layer, found)
            else:
                found.activation[layer.name] = found.activation[layer.source]
            found.ranges[layer.name] = output_range(
                layer.kind, layer.activation, found.ranges[layer.source], self.word_bits
            )
        return found

    def _activation(self, name: str) -> int:
        return min(self.best[name], self.limits.get(name, _ANY))

    def _root(self, name: str) -> str:
        """The tensor whose point ``name`` has: pools have that of their input."""
        while name != INPUT and self.by_name[name].kind != "conv":
            name = self.by_name[name].source
        return name

    def _conv(self, layer: FloatLayer, found: _Found) -> None:
        assert layer.weight is not None
        frac_in, frac_out = found.activation[layer.source], self._activation(layer.name)
        weight = layer.weight.reshape(len(layer.weight), -1)
        shared = layer.residual is not None or not self.per_channel
        costs = _Costs(weight, input_peaks(layer, self.seen[layer.source].peaks), self.word_bits)
        wanted = _weight_fracs(weight, self.word_bits, shared)
        wanted = costs.without_dead_inputs(wanted, frac_out - frac_in, frac_out, shared)
        wanted = np.minimum(wanted, frac_out - frac_in + MAX_SHIFT)
        sums = Sums(layer.bias, found.ranges[layer.source], frac_in)
        if layer.residual is not None:
            sums = sums.plus(found.ranges[layer.residual], found.activation[layer.residual])
        fracs = _fitting(weight, sums, wanted, shared, self.word_bits)
        lowest = int(fracs.min())
        if layer.residual is not None and frac_in + lowest < found.activation[layer.residual]:
            operand = self._root(layer.residual)
            if operand == self._root(layer.source):
                raise _unaligned(layer.name, self.word_bits)
            raise _TooFine(operand, frac_in + lowest, layer.name)
        found.activation[layer.name] = min(frac_out, frac_in + lowest)
        found.weight[layer.name] = [int(frac) for frac in (fracs[:1] if shared else fracs)]
        found.notes += self._losses(layer, costs, wanted, fracs, found.activation[layer.name])

    def _losses(
        self, layer: FloatLayer, costs: _Costs, wanted: np.ndarray, fracs: np.ndarray, frac_out: int
    ) -> list[str]:
        notes = []
        loss = float((costs.errors(fracs) - costs.errors(wanted)).max()) * 2.0**frac_out
        if loss > _UNSEEN:
            notes.append(
                f"{layer.name}: weights of {np.count_nonzero(fracs < wanted)} of {len(fracs)} channels are up to "
                f"{(wanted - fracs).max()} bits coarser than would suit them, so that bias, residual operand and sums "
                f"fit {self.acc_bits} bits; outputs differ by up to {loss:.3g} steps"
            )
        if frac_out < self._activation(layer.name):
            notes.append(
                f"{layer.name}: kept {self._activation(layer.name) - frac_out} bits coarser than would suit it, since "
                "the products of its input and weights are no finer"
            )
        return notes


def _unaligned(layer: str, word_bits: int) -> GoldenError:
    return GoldenError(
        f"layer {layer} has weights too large to take its residual operand with {word_name(word_bits)}: use wider words"
    )


def _weight_fracs(weight: np.ndarray, word_bits: int, shared: bool) -> np.ndarray:
    """The best point of each output channel, int64 (channels,)."""
    peaks = np.abs(weight).max(axis=1)
    # a layer that is small as a whole is no zero
    top = (1 << (word_bits - 1)) - 1
    finest = max(FINEST, int(np.floor(np.log2(top / peaks.max())))) if peaks.any() else FINEST
    if shared:
        return np.full(len(weight), best_frac(weight, word_bits, finest), np.int64)
    fracs = np.array([best_frac(channel, word_bits, finest) for channel in weight], np.int64)
    zero = np.array([counts_as_zero(float(peak), finest) for peak in peaks])
    if zero.any() and not zero.all():
        fracs[zero] = fracs[~zero].max()  # any point suits zeros: they hold no other channel back
    return fracs


def _fitting(weight: np.ndarray, sums: Sums, wanted: np.ndarray, shared: bool, word_bits: int) -> np.ndarray:
    """``wanted`` or as much coarser as the accumulator needs, channel by channel or all together."""
    fracs = wanted.copy()
    while True:
        wraps = ~sums.fit(to_fixed(weight, fracs[:, None], word_bits), fracs, ACC_BITS[word_bits])
        if not wraps.any():
            return fracs
        fracs[slice(None) if shared else wraps] -= 1


@dataclass(frozen=True, eq=False)
class _Costs:
    """What the rounding and clipping of a layer's weights can do to its outputs.

    ``weight`` float64 (channels, products), ``peaks`` the largest magnitude of each input of a product (products,).
    """

    weight: np.ndarray
    peaks: np.ndarray
    word_bits: int

    def errors(self, fracs: np.ndarray) -> np.ndarray:
        """Largest error of an output with weights at points ``fracs``, float64 (channels,)."""
        points = fracs[:, None]
        kept = to_fixed(self.weight, points, self.word_bits) * np.exp2(-points.astype(np.float64))
        errors: np.ndarray = np.abs(self.weight - kept) @ self.peaks
        return errors

    def without_dead_inputs(self, fracs: np.ndarray, least: int, frac_out: int, shared: bool) -> np.ndarray:
        """``fracs``, those below ``least`` raised to what suits the weights whose inputs are not always 0: no channel
        must make all outputs coarser for the sake of a dead input, whose weights may saturate."""
        coarse, alive = fracs < least, self.peaks > 0
        if not coarse.any() or alive.all() or not alive.any():
            return fracs
        wanted = _weight_fracs(self.weight[:, alive], self.word_bits, shared)
        raised = np.where(coarse, np.maximum(least, wanted), fracs)
        top = ((1 << (self.word_bits - 1)) - 1) * np.exp2(-raised.astype(np.float64))
        clipped = np.maximum(np.abs(self.weight) - top[:, None], 0) @ self.peaks * 2.0**frac_out
        harmless = clipped <= _UNSEEN
        if shared:
            return raised if harmless.all() else fracs
        return np.where(harmless, raised, fracs)
