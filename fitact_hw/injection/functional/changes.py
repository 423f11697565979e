"""An upset as the words that it hits and the reads that see it, and what it changes in a layer's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fitact_hw.fsim.arithmetic import wrap
from fitact_hw.injection.functional.contents import Contents
from fitact_hw.injection.tail import Change


@dataclass(frozen=True, eq=False)
class Hit:
    """A word of ``buffer`` whose bits ``mask`` flip, and ``cycles``, int64 ascending, of the reads that see it: one at
    least."""

    buffer: str
    word: int
    mask: int
    cycles: np.ndarray

    def lanes(self, bits: int) -> tuple[np.ndarray, np.ndarray]:
        """The lanes of ``bits`` bits that are hit, and what flips in each: int64 (lanes,) each."""
        parts = self._parts(bits)
        return np.array([*parts], np.int64), np.array([signed(part) for part in parts.values()], np.int64)

    def bias_lanes(self, acc_bits: int, lane_bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same of a bias word: lanes, what flips in the bias and what in the shift above it."""
        parts = self._parts(lane_bits)
        biases = [signed(part & (1 << acc_bits) - 1) for part in parts.values()]
        shifts = [part >> acc_bits for part in parts.values()]
        return np.array([*parts], np.int64), np.array(biases, np.int64), np.array(shifts, np.int64)

    def _parts(self, bits: int) -> dict[int, int]:
        count = -(-self.mask.bit_length() // bits)
        parts = {lane: self.mask >> bits * lane & (1 << bits) - 1 for lane in range(count)}
        return {lane: part for lane, part in parts.items() if part}


def signed(value: int) -> int:
    """Two's complement of 64 bits."""
    return (value ^ 1 << 63) - (1 << 63)


def flipped(values: np.ndarray, masks: np.ndarray | int, bits: int) -> np.ndarray:
    """Two's complement of ``bits`` bits after an upset."""
    return wrap(values ^ masks, bits)


@dataclass(frozen=True, eq=False)
class Held:
    """The accumulator word of a pixel flips by ``masks`` in ``lanes``, int64 (k,) each: as weight tile ``tile`` finds
    it or, behind the last tile of ``chain``, the epilogue."""

    chain: int
    tile: int
    pixel: int
    lanes: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True, eq=False)
class Words:
    """New words of the output of one layer: ``place`` int64 (n,) in :attr:`Order.stored`, none twice; ``lanes`` int64
    (k,); ``values`` int64 (n, k). ``clamp_hits``: hits of the clamps there beyond those of the fault-free run."""

    place: np.ndarray
    lanes: np.ndarray
    values: np.ndarray
    clamp_hits: int = 0


def change_of(contents: Contents, parts: Sequence[Words]) -> Change | None:
    """Elements that differ from ``contents``, all of one layer; None if none does.

    Lanes beyond a layer's last channel are left out: what reads them has zero weights there, or hands them on to such.
    """
    order, clean = contents.order, contents.values
    tensor, indices, values = 0, [], []
    for part in parts:
        word = order.stored[part.place]
        row, column = np.nonzero(part.values != clean[word[:, None], part.lanes])
        if not len(row):
            continue
        tensor = int(order.tensors.of_word(word[0]))
        placement = order.tensors.placements[tensor]
        channels, rows, cols = placement.shape
        tile, pixel = np.divmod(word[row] - order.tensors.first[tensor], rows * cols)
        channel = tile * placement.config.side + part.lanes[column]
        real = channel < channels
        indices.append((channel * (rows * cols) + pixel)[real])
        values.append(part.values[row, column][real])
    if not sum(map(len, indices)):
        return None
    return Change(order.tensors.placements[tensor].name, np.concatenate(indices), np.concatenate(values))
