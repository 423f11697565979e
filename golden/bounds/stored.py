"""How bounds lie in memory: full words or 4-bit codes, one per layer, channel, 2x2 patch or neuron.

The 4-bit code is :mod:`golden.bounds.code`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from golden.bounds.code import CODE_BITS, decode, encode
from golden.bounds.granularity import Granularity, groups
from golden.errors import GoldenError
from golden.qnetwork import Activation, QLayer, QNetwork


class BoundFormat(str, Enum):
    """How a bound is stored: a full word, or a code of :mod:`golden.bounds.code`."""

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


def stored_in_groups(qnet: QNetwork, granularity: Granularity) -> dict[str, StoredBounds]:
    """Bounds of every bounded layer as full words: one for each group of ``granularity`` where the scheme has them for
    neurons (equal within a group), else the layer's one."""
    found = {
        layer.name: shared(layer, granularity, BoundFormat.WORD, qnet.word_bits)
        if isinstance(layer.bound, np.ndarray)
        else stored_words(layer, qnet.word_bits)
        for layer in qnet.layers
    }
    return {name: stored for name, stored in found.items() if stored is not None}


def shared(layer: QLayer, granularity: Granularity, form: BoundFormat, word_bits: int) -> StoredBounds:
    """The maxima of a layer's bounds over each group, and how they are stored. The layer needs a bound."""
    group = groups(layer.out_shape, granularity)
    peaks = np.zeros(int(group.max()) + 1, np.int64)
    np.maximum.at(peaks, group, np.broadcast_to(np.asarray(layer.bound, np.int64), layer.out_shape))
    raw, bits, base = peaks, word_bits, None
    if form is BoundFormat.CODE:
        (raw, base), bits = encode(peaks), CODE_BITS
    top = (1 << (word_bits - 1)) - 1
    return StoredBounds(raw, bits, None if granularity is Granularity.LAYER else group, top, base)


def fitted(qnet: QNetwork, granularity: Granularity, form: BoundFormat) -> QNetwork:
    """``qnet`` with its bounds per neuron as a machine with this bound buffer keeps them; all else is unchanged."""
    return replace(
        qnet,
        layers=tuple(
            replace(layer, bound=shared(layer, granularity, form, qnet.word_bits).values())
            if isinstance(layer.bound, np.ndarray)
            else layer
            for layer in qnet.layers
        ),
    )


LEARNED = "learned"
"""Instead of a format in :func:`variant_name`: the bounds, words, were learned for their groups."""


def variant_name(granularity: Granularity, saturate: bool, form: str) -> str:
    """Name of a network with regrouped bounds; ``form``: value of a BoundFormat, or LEARNED."""
    return f"{granularity.value}-{'saturate' if saturate else 'clip'}-{form}"


def regroup(
    qnet: QNetwork, granularity: Granularity, saturate: bool, form: BoundFormat
) -> tuple[QNetwork, dict[str, StoredBounds]]:
    """A network whose bounds are the maxima of ``qnet``'s over each group, and how they are stored.

    ``qnet`` needs bounds (per neuron, for the study). Raises GoldenError if it has none.
    """
    layers, stored = [], {}
    for layer in qnet.layers:
        if layer.bound is None:
            layers.append(layer)
            continue
        kept = shared(layer, granularity, form, qnet.word_bits)
        stored[layer.name] = kept
        activation: Activation = "saturate" if saturate else "clip"
        layers.append(replace(layer, activation=activation, bound=kept.values()))
    if not stored:
        raise GoldenError(f"{qnet.name} ({qnet.scheme}) has no bounds to regroup: choose a scheme with bounds")
    return replace(qnet, scheme=variant_name(granularity, saturate, form.value), layers=tuple(layers)), stored
