"""Output tiles whose accumulators take the maximum (pools): the products of the hit pixels are formed again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.fsim.arithmetic import product, wrap
from fitact_hw.injection.functional.accumulators import Accumulators
from fitact_hw.injection.functional.array import Deltas
from fitact_hw.injection.functional.changes import Held, Words, flipped


class Maxima(Accumulators):
    """Output words of one image's run after an upset, where accumulators take the maximum."""

    def added(self, deltas: Sequence[Deltas]) -> list[Words]:
        """Output words of one layer when the array's results change so."""
        chains = [self.gemms.chain[self.schedule.gemm[item.tile]] for item in deltas]
        parts = []
        for chain in np.unique(np.concatenate(chains)).tolist():
            own = [(item, np.flatnonzero(of == chain)) for item, of in zip(deltas, chains, strict=True)]
            pixels = np.unique(np.concatenate([item.pixel[some] for item, some in own]))
            results = self._results(chain, pixels)
            for item, some in own:
                cell = item.tile[some] - self.order.tiles(chain)[0], np.searchsorted(pixels, item.pixel[some])
                results[cell[0][:, None], cell[1][:, None], item.lanes] += item.values[some]
            parts.append(self._finish(chain, pixels, self._accumulated(chain, results).max(axis=0)))
        return parts

    def held(self, items: Sequence[Held]) -> list[Words]:
        """Output words when words of the accumulator flip."""
        parts = []
        for item in items:
            pixels = np.array([item.pixel])
            come = self._accumulated(item.chain, self._results(item.chain, pixels))
            done = item.tile - self.order.tiles(item.chain)[0]
            found = come[:done].max(axis=0)
            found[:, item.lanes] = flipped(found[:, item.lanes], item.masks, self.config.acc_bits)
            for later in come[done:]:
                found = np.maximum(found, later)
            parts.append(self._finish(item.chain, pixels, found))
        return parts

    def whole(self, chain: int, pixel: int) -> np.ndarray:
        """What the accumulator of a pixel holds in the end, from all weight tiles: int64 (1, side)."""
        return np.asarray(self._accumulated(chain, self._results(chain, np.array([pixel]))).max(axis=0))

    def _results(self, chain: int, pixels: np.ndarray) -> np.ndarray:
        """The array's results for all weight tiles of a chain, int64 (tiles, pixels, side), modulo 2^64."""
        tiles = np.arange(*self.order.tiles(chain))[:, None]
        left, right = self.operands.activations(tiles, pixels), self.operands.weights(tiles, self.rows)
        return product(left, right, self.config.word_bits)

    def _accumulated(self, chain: int, results: np.ndarray) -> np.ndarray:
        """The same as they come to the accumulator."""
        bits = self.config.acc_bits
        lshift = self.gemms["lshift"][self.schedule.gemm[np.arange(*self.order.tiles(chain))]]
        return wrap(wrap(results, bits) << lshift[:, None, None], bits)

    def _finish(self, chain: int, pixels: np.ndarray, totals: np.ndarray) -> Words:
        place = self.order.chains.out_first[chain] + pixels
        return self.epilogues.finish(np.full(len(pixels), chain), place, self.rows, totals)
