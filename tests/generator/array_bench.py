"""cocotb side of `test_array`: streams tiles and pixels through the array by the design's time table."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

TILES = 24


def pack(values: np.ndarray, bits: int) -> int:
    """Lanes of a word as an unsigned integer; lane 0 in the low bits."""
    return sum((int(value) & (1 << bits) - 1) << bits * lane for lane, value in enumerate(values))


def unpack(word: int, lanes: int, bits: int) -> list[int]:
    """Inverse of :func:`pack`, signed."""
    fields = [word >> bits * lane & (1 << bits) - 1 for lane in range(lanes)]
    return [field - (1 << bits) if field >> bits - 1 else field for field in fields]


class Plan:
    """Inputs of every cycle and the outputs they must give.

    ``loads[t]`` = (row, weights), ``swaps`` the cycles of a swap, ``pixels[t]`` = activations, and
    ``sums[t]`` = the partial sums that must stand at the output.
    """

    def __init__(self, side: int, bits: int, rng: np.random.Generator) -> None:
        self.loads: dict[int, tuple[int, np.ndarray]] = {}
        self.swaps: set[int] = set()
        self.pixels: dict[int, np.ndarray] = {}
        self.sums: dict[int, list[int]] = {}
        low, high = -(1 << bits - 1), 1 << bits - 1
        load, swap = 0, 1  # the earliest swap: one cycle after the tile's first row
        for tile in range(TILES):
            weights = rng.integers(low, high, (side, side))
            for row in range(side):
                self.loads[load + row] = (row, weights[row])
            self.swaps.add(swap)
            # Every other tile stays for exactly `side` cycles, the others longer.
            stay = side if tile % 2 == 0 else side + int(rng.integers(0, 5))
            for cycle in range(swap + 1, swap + 1 + stay):
                if rng.random() < 0.9 or cycle == swap + 1:
                    pixel = rng.integers(low, high, side)
                    self.pixels[cycle] = pixel
                    self.sums[cycle + 2 * side - 1] = [int(value) for value in pixel @ weights]
            # The next tile may load from this swap on, and at the latest one cycle before its own swap.
            load = int(rng.integers(max(swap, load + side), swap + stay))
            swap += stay

    @property
    def last(self) -> int:
        """The last cycle that is checked."""
        return max(self.sums)


@cocotb.test()
async def streams_tiles(dut: Any) -> None:
    """Sums appear 2N - 1 cycles after their pixel, while the next tile loads and swaps in behind it."""
    side, bits, acc_bits = (int(getattr(dut, name).value) for name in ("ROWS", "DATA_W", "ACC_W"))
    plan = Plan(side, bits, np.random.default_rng(random.getrandbits(32)))
    Clock(dut.clk, 10, "ns").start()
    for signal in (dut.load_in, dut.swap_in):
        signal.value = 0
    for _ in range(2 * side):  # until load and swap of the start-up state have left the array
        await RisingEdge(dut.clk)
    for cycle in range(plan.last + 1):
        await RisingEdge(dut.clk)
        row, weights = plan.loads.get(cycle, (0, np.zeros(side, np.int64)))
        dut.load_in.value = 1 << row if cycle in plan.loads else 0
        dut.weight_in.value = pack(weights, bits)
        dut.swap_in.value = int(cycle in plan.swaps)
        dut.act_in.value = pack(plan.pixels.get(cycle, np.zeros(side, np.int64)), bits)
        await FallingEdge(dut.clk)
        if cycle in plan.sums:
            assert unpack(int(dut.psum_out.value), side, acc_bits) == plan.sums[cycle], f"cycle {cycle}"
