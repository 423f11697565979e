"""Upsets of the registers through which data pass on their way from a buffer to the next one.

The array and the lanes never stop, so the cycle tells which pixel, or which row of a weight tile, a register holds:
cycles as in docs/reference/machine.md, counted from the read of the pixel's activation. An upset of a register that
holds nothing of use changes nothing.
"""

from __future__ import annotations

import re

import numpy as np

from fitact_hw.injection.functional.changes import Held, Hit, Words, signed
from fitact_hw.injection.functional.epilogues import Masks
from fitact_hw.injection.functional.run import Run
from fitact_hw.injection.functional.schedule import Schedule

_CELL = r"u_array\.g_row\[(\d+)\]\.g_col\[(\d+)\]\.u_pe\."
_STAGE = r"\.g_line\.g_stage\[(\d+)\]\.stage_q"
_LANE = r"u_lanes\.g_lane\[(\d+)\]\.u_lane\."

PATTERNS = {
    "activation_read": r"u_buffers\.u_activation\.rd_data_q",
    "activation_skew": r"u_array\.g_row\[(\d+)\]\.u_act_skew" + _STAGE,
    "activation": _CELL + "act_q",
    "weight_read": r"u_buffers\.u_weight\.rd_data_q",
    "weight_skew": r"u_array\.g_edge\[(\d+)\]\.u_weight_skew" + _STAGE,
    "shadow": _CELL + "shadow_q",
    "weight": _CELL + "weight_q",
    "psum": _CELL + "psum_q",
    "psum_deskew": r"u_array\.g_edge\[(\d+)\]\.u_psum_deskew" + _STAGE,
    "accumulator_read": r"u_buffers\.u_accumulator\.rd_data_q",
    "sum": _LANE + "sum_q",
    "bias_read": r"u_buffers\.u_bias\.rd_data_q",
    "biased": _LANE + "biased_q",
    "shift": _LANE + "shift_q",
    "bound_read": r"u_buffers\.u_bound\.rd_data_q",
    "bound": _LANE + r"u_clamp\.g_bound\.bound_q",
    "rounded": _LANE + "rounded_q",
    "output": _LANE + r"u_clamp\.out_q",
}
"""Registers (patterns of their paths) by the method of :class:`Registers` that judges them, which takes the numbers."""


def register_of(site: str) -> tuple[str, list[int]] | None:
    """Name in PATTERNS and numbers of a register of data; None for any other site."""
    for name, pattern in PATTERNS.items():
        found = re.fullmatch(pattern, site)
        if found is not None:
            return name, [int(number) for number in found.groups()]
    return None


def runs_on_time(schedule: Schedule) -> bool:
    """Whether accesses of the trace have the distances from which the cycles here follow."""
    side = schedule.order.program.config.side
    expected = {"accumulator": 2 * side - 1, "bias": 2 * side, "bound": 2 * side + 1}
    return all(schedule.delays.get(name, cycles) in (0, cycles) for name, cycles in expected.items())


class Registers:
    """Output words of one image's run after an upset of a register of data."""

    def __init__(self, run: Run) -> None:
        self.run, self.schedule, self.array, self.epilogues = run, run.schedule, run.array, run.epilogues
        self.order, self.config = run.order, run.order.program.config
        self.side = self.config.side

    def words(self, site: str, mask: int, cycle: int) -> list[Words]:
        """What bits ``mask`` of the register at ``site`` change that flip in ``cycle``."""
        found = register_of(site)
        assert found is not None
        name, numbers = found
        parts: list[Words] = getattr(self, f"_{name}")(cycle, mask, *numbers)
        return parts

    def _pixel(self, issued: int) -> tuple[int, int] | None:
        """Weight tile and pixel whose activation is read in cycle ``issued``."""
        tile = int(np.searchsorted(self.schedule.tile_start, issued, side="right")) - 1
        if tile < 0:
            return None
        pixel = issued - int(self.schedule.tile_start[tile])
        return (tile, pixel) if pixel < self.order.gemms.pixels[self.schedule.gemm[tile]] else None

    def _leaving(self, issued: int) -> tuple[int, int] | None:
        """The same as chain and pixel, if it is the chain's last tile."""
        found = self._pixel(issued)
        if found is None:
            return None
        chain = self._chain(found[0])
        return (chain, found[1]) if found[0] + 1 == self.order.tiles(chain)[1] else None

    def _chain(self, tile: int) -> int:
        return int(self.order.gemms.chain[self.schedule.gemm[tile]])

    def _lanes(self, mask: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
        return Hit("", 0, mask, np.zeros(0)).lanes(bits)

    # ---- activations

    def _activation_read(self, cycle: int, mask: int) -> list[Words]:
        return self._passing_activation(cycle - 1, *self._lanes(mask, self.config.word_bits))

    def _activation_skew(self, cycle: int, mask: int, row: int, stage: int) -> list[Words]:
        return self._passing_activation(cycle - 2 - stage, *_one(row, mask))

    def _activation(self, cycle: int, mask: int, row: int, column: int) -> list[Words]:
        return self._passing_activation(cycle - 2 - row - column, *_one(row, mask), column + 1)

    def _passing_activation(self, issued: int, rows: np.ndarray, masks: np.ndarray, first: int = 0) -> list[Words]:
        """Rows of a pixel's activations flip on their way, before column ``first``."""
        found = self._pixel(issued)
        if found is None or first == self.side:
            return []
        return self.run.added([self.array.passing_activation(*found, rows, masks, first)])

    # ---- weights

    def _weight_read(self, cycle: int, mask: int) -> list[Words]:
        return self._passing_weight(cycle - 1, *self._lanes(mask, self.config.word_bits))

    def _weight_skew(self, cycle: int, mask: int, column: int, stage: int) -> list[Words]:
        return self._passing_weight(cycle - 2 - stage, *_one(column, mask))

    def _passing_weight(self, read: int, lanes: np.ndarray, masks: np.ndarray) -> list[Words]:
        """Lanes of the weight word that is read in cycle ``read`` flip on their way."""
        tile, row = (int(number[0]) for number in self.schedule.weight_rows(np.array([read])))
        return self._tile_weight(tile, row, lanes, masks, 0) if tile >= 0 and row < self.side else []

    def _shadow(self, cycle: int, mask: int, row: int, column: int) -> list[Words]:
        # loaded one cycle after the row's word has passed the columns before, used when the tile begins
        tile = int(np.searchsorted(self.schedule.weight_start, cycle - (row + column + 2), side="right")) - 1
        used = tile >= 0 and cycle <= int(self.schedule.tile_start[tile]) + row + column
        return self._tile_weight(tile, row, *_one(column, mask), 0) if used else []

    def _weight(self, cycle: int, mask: int, row: int, column: int) -> list[Words]:
        begun = cycle - (row + column + 1)
        tile = int(np.searchsorted(self.schedule.tile_start, begun, side="right")) - 1
        if tile < 0:
            return []
        return self._tile_weight(tile, row, *_one(column, mask), begun - int(self.schedule.tile_start[tile]))

    def _tile_weight(self, tile: int, row: int, lanes: np.ndarray, masks: np.ndarray, first: int) -> list[Words]:
        """Weights of a row of a tile flip, for pixels from ``first`` on."""
        return self.run.added([self.array.passing_weight(tile, row, lanes, masks, first)])

    # ---- partial sums

    def _psum(self, cycle: int, mask: int, row: int, column: int) -> list[Words]:
        return self._passing_sum(cycle - 2 - row - column, column, row + 1, mask)

    def _psum_deskew(self, cycle: int, mask: int, column: int, stage: int) -> list[Words]:
        return self._passing_sum(cycle - 2 - self.side - column - stage, column, self.side, mask)

    def _passing_sum(self, issued: int, lane: int, rows: int, mask: int) -> list[Words]:
        found = self._pixel(issued)
        return [] if found is None else self.run.added([self.array.passing_sum(*found, lane, rows, signed(mask))])

    def _accumulator_read(self, cycle: int, mask: int) -> list[Words]:
        found = self._pixel(cycle - 2 * self.side)
        if found is None or found[0] == self.order.tiles(self._chain(found[0]))[0]:
            return []
        lanes, masks = self._lanes(mask, self.config.acc_bits)
        return self.run.held([Held(self._chain(found[0]), *found, lanes, masks)])

    def _sum(self, cycle: int, mask: int, lane: int) -> list[Words]:
        found = self._pixel(cycle - 2 * self.side - 1)
        if found is None:
            return []
        return self.run.held([Held(self._chain(found[0]), found[0] + 1, found[1], *_one(lane, mask))])

    # ---- epilogue

    def _bias_read(self, cycle: int, mask: int) -> list[Words]:
        hit = Hit("bias", 0, mask, np.zeros(0))
        lanes, biases, shifts = hit.bias_lanes(self.config.acc_bits, self.config.bias_lane_bits)
        return self._at(cycle - 2 * self.side - 1, lanes, Masks(bias=biases, shift=shifts))

    def _biased(self, cycle: int, mask: int, lane: int) -> list[Words]:
        return self._at(cycle - 2 * self.side - 2, np.array([lane]), Masks(biased=signed(mask)))

    def _shift(self, cycle: int, mask: int, lane: int) -> list[Words]:
        return self._at(cycle - 2 * self.side - 2, np.array([lane]), Masks(shift=mask))

    def _rounded(self, cycle: int, mask: int, lane: int) -> list[Words]:
        return self._at(cycle - 2 * self.side - 3, np.array([lane]), Masks(rounded=signed(mask)))

    def _bound(self, cycle: int, mask: int, lane: int) -> list[Words]:
        return self._at(cycle - 2 * self.side - 3, np.array([lane]), Masks(bound=mask))

    def _at(self, issued: int, lanes: np.ndarray, masks: Masks) -> list[Words]:
        found = self._leaving(issued)
        return [] if found is None else [self.epilogues.at(*found, lanes, masks)]

    def _bound_read(self, cycle: int, mask: int) -> list[Words]:
        found = self._leaving(cycle - 2 * self.side - 2)
        if found is None or not self.order.chains["neuron_bounds"][found[0]]:
            return []  # the next pixel that uses a bound reads it first
        chain, pixel = found
        group = self.epilogues.bound_groups(chain)
        pixels = pixel + np.flatnonzero(group[pixel:] == group[pixel])
        return [self.epilogues.with_bound(chain, pixels, *self._lanes(mask, self.config.word_bits))]

    def _output(self, cycle: int, mask: int, lane: int) -> list[Words]:
        found = self._leaving(cycle - 2 * self.side - 4)
        if found is None:
            return []
        place = self.order.chains.out_first[[found[0]]] + found[1]
        return [self.epilogues.stored(place, *_one(lane, mask))]


def _one(lane: int, mask: int) -> tuple[np.ndarray, np.ndarray]:
    """One lane and its mask."""
    return np.array([lane]), np.array([signed(mask)])
