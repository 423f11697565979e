"""The epilogue at some pixels: with other sums, another bias word, another bound word; and upsets of output words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fitact_hw.fsim.arithmetic import activated, clamp_hits, rounded, wrap
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

    def bounds(self, chain: np.ndarray, pixel: np.ndarray, lanes: np.ndarray, masks: np.ndarray | int) -> np.ndarray:
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
        return decoded_bounds(flipped(held, masks, config.word_bits), part, layer_bound, config)


@dataclass(frozen=True, eq=False)
class Masks:
    """Bits that flip on the way through the epilogue, int64 (k,) for as many lanes: of the bias word and its shift, of
    the biased and of the rounded value, of the bound word and of the decoded bound."""

    bias: np.ndarray | int = 0
    shift: np.ndarray | int = 0
    biased: np.ndarray | int = 0
    rounded: np.ndarray | int = 0
    bound_word: np.ndarray | int = 0
    bound: np.ndarray | int = 0


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
        self, chain: np.ndarray, place: np.ndarray, lanes: np.ndarray, total: np.ndarray, masks: Masks | None = None
    ) -> Words:
        """Words of ``lanes`` at output words ``place`` of ``chain`` (one layer), for accumulators int64 (n, k) that are
        right modulo 2^acc_bits."""
        config, masks = self.config, masks or Masks()
        bias, shift = self.chains.biases(chain, lanes)
        biased = wrap(total + flipped(bias, masks.bias, config.acc_bits), config.acc_bits)
        biased = flipped(biased, masks.biased, config.acc_bits)
        value = flipped(rounded(biased, shift ^ masks.shift), masks.rounded, config.acc_bits)
        pixel = place - self.order.chains.out_first[chain]
        bound = flipped(self.chains.bounds(chain, pixel, lanes, masks.bound_word), masks.bound, config.word_bits)
        mode = ActMode(int(self.order.chains["act_mode"][chain[0]]))
        words = wrap(activated(value, mode, bound, config.word_bits), config.word_bits)
        if not config.clamp_alarm:
            return Words(place, lanes, words)
        more = self._hits(value, mode, bound) - self._clean_hits(chain, place, lanes, mode)
        return Words(place, lanes, words, more)

    def _hits(self, value: np.ndarray, mode: ActMode, bound: np.ndarray) -> int:
        return int(clamp_hits(value, mode, bound, self.config.alarm_margin).sum())

    def _clean_hits(self, chain: np.ndarray, place: np.ndarray, lanes: np.ndarray, mode: ActMode) -> int:
        """Hits of the clamps at these places in the fault-free run."""
        bias, shift = self.chains.biases(chain, lanes)
        value = rounded(wrap(self.totals(chain, place, lanes) + bias, self.config.acc_bits), shift)
        bound = self.chains.bounds(chain, place - self.order.chains.out_first[chain], lanes, 0)
        return self._hits(value, mode, bound)

    def at(self, chain: int, pixel: int, lanes: np.ndarray, masks: Masks) -> Words:
        """The word of one pixel with its fault-free accumulator."""
        chains = np.array([chain])
        place = self.order.chains.out_first[chains] + pixel
        return self.finish(chains, place, lanes, self.totals(chains, place, lanes), masks)

    def chains_of(self, buffer: str, cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chain and output word of the pixels whose accesses of ``buffer`` are in ``cycles``."""
        tile, pixel = self.schedule.pixels(buffer, cycles)
        chain = self.order.gemms.chain[self.schedule.gemm[tile]]
        return chain, self.order.chains.out_first[chain] + pixel

    def bias(self, hit: Hit) -> Words:
        """Output words after an upset of a bias word."""
        lanes, biases, shifts = hit.bias_lanes(self.config.acc_bits, self.config.bias_lane_bits)
        chain, place = self.chains_of("bias", hit.cycles)
        return self.finish(chain, place, lanes, self.totals(chain, place, lanes), Masks(bias=biases, shift=shifts))

    def bound(self, hit: Hit) -> list[Words]:
        """Output words after an upset of a bound word, which the pixels behind the one that reads it may share."""
        lanes, masks = hit.lanes(self.config.word_bits)
        chain, place = self.chains_of("bound", hit.cycles)
        parts = []
        for number in np.unique(chain).tolist():
            group = self.bound_groups(number)
            served = np.flatnonzero(np.isin(group, place[chain == number] - self.order.chains.out_first[number]))
            parts.append(self.with_bound(number, served, lanes, masks))
        return parts

    def bound_groups(self, chain: int) -> np.ndarray:
        """For every pixel of a chain, the pixel that reads its bound word."""
        pixels = np.arange(int(self.order.gemms.pixels[self.order.chains.last[chain]]))
        bounds = self.order.chains.bound_places(np.array(chain), pixels, self.config.bounds)
        words = np.broadcast_to(bounds // self.config.bounds_per_lane, pixels.shape)
        fresh = fresh_bounds(words, self.order)
        return np.asarray(fresh[np.searchsorted(fresh, pixels, side="right") - 1])

    def with_bound(self, chain: int, pixels: np.ndarray, lanes: np.ndarray, masks: np.ndarray) -> Words:
        """Output words of ``pixels`` whose bound words flip by ``masks`` in ``lanes``."""
        chains, place = np.full(len(pixels), chain), self.order.chains.out_first[chain] + pixels
        return self.finish(chains, place, lanes, self.totals(chains, place, lanes), Masks(bound_word=masks))

    def output(self, hit: Hit) -> Words:
        """Output words after an upset of a word of the output buffer."""
        return self.stored(np.searchsorted(self.schedule.stored, hit.cycles), *hit.lanes(self.config.word_bits))

    def stored(self, place: np.ndarray, lanes: np.ndarray, masks: np.ndarray) -> Words:
        """Output words that flip when they are complete."""
        clean = self.contents.values[self.order.stored[place][:, None], lanes].astype(np.int64)
        return Words(place, lanes, flipped(clean, masks, self.config.word_bits))
