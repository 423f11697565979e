"""Fault maps: which stored bits of a network's parameters are flipped, and the network that results.

Every stored bit flips independently with probability ``rate``: their number is drawn from the binomial
distribution over all bits together, their positions without replacement. Weights and biases (which all
schemes share) are one bit space, bounds another with a random stream of its own, so that one map hits all
schemes alike and protecting the bounds changes nothing else. Pools have no parameters.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from golden.bounds.stored import StoredBounds, stored_words
from golden.errors import GoldenError
from golden.qnetwork import SHIFT_BITS, QLayer, QNetwork

Kind = Literal["weight", "bias", "shift", "bound"]
_SHARED, _BOUNDS = 0, 1


@dataclass(frozen=True)
class Segment:
    """Equal words of one kind in one layer: ``count`` words of ``bits``, in the flat order of the tensor.

    ``stored``: their places in it, int64 (count,), where it also has numbers that lie in no memory; None: all.
    """

    layer: str
    kind: Kind
    count: int
    bits: int
    stored: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def places(self) -> np.ndarray:
        """Where each word is in the tensor, int64 (count,)."""
        return np.arange(self.count) if self.stored is None else self.stored

    @property
    def size(self) -> int:
        """Stored bits."""
        return self.count * self.bits


@dataclass(frozen=True, eq=False)
class Flips:
    """Flipped bits of one segment: place in the tensor int64 and bit 0..bits-1 int64, each pair once."""

    segment: Segment
    element: np.ndarray
    bit: np.ndarray


@dataclass(frozen=True, eq=False)
class FaultMap:
    """Flipped bits of a network; (seed, rate, index) draws it again for any scheme of the same network."""

    seed: int
    rate: float
    index: int
    flips: tuple[Flips, ...]

    def count(self, *kinds: Kind) -> int:
        """Number of flips in segments of these kinds (all kinds if none is named)."""
        return sum(len(f.bit) for f in self.flips if not kinds or f.segment.kind in kinds)


@dataclass(frozen=True)
class Memory:
    """Which parameters lie in the faulty memory.

    ``bounds``: the bounds too (else they are protected). ``shifts``: the right shifts beside the biases, off
    by default because the literature's networks have none.
    """

    bounds: bool = True
    shifts: bool = False


def shared_segments(qnet: QNetwork, memory: Memory = Memory()) -> tuple[Segment, ...]:
    """Weights (word_bits) and biases (acc_bits) of every layer that has weights, in execution order."""
    segments = []
    for layer in qnet.layers:
        if layer.weight is None:
            continue
        stored = layer.stored_weights
        count = int(layer.weight.size) if stored is None else len(stored)
        segments.append(Segment(layer.name, "weight", count, qnet.word_bits, stored))
        segments.append(Segment(layer.name, "bias", int(layer.bias.size), qnet.acc_bits))
        if memory.shifts:
            segments.append(Segment(layer.name, "shift", int(layer.shift.size), SHIFT_BITS))
    return tuple(segments)


def stored_bounds(qnet: QNetwork) -> dict[str, StoredBounds]:
    """Bounds of every bounded layer as full words, one per layer or per neuron as the scheme has them."""
    found = {layer.name: stored_words(layer, qnet.word_bits) for layer in qnet.layers}
    return {name: stored for name, stored in found.items() if stored is not None}


def bound_segments(stored: Mapping[str, StoredBounds]) -> tuple[Segment, ...]:
    """Segments of the bounds, in the order of ``stored`` (execution order)."""
    return tuple(Segment(name, "bound", int(s.raw.size), s.bits) for name, s in stored.items())


def draw(
    qnet: QNetwork,
    rate: float,
    seed: int,
    index: int,
    memory: Memory = Memory(),
    stored: Mapping[str, StoredBounds] | None = None,
) -> FaultMap:
    """Map number ``index`` at bit error rate ``rate``; ``stored`` if bounds are not kept as full words.

    Raises GoldenError unless 0 <= rate <= 1 and seed, index >= 0.
    """
    if not 0 <= rate <= 1 or seed < 0 or index < 0:
        raise GoldenError(f"rate {rate} must be 0..1, seed {seed} and map {index} not negative")
    flips = draw_flips(shared_segments(qnet, memory), rate, _generator(seed, rate, index, _SHARED))
    if memory.bounds:
        segments = bound_segments(stored_bounds(qnet) if stored is None else stored)
        flips += draw_flips(segments, rate, _generator(seed, rate, index, _BOUNDS))
    return FaultMap(seed, rate, index, flips)


def corrupt(qnet: QNetwork, faults: FaultMap, stored: Mapping[str, StoredBounds] | None = None) -> QNetwork:
    """The network as it is read back from the faulty memory; untouched layers are the same objects.

    Raises GoldenError if the map was drawn for another network.
    """
    changed = overrides(qnet, faults, stored)
    return replace(qnet, layers=tuple(changed.get(layer.name, layer) for layer in qnet.layers))


def overrides(qnet: QNetwork, faults: FaultMap, stored: Mapping[str, StoredBounds] | None = None) -> dict[str, QLayer]:
    """The touched layers by name, in the form that :func:`golden.reference.run` takes."""
    stored = stored_bounds(qnet) if stored is None else stored
    check_map(qnet, faults, stored)
    layers: dict[str, QLayer] = {}
    for flips in faults.flips:
        segment = flips.segment
        layer = layers.get(segment.layer) or qnet.layer(segment.layer)
        if segment.kind == "bound":
            kept = stored[segment.layer]
            flipped = flip(kept.raw, flips, signed=kept.base is None)
            layers[segment.layer] = replace(layer, bound=kept.values(flipped))
        else:
            tensor: np.ndarray = getattr(layer, segment.kind)
            words = flip(tensor, flips, signed=segment.kind != "shift")
            if segment.kind == "weight":
                layers[segment.layer] = replace(layer, weight=words)
            elif segment.kind == "bias":
                layers[segment.layer] = replace(layer, bias=words)
            else:
                layers[segment.layer] = replace(layer, shift=words)
    return layers


def check_map(qnet: QNetwork, faults: FaultMap, stored: Mapping[str, StoredBounds]) -> None:
    """Raises GoldenError if the map was drawn for another network, or for one with other bounds."""
    known = {*shared_segments(qnet, Memory(shifts=True)), *bound_segments(stored)}
    for flips in faults.flips:
        if flips.segment not in known:
            raise GoldenError(f"fault map belongs to another network: {qnet.name} has no {flips.segment}")


def flip(words: np.ndarray, flips: Flips, signed: bool = True) -> np.ndarray:
    """A copy of int64 ``words`` with the bits flipped, read back as two's complement (or unsigned)."""
    result = np.array(words, np.int64, order="C")
    elements, values = hit_words(result, flips, signed)
    result.reshape(-1)[elements] = values
    return result


def hit_words(words: np.ndarray, flips: Flips, signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Which of the ``words`` are hit (indices in flat order, int64 sorted), and what :func:`flip` makes of them."""
    elements, place = np.unique(flips.element, return_inverse=True)
    values = words.reshape(-1)[elements].astype(np.int64)
    masks = np.left_shift(np.uint64(1), flips.bit.astype(np.uint64)).view(np.int64)
    # unbuffered, since one word may be hit in several bits
    np.bitwise_xor.at(values, place, masks)
    if signed:
        spare = 64 - flips.segment.bits
        values = (values << spare) >> spare
    return elements, values


def _generator(seed: int, rate: float, index: int, stream: int) -> np.random.Generator:
    rate_bits = struct.unpack("<Q", struct.pack("<d", rate))[0]
    return np.random.default_rng([seed, rate_bits, index, stream])


def draw_flips(segments: Sequence[Segment], rate: float, generator: np.random.Generator) -> tuple[Flips, ...]:
    """Each bit of ``segments``, one bit space, flips with probability ``rate``; a segment without flips is left out.

    Raises GoldenError unless 0 <= rate <= 1.
    """
    if not 0 <= rate <= 1:
        raise GoldenError(f"bit error rate {rate} is not within 0..1")
    ends = np.cumsum([segment.size for segment in segments], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    count = int(generator.binomial(total, rate))
    place = np.sort(generator.choice(total, count, replace=False, shuffle=False)) if count else np.empty(0, np.int64)
    owner = np.searchsorted(ends, place, side="right")
    flips = []
    for number in np.unique(owner):
        segment = segments[number]
        offset = place[owner == number] - (ends[number] - segment.size)
        word = offset // segment.bits
        element = word if segment.stored is None else segment.stored[word]
        flips.append(Flips(segment, element, offset % segment.bits))
    return tuple(flips)
