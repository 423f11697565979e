"""The array under upsets: what is added to its results, modulo 2^acc_bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.fsim.arithmetic import wrap
from fitact_hw.injection.functional.changes import Hit, flipped
from fitact_hw.injection.functional.operands import Operands


@dataclass(frozen=True, eq=False)
class Deltas:
    """What is added to the array's results for weight tiles and pixels, int64 (n,) each, none twice: ``values`` int64
    (n, k) in ``lanes`` (k,)."""

    tile: np.ndarray
    pixel: np.ndarray
    lanes: np.ndarray
    values: np.ndarray


class Array:
    """The array in one image's run."""

    def __init__(self, operands: Operands) -> None:
        self.operands, self.schedule = operands, operands.schedule
        self.config = operands.order.program.config
        self.lanes = np.arange(self.config.side)

    def activation(self, hit: Hit) -> Deltas:
        """An upset of a word of the activation buffer."""
        tile, pixel = self.schedule.pixels("activation", hit.cycles)
        rows, masks = hit.lanes(self.config.word_bits)
        before = self.operands.activation_word(hit.word, int(tile[0]))[rows]
        return self._activations(tile, pixel, rows, flipped(before, masks, self.config.word_bits) - before)

    def passing_activation(self, tile: int, pixel: int, rows: np.ndarray, masks: np.ndarray, first: int = 0) -> Deltas:
        """Lanes ``rows`` of a pixel's activations flip by ``masks``, as columns from ``first`` on see them."""
        tiles, pixels = np.array([tile]), np.array([pixel])
        before = self.operands.activations(tiles, pixels)[0, rows]
        found = self._activations(tiles, pixels, rows, flipped(before, masks, self.config.word_bits) - before)
        return Deltas(tiles, pixels, self.lanes[first:], found.values[:, first:])

    def _activations(self, tile: np.ndarray, pixel: np.ndarray, rows: np.ndarray, change: np.ndarray) -> Deltas:
        weights = self.operands.weights(tile[:, None], rows)
        return Deltas(tile, pixel, self.lanes, np.einsum("k,nks->ns", change, weights))

    def weight(self, hit: Hit) -> Deltas:
        """An upset of a word of the weight buffer."""
        tile, row = self.schedule.weight_rows(hit.cycles)
        lanes, masks = hit.lanes(self.config.word_bits)
        before = self.operands.weight_word(hit.word, int(tile[0]))[lanes]
        return self._weights(tile, row, lanes, flipped(before, masks, self.config.word_bits) - before, 0)

    def passing_weight(self, tile: int, row: int, lanes: np.ndarray, masks: np.ndarray, first: int = 0) -> Deltas:
        """``lanes`` of a row of a weight tile flip by ``masks``, as pixels from ``first`` on see them."""
        tiles = np.array([tile])
        before = self.operands.weights(tiles, np.array([row]))[0, lanes]
        change = flipped(before, masks, self.config.word_bits) - before
        return self._weights(tiles, np.array([row]), lanes, change, first)

    def _weights(self, tile: np.ndarray, row: np.ndarray, lanes: np.ndarray, change: np.ndarray, first: int) -> Deltas:
        which, pixel = self.operands.all_pixels(tile)
        values = self.operands.activations(tile[which], pixel)[np.arange(len(which)), row[which]]
        some = np.flatnonzero((values != 0) & (pixel >= first))  # activations are often zero
        return Deltas(tile[which][some], pixel[some], lanes, values[some, None] * change)

    def passing_sum(self, tile: int, pixel: int, lane: int, rows: int, mask: int) -> Deltas:
        """The partial sum of a pixel over the first ``rows`` rows flips by ``mask`` in one column."""
        tiles, pixels = np.array([tile]), np.array([pixel])
        left = self.operands.activations(tiles, pixels)[:, :rows]
        right = self.operands.weights(tiles[:, None], self.lanes[:rows])[..., lane]
        before = wrap((left * right).sum(axis=1), self.config.acc_bits)
        change = flipped(before, np.array(mask), self.config.acc_bits) - before
        return Deltas(tiles, pixels, np.array([lane]), change[:, None])
