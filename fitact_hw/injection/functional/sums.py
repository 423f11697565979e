"""Upsets of activations, weights and accumulators where accumulators add: everything is linear modulo 2^acc_bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.fsim.arithmetic import wrap
from fitact_hw.injection.functional.changes import Hit, Words, flipped
from fitact_hw.injection.functional.epilogues import Epilogues


class Operands:
    """What the array reads at some places of the program, in the fault-free run."""

    def __init__(self, epilogues: Epilogues) -> None:
        self.schedule, self.order, self.contents = epilogues.schedule, epilogues.order, epilogues.contents
        self.parameters = epilogues.chains.parameters
        self.gemms, self.side = self.order.gemms, self.order.program.config.side

    def within(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """GEMM of each weight tile, and its number there."""
        gemm = self.schedule.gemm[tile]
        return gemm, tile - self.gemms.first_tile[gemm]

    def activations(self, tile: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        """Activation words int64 (..., side) of weight tiles (numbers in the program) and pixels."""
        gemm, number = self.within(tile)
        words = self.gemms.activation_words(gemm, number, pixel)
        source = self.order.streams["activation"].source[words + self.gemms.act_shift[gemm]]
        return self.contents.activations(source)

    def weights(self, tile: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Weight words int64 (..., side) of weight tiles and their rows."""
        gemm, number = self.within(tile)
        words = self.gemms["weight_base"][gemm] + number * self.gemms["weight_stride"][gemm] + row
        return self.parameters.words(self.order.streams["weight"].source[words + self.gemms.weight_shift[gemm]])

    def activation_word(self, hit: Hit, tile: int) -> np.ndarray:
        """Content int64 (side,) of the activation buffer's word ``hit.word`` when ``tile`` passes."""
        place = hit.word + self.gemms.act_shift[self.schedule.gemm[tile]]
        return self.contents.activations(self.order.streams["activation"].source[place : place + 1])[0]

    def weight_word(self, hit: Hit, tile: int) -> np.ndarray:
        """The same of the weight buffer."""
        place = hit.word + self.gemms.weight_shift[self.schedule.gemm[tile]]
        return self.parameters.words(self.order.streams["weight"].source[place])

    def all_pixels(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every pixel of each of ``tile``: which of them (0, 1, ...), and the pixel."""
        counts = self.gemms.pixels[self.schedule.gemm[tile]]
        which = np.repeat(np.arange(len(tile)), counts)
        return which, np.arange(len(which)) - (np.cumsum(counts) - counts)[which]


class Sums:
    """Output words of one image's run after an upset, where accumulators add."""

    def __init__(self, epilogues: Epilogues, operands: Operands) -> None:
        self.epilogues, self.operands = epilogues, operands
        self.schedule, self.order = epilogues.schedule, epilogues.order
        self.gemms, self.config = self.order.gemms, self.order.program.config
        self.every_lane = np.arange(self.config.side)

    def activation(self, hits: Sequence[Hit]) -> list[Words]:
        """Upsets of words of the activation buffer in one layer."""
        tiles, pixels, deltas = [], [], []
        for hit in hits:
            tile, pixel = self.schedule.pixels("activation", hit.cycles)
            lanes, masks = hit.lanes(self.config.word_bits)
            before = self.operands.activation_word(hit, int(tile[0]))[lanes]
            change = flipped(before, masks, self.config.word_bits) - before
            weights = self.operands.weights(tile[:, None], lanes)
            tiles.append(tile)
            pixels.append(pixel)
            deltas.append(np.einsum("k,nks->ns", change, weights))
        return [self._added(np.concatenate(tiles), np.concatenate(pixels), self.every_lane, np.concatenate(deltas))]

    def weight(self, hits: Sequence[Hit]) -> list[Words]:
        """Upsets of words of the weight buffer in one layer."""
        every = [self._weight(hit) for hit in hits]
        lanes = np.unique(np.concatenate([item[2] for item in every]))
        deltas = []
        for _, _, own, delta in every:
            wide = np.zeros((len(delta), len(lanes)), np.int64)
            wide[:, np.searchsorted(lanes, own)] = delta
            deltas.append(wide)
        tile, pixel = (np.concatenate([item[k] for item in every]) for k in (0, 1))
        return [self._added(tile, pixel, lanes, np.concatenate(deltas))] if len(tile) else []

    def _weight(self, hit: Hit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tiles, pixels, lanes and what is added there."""
        tile, row = self.schedule.weight_rows(hit.cycles)
        lanes, masks = hit.lanes(self.config.word_bits)
        before = self.operands.weight_word(hit, int(tile[0]))[lanes]
        change = flipped(before, masks, self.config.word_bits) - before
        which, pixel = self.operands.all_pixels(tile)
        values = self.operands.activations(tile[which], pixel)[np.arange(len(which)), row[which]]
        some = np.flatnonzero(values)  # activations are often zero
        return tile[which][some], pixel[some], lanes, values[some, None] * change

    def accumulator(self, hits: Sequence[Hit]) -> list[Words]:
        """Upsets of words of the accumulator: each is read once before it is written again."""
        parts = []
        for hit in hits:
            tile, pixel = self.schedule.pixels("accumulator", hit.cycles[:1])
            lanes, masks = hit.lanes(self.config.acc_bits)
            before = self._partial(int(tile[0]), int(pixel[0]), lanes)
            delta = flipped(before, masks, self.config.acc_bits) - before
            chain = self.gemms.chain[self.schedule.gemm[tile]]
            place = self.order.chains.out_first[chain] + pixel
            total = self.epilogues.totals(chain, place, lanes) + delta
            parts.append(self.epilogues.finish(chain, place, lanes, total))
        return parts

    def whole(self, chain: int, pixel: np.ndarray) -> np.ndarray:
        """The sum of one pixel (1,) over all weight tiles of an output tile: int64 (1, side)."""
        first, last = (getattr(self.order.chains, name)[chain] for name in ("first", "last"))
        tiles = np.arange(self.gemms.first_tile[first], self.gemms.first_tile[last] + self.gemms.tiles[last])
        return self._sum(tiles, int(pixel[0]), self.every_lane)[None]

    def _partial(self, tile: int, pixel: int, lanes: np.ndarray) -> np.ndarray:
        """Sum of a pixel over the weight tiles of its output tile before ``tile``: int64 (k,)."""
        chain = self.gemms.chain[self.schedule.gemm[tile]]
        return self._sum(np.arange(self.gemms.first_tile[self.order.chains.first[chain]], tile), pixel, lanes)

    def _sum(self, tiles: np.ndarray, pixel: int, lanes: np.ndarray) -> np.ndarray:
        left = self.operands.activations(tiles, np.full(len(tiles), pixel))
        right = self.operands.weights(tiles[:, None], self.every_lane)[..., lanes]
        sums = np.einsum("tr,trk->tk", left, right) << self.gemms["lshift"][self.schedule.gemm[tiles]][:, None]
        return wrap(sums.sum(axis=0), self.config.acc_bits)

    def _added(self, tile: np.ndarray, pixel: np.ndarray, lanes: np.ndarray, delta: np.ndarray) -> Words:
        """Outputs where ``delta`` int64 (n, k) is added to the array's results for weight tiles and pixels (n,)."""
        gemm = self.schedule.gemm[tile]
        delta = delta << self.gemms["lshift"][gemm][:, None]
        chain = self.gemms.chain[gemm]
        place, first, which = np.unique(
            self.order.chains.out_first[chain] + pixel, return_index=True, return_inverse=True
        )
        added = np.zeros((len(place), len(lanes)), np.int64)
        np.add.at(added, which, delta)
        chain = chain[first]
        return self.epilogues.finish(chain, place, lanes, self.epilogues.totals(chain, place, lanes) + added)
