"""The epilogue at some pixels: with other sums, another bias word, another bound word; and upsets of output words."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fitact_hw.fsim.arithmetic import epilogue, wrap
from fitact_hw.fsim.machine import decoded_bounds
from fitact_hw.injection.functional.changes import Hit, Words, flipped
from fitact_hw.injection.functional.contents import Contents, Parameters
from fitact_hw.injection.functional.order import Order
from fitact_hw.injection.functional.schedule import Schedule, fresh_bounds
from fitact_hw.isa import ActMode


class ChainParameters:
    """Bias, shift and bounds of every output tile; the same for all images."""

    def __init__(self, order: Order) -> None:
        self.order, self.parameters = order, Parameters(order.program)

    @cached_property
    def _biases(self) -> tuple[np.ndarray, np.ndarray]:
        return self.parameters.biases(self.order.streams["bias"].source[self.order.chains.bias])

    def biases(self, chain: np.ndarray, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bias and shift of ``lanes``, int64 (n, k) each."""
        bias, shift = self._biases
        return bias[chain[:, None], lanes], shift[chain[:, None], lanes]

    def bounds(self, chain: np.ndarray, pixel: np.ndarray, lanes: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        """Bounds of pixels of one layer, int64 (n, k), or (1, 1) for one of the whole layer.

        ``masks``: int64 (k,), bits that flip in those lanes of the bound words.
        """
        order, config = self.order, self.order.program.config
        layer_bound = int(order.chains["layer_bound"][chain[0]])
        if not order.chains["neuron_bounds"][chain[0]]:
            return wrap(np.array([[layer_bound]], np.int64), config.word_bits)
        place = order.chains.bound_places(chain, pixel, config.bounds)
        words, part = np.divmod(place, config.bounds_per_lane)
        numbers = order.streams["bound"].source[words + order.chains.bound_shift[chain]]
        held = self.parameters.words(numbers)[:, lanes]
        if masks is not None:
            held = flipped(held, masks, config.word_bits)
        return decoded_bounds(held, part, layer_bound, config)


class Epilogues:
    """Outputs of one image's run at chosen pixels."""

    def __init__(self, schedule: Schedule, chains: ChainParameters, contents: Contents) -> None:
        self.schedule, self.order, self.chains, self.contents = schedule, schedule.order, chains, contents
        self.config = self.order.program.config

    def totals(self, chain: np.ndarray, place: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """Fault-free accumulators before the bias at output words ``place`` of ``chain``, one layer: int64 (n, k)."""
        tensor = int(self.order.chains.layer[chain[0]])
        word = self.order.stored[place] - self.order.tensors.first[tensor]
        return np.asarray(self.contents.totals(tensor)[word[:, None], lanes])

    def finish(
        self,
        chain: np.ndarray,
        place: np.ndarray,
        lanes: np.ndarray,
        total: np.ndarray,
        *,
        bias_masks: np.ndarray | None = None,
        shift_masks: np.ndarray | None = None,
        bound_masks: np.ndarray | None = None,
    ) -> Words:
        """Words of ``lanes`` at output words ``place`` of ``chain`` (one layer), for accumulators int64 (n, k) that are
        right modulo 2^acc_bits; masks, int64 (k,): bits that flip in the parameters."""
        config = self.config
        bias, shift = self.chains.biases(chain, lanes)
        if bias_masks is not None and shift_masks is not None:
            bias, shift = flipped(bias, bias_masks, config.acc_bits), shift ^ shift_masks
        pixel = place - self.order.chains.out_first[chain]
        bound = self.chains.bounds(chain, pixel, lanes, bound_masks)
        mode = ActMode(int(self.order.chains["act_mode"][chain[0]]))
        values = epilogue(total, bias, shift, mode, bound, config.word_bits, config.acc_bits)
        return Words(place, lanes, wrap(values, config.word_bits))

    def chains_of(self, buffer: str, cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chain and output word of the pixels whose accesses of ``buffer`` are in ``cycles``."""
        tile, pixel = self.schedule.pixels(buffer, cycles)
        chain = self.order.gemms.chain[self.schedule.gemm[tile]]
        return chain, self.order.chains.out_first[chain] + pixel

    def bias(self, hit: Hit) -> Words:
        """Output words after an upset of a bias word."""
        lanes, biases, shifts = hit.bias_lanes(self.config.acc_bits, self.config.bias_lane_bits)
        chain, place = self.chains_of("bias", hit.cycles)
        total = self.totals(chain, place, lanes)
        return self.finish(chain, place, lanes, total, bias_masks=biases, shift_masks=shifts)

    def bound(self, hit: Hit) -> list[Words]:
        """Output words after an upset of a bound word, which the pixels behind the one that reads it may share."""
        lanes, masks = hit.lanes(self.config.word_bits)
        chain, place = self.chains_of("bound", hit.cycles)
        parts = []
        for number in np.unique(chain):
            one = place[chain == number]
            served = self._served(int(number), one)
            chains = np.full(len(served), number)
            parts.append(self.finish(chains, served, lanes, self.totals(chains, served, lanes), bound_masks=masks))
        return parts

    def _served(self, chain: int, place: np.ndarray) -> np.ndarray:
        """Output words whose bound is read at those of ``place`` (all of ``chain``)."""
        first = int(self.order.chains.out_first[chain])
        pixels = np.arange(int(self.order.gemms.pixels[self.order.chains.last[chain]]))
        bounds = self.order.chains.bound_places(np.array(chain), pixels, self.config.bounds)
        words = np.broadcast_to(bounds // self.config.bounds_per_lane, pixels.shape)
        fresh = fresh_bounds(words, self.order)
        reader = fresh[np.searchsorted(fresh, pixels, side="right") - 1]
        return first + np.flatnonzero(np.isin(reader, place - first))

    def output(self, hit: Hit) -> Words:
        """Output words after an upset of a word of the output buffer."""
        lanes, masks = hit.lanes(self.config.word_bits)
        place = np.searchsorted(self.schedule.stored, hit.cycles)
        clean = self.contents.values[self.order.stored[place][:, None], lanes].astype(np.int64)
        return Words(place, lanes, flipped(clean, masks, self.config.word_bits))
