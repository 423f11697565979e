"""Output tiles whose accumulators add: everything is linear modulo 2^acc_bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.fsim.arithmetic import wrap
from fitact_hw.injection.functional.accumulators import Accumulators
from fitact_hw.injection.functional.array import Deltas
from fitact_hw.injection.functional.changes import Held, Words, flipped


class Sums(Accumulators):
    """Output words of one image's run after an upset, where accumulators add."""

    def added(self, deltas: Sequence[Deltas]) -> list[Words]:
        """Output words of one layer when the array's results change so."""
        lanes = np.unique(np.concatenate([item.lanes for item in deltas]))
        tile, pixel = (np.concatenate([getattr(item, name) for item in deltas]) for name in ("tile", "pixel"))
        if not len(tile):
            return []
        values = np.zeros((len(tile), len(lanes)), np.int64)
        start = 0
        for item in deltas:
            values[start : start + len(item.tile), np.searchsorted(lanes, item.lanes)] = item.values
            start += len(item.tile)
        gemm = self.schedule.gemm[tile]
        chain = self.gemms.chain[gemm]
        place, first, which = np.unique(
            self.order.chains.out_first[chain] + pixel, return_index=True, return_inverse=True
        )
        added = np.zeros((len(place), len(lanes)), np.int64)
        np.add.at(added, which, values << self.gemms["lshift"][gemm][:, None])
        chain = chain[first]
        return [self.epilogues.finish(chain, place, lanes, self.epilogues.totals(chain, place, lanes) + added)]

    def held(self, items: Sequence[Held]) -> list[Words]:
        """Output words when words of the accumulator flip."""
        parts = []
        for item in items:
            chain, lanes = np.array([item.chain]), item.lanes
            place = self.order.chains.out_first[chain] + item.pixel
            total = wrap(self.epilogues.totals(chain, place, lanes), self.config.acc_bits)
            first, end = self.order.tiles(item.chain)
            before = total[0] if item.tile == end else self._sum(np.arange(first, item.tile), item.pixel, lanes)
            change = flipped(before, item.masks, self.config.acc_bits) - before
            parts.append(self.epilogues.finish(chain, place, lanes, total + change))
        return parts

    def whole(self, chain: int, pixel: int) -> np.ndarray:
        """What the accumulator of a pixel holds in the end, from all weight tiles: int64 (1, side)."""
        return self._sum(np.arange(*self.order.tiles(chain)), pixel, self.rows)[None]

    def _sum(self, tiles: np.ndarray, pixel: int, lanes: np.ndarray) -> np.ndarray:
        """Sum of a pixel over weight tiles, int64 (k,)."""
        left = self.operands.activations(tiles, np.full(len(tiles), pixel))
        right = self.operands.weights(tiles[:, None], self.rows)[..., lanes]
        sums = np.einsum("tr,trk->tk", left, right) << self.gemms["lshift"][self.schedule.gemm[tiles]][:, None]
        return wrap(sums.sum(axis=0), self.config.acc_bits)
