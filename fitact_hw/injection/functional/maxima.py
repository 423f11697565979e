"""The same where the accumulator takes the maximum (pools): every product of the hit pixels is formed again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.fsim.arithmetic import product, wrap
from fitact_hw.injection.functional.changes import Hit, Words, flipped
from fitact_hw.injection.functional.epilogues import Epilogues
from fitact_hw.injection.functional.sums import Operands


class Maxima:
    """Output words of one image's run after an upset, where accumulators take the maximum."""

    def __init__(self, epilogues: Epilogues, operands: Operands) -> None:
        self.epilogues, self.operands = epilogues, operands
        self.schedule, self.order = epilogues.schedule, epilogues.order
        self.gemms, self.config = self.order.gemms, self.order.program.config
        self.rows = np.arange(self.config.side)

    def activation(self, hits: Sequence[Hit]) -> list[Words]:
        """Upsets of words of the activation buffer."""
        found = [(hit, *self.schedule.pixels("activation", hit.cycles)) for hit in hits]
        parts = []
        for chain in self._chains([tile for _, tile, _ in found]):
            mine = [(hit, tile[own], pixel[own]) for hit, tile, pixel in found if (own := self._of(chain, tile)).any()]
            pixels = np.unique(np.concatenate([pixel for _, _, pixel in mine]))
            left, right = self._operands(chain, pixels)
            for hit, tile, pixel in mine:
                lanes, masks = hit.lanes(self.config.word_bits)
                cell = (tile - self._first(chain))[:, None], np.searchsorted(pixels, pixel)[:, None], lanes
                left[cell] = flipped(left[cell], masks, self.config.word_bits)
            parts.append(self._finish(chain, pixels, self._products(chain, left, right).max(axis=0)))
        return parts

    def weight(self, hits: Sequence[Hit]) -> list[Words]:
        """Upsets of words of the weight buffer."""
        found = [(hit, *self.schedule.weight_rows(hit.cycles)) for hit in hits]
        parts = []
        for chain in self._chains([tile for _, tile, _ in found]):
            pixels = np.arange(self.gemms.pixels[self.order.chains.last[chain]])
            left, right = self._operands(chain, pixels)
            for hit, tile, row in found:
                own = self._of(chain, tile)
                lanes, masks = hit.lanes(self.config.word_bits)
                cell = (tile[own] - self._first(chain))[:, None], row[own][:, None], lanes
                right[cell] = flipped(right[cell], masks, self.config.word_bits)
            parts.append(self._finish(chain, pixels, self._products(chain, left, right).max(axis=0)))
        return parts

    def accumulator(self, hits: Sequence[Hit]) -> list[Words]:
        """Upsets of words of the accumulator."""
        parts = []
        for hit in hits:
            lanes, masks = hit.lanes(self.config.acc_bits)
            tile, pixel = self.schedule.pixels("accumulator", hit.cycles[:1])
            chain = int(self.gemms.chain[self.schedule.gemm[tile[0]]])
            products = self._products(chain, *self._operands(chain, pixel))
            done = int(tile[0]) - self._first(chain)
            held = products[:done].max(axis=0)
            held[:, lanes] = flipped(held[:, lanes], masks, self.config.acc_bits)
            parts.append(self._finish(chain, pixel, np.maximum(held, products[done:].max(axis=0))))
        return parts

    def whole(self, chain: int, pixel: np.ndarray) -> np.ndarray:
        """The maximum at pixels (n,) over all weight tiles of an output tile: int64 (n, side)."""
        return np.asarray(self._products(chain, *self._operands(chain, pixel)).max(axis=0))

    def _chains(self, tiles: Sequence[np.ndarray]) -> list[int]:
        return [int(chain) for chain in np.unique(self.gemms.chain[self.schedule.gemm[np.concatenate(tiles)]])]

    def _of(self, chain: int, tile: np.ndarray) -> np.ndarray:
        return np.asarray(self.gemms.chain[self.schedule.gemm[tile]] == chain)

    def _first(self, chain: int) -> int:
        """Number of a chain's first weight tile."""
        return int(self.gemms.first_tile[self.order.chains.first[chain]])

    def _operands(self, chain: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Activations int64 (tiles, pixels, side) and weights int64 (tiles, side, side) of all tiles of a chain."""
        last = int(self.order.chains.last[chain])
        tiles = np.arange(self._first(chain), int(self.gemms.first_tile[last] + self.gemms.tiles[last]))
        return self.operands.activations(tiles[:, None], pixels), self.operands.weights(tiles[:, None], self.rows)

    def _products(self, chain: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """What comes to the accumulator, int64 (tiles, pixels, side)."""
        bits = self.config.acc_bits
        tiles = self._first(chain) + np.arange(len(left))
        lshift = self.gemms["lshift"][self.schedule.gemm[tiles]][:, None, None]
        return wrap(wrap(product(left, right, self.config.word_bits), bits) << lshift, bits)

    def _finish(self, chain: int, pixels: np.ndarray, totals: np.ndarray) -> Words:
        chains = np.full(len(pixels), chain)
        place = self.order.chains.out_first[chain] + pixels
        return self.epilogues.finish(chains, place, self.rows, totals)
