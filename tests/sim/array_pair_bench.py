"""cocotb: the generated array and the one that C++ computes get the same inputs and must give the same sums."""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

CYCLES = 3000


@cocotb.test()
async def test_equal_after_every_edge(dut: Any) -> None:
    """Loads and swaps at any time, also such as the sequencer never makes: rows in any order, several at once."""
    rng = random.Random(int(os.environ["PAIR_SEED"]))
    rows, act, weight = (len(dut.load), len(dut.act), len(dut.weight))
    Clock(dut.clk, 2, unit="ns").start()
    for number in range(4 * rows + CYCLES):
        await FallingEdge(dut.clk)
        if number > 4 * rows:
            assert dut.rtl.value == dut.computed.value, f"cycle {number}"
        dense = rng.random() < 0.5
        dut.act.value = rng.getrandbits(act) if rng.random() < 0.9 else 1 << act - 1
        dut.weight.value = rng.getrandbits(weight)
        if number < 2 * rows:  # weights are not reset
            dut.load.value, dut.swap.value = (1 << rows) - 1, 1
        else:
            dut.load.value = rng.getrandbits(rows) if dense else (1 << rng.randrange(rows)) * (rng.random() < 0.7)
            dut.swap.value = rng.random() < (0.5 if dense else 0.1)
