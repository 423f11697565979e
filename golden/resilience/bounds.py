"""How bounds lie in memory: full words or 4-bit codes, one per layer, channel, 2x2 patch or neuron.

A 4-bit code c stands for 0 if c = 0, else for (2 + (c & 1)) * 2**(c >> 1) times 2**base: levels 3, 4, 6, 8,
12, ... 384 of one exponent and one mantissa digit. ``base`` belongs to the layer (it lies with the
instruction, not in parameter memory). Encoding rounds up, so a coded bound is never below the true one, and
by at most half above it unless it is below the smallest level. The largest level covers the layer's
largest bound by less than twice: no flip of a code can raise a bound beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from golden.errors import GoldenError
from golden.qnetwork import Activation, QLayer, QNetwork

CODE_BITS = 4
LEVELS = np.array([0, *((2 + (code & 1)) << (code >> 1) for code in range(1, 1 << CODE_BITS))], np.int64)
"""Value of each code at base 0."""


class Granularity(str, Enum):
    """Which neurons share a bound."""

    LAYER = "layer"
    CHANNEL = "channel"
    PATCH = "patch"
    NEURON = "neuron"


class Format(str, Enum):
    """How a bound is stored."""

    WORD = "word"
    CODE = "code4"


@dataclass(frozen=True, eq=False)
class StoredBounds:
    """The bounds of one layer as they lie in memory.

    ``raw``: int64 (count,), two's complement words of ``bits`` or codes 0..15; ``group``: None if the layer
    has one bound, else int64 of the layer's out_shape, the index into ``raw`` of each neuron.
    ``base`` is the exponent of the codes, None for words; ``top`` the largest word of the network.
    """

    raw: np.ndarray
    bits: int
    group: np.ndarray | None
    top: int
    base: int | None = None

    def values(self, raw: np.ndarray | None = None) -> int | np.ndarray:
        """The bounds that the machine uses, int or int64 of out_shape, for ``raw`` (default: as stored)."""
        words = self.raw if raw is None else raw
        if self.base is not None:
            words = np.minimum(decode(words, self.base), self.top)
        return int(words[0]) if self.group is None else words[self.group]

    @property
    def storage_bits(self) -> int:
        """Bits of bound memory."""
        return int(self.raw.size) * self.bits


def stored_words(layer: QLayer, word_bits: int) -> StoredBounds | None:
    """The bounds of a layer as the schemes store them: one word per layer or one per neuron."""
    if layer.bound is None:
        return None
    top = (1 << (word_bits - 1)) - 1
    if isinstance(layer.bound, int | np.integer):
        return StoredBounds(np.array([layer.bound], np.int64), word_bits, None, top)
    bound = np.asarray(layer.bound, np.int64)
    return StoredBounds(bound.ravel(), word_bits, np.arange(bound.size).reshape(bound.shape), top)


def decode(code: np.ndarray, base: int) -> np.ndarray:
    """Codes 0..15 to bounds, int64; a negative ``base`` divides, rounding up."""
    levels = LEVELS[code]
    return levels << base if base >= 0 else -(-levels >> -base)


def encode(bound: np.ndarray) -> tuple[np.ndarray, int]:
    """Codes int64 of non-negative bounds, rounded up, and their base. Raises GoldenError below zero."""
    if bound.size and bound.min() < 0:
        raise GoldenError(f"a negative bound ({bound.min()}) has no code")
    peak = int(bound.max(initial=0))
    base = -16
    while int(decode(np.array(LEVELS.size - 1), base)) < peak:
        base += 1
    return np.searchsorted(decode(np.arange(LEVELS.size), base), bound, side="left").astype(np.int64), base


def groups(shape: tuple[int, int, int], granularity: Granularity) -> np.ndarray:
    """Group index of each neuron, int64 of ``shape``, groups numbered in the order of memory."""
    channel, row, column = np.indices(shape)
    if granularity is Granularity.LAYER:
        return np.zeros(shape, np.int64)
    if granularity is Granularity.CHANNEL:
        return channel.astype(np.int64)
    if granularity is Granularity.NEURON:
        return np.arange(channel.size).reshape(shape)
    patch_rows, patch_columns = (shape[1] + 1) // 2, (shape[2] + 1) // 2
    return ((channel * patch_rows + row // 2) * patch_columns + column // 2).astype(np.int64)


def regroup(
    qnet: QNetwork, granularity: Granularity, saturate: bool, form: Format
) -> tuple[QNetwork, dict[str, StoredBounds]]:
    """A network whose bounds are the maxima of ``qnet``'s over each group, and how they are stored.

    ``qnet`` needs bounds (per neuron, for the study). Raises GoldenError if it has none.
    """
    layers, stored = [], {}
    top = (1 << (qnet.word_bits - 1)) - 1
    for layer in qnet.layers:
        if layer.bound is None:
            layers.append(layer)
            continue
        group = groups(layer.out_shape, granularity)
        peaks = np.zeros(int(group.max()) + 1, np.int64)
        np.maximum.at(peaks, group, np.broadcast_to(np.asarray(layer.bound, np.int64), layer.out_shape))
        raw, bits, base = peaks, qnet.word_bits, None
        if form is Format.CODE:
            (raw, base), bits = encode(peaks), CODE_BITS
        kept = StoredBounds(raw, bits, None if granularity is Granularity.LAYER else group, top, base)
        stored[layer.name] = kept
        activation: Activation = "saturate" if saturate else "clip"
        layers.append(replace(layer, activation=activation, bound=kept.values()))
    if not stored:
        raise GoldenError(f"{qnet.name} ({qnet.scheme}) has no bounds to regroup: choose a scheme with bounds")
    name = f"{granularity.value}-{'saturate' if saturate else 'clip'}-{form.value}"
    return replace(qnet, scheme=name, layers=tuple(layers)), stored
