"""`fitact_sram`, `fitact_delay` and `fitact_skew`: random streams against lists and dictionaries."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tests.rtl_cells.cell_runner import run_cell


async def start(dut: Any) -> None:
    """Start the clock; every test drives and samples at the falling edge."""
    Clock(dut.clk, 2, unit="ns").start()
    await FallingEdge(dut.clk)


@cocotb.test()
async def sram_random(dut: Any) -> None:
    """Reads see every earlier write, never one of the same cycle; data hold while rd_en is low."""
    depth, width = int(dut.DEPTH.value), int(dut.WIDTH.value)
    await start(dut)
    words: dict[int, int] = {}
    for address in range(depth):  # defines every word
        words[address] = random.getrandbits(width)
        dut.wr_en.value, dut.rd_en.value = 1, 0
        dut.wr_addr.value, dut.wr_data.value = address, words[address]
        await FallingEdge(dut.clk)
    expected: int | None = None
    collisions = 0
    for _ in range(600):
        write, read = random.random() < 0.6, random.random() < 0.6
        wr_addr = random.randrange(depth)
        rd_addr = wr_addr if random.random() < 0.4 else random.randrange(depth)
        data = random.getrandbits(width)
        dut.wr_en.value, dut.wr_addr.value, dut.wr_data.value = int(write), wr_addr, data
        dut.rd_en.value, dut.rd_addr.value = int(read), rd_addr
        await FallingEdge(dut.clk)
        if read:
            expected = words[rd_addr]
            collisions += write and rd_addr == wr_addr
        if write:
            words[wr_addr] = data
        if expected is not None:
            assert int(dut.rd_data.value) == expected
    assert collisions > 30


@cocotb.test()
async def delay_random(dut: Any) -> None:
    """Every valid word comes out after exactly DELAY cycles; `busy` and `clear` follow the valid bits."""
    delay, width = int(dut.DELAY.value), int(dut.WIDTH.value)
    dut.rst_n.value, dut.clear.value, dut.in_valid.value = 0, 0, 0
    await start(dut)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    line: deque[int | None] = deque([None] * delay, maxlen=delay)
    seen = 0
    for step in range(900):
        clear = step in (300, 301, 640)
        valid = random.random() < (0.02 if 400 < step < 500 else 0.7)
        data = random.getrandbits(width)
        dut.in_valid.value, dut.in_data.value, dut.clear.value = int(valid), data, int(clear)
        await FallingEdge(dut.clk)
        line.append(data if valid else None)
        if clear:
            line.extend([None] * delay)
        head = line[0]
        assert int(dut.out_valid.value) == (head is not None), step
        assert int(dut.busy.value) == any(word is not None for word in line), step
        if head is not None:
            seen += 1
            assert int(dut.out_data.value) == head, step
    assert seen > 300


@cocotb.test()
async def skew_random(dut: Any) -> None:
    """The input comes out DELAY cycles later, in the same cycle if DELAY is 0."""
    delay, width = int(dut.DELAY.value), int(dut.WIDTH.value)
    await start(dut)
    line: list[int] = []
    for _ in range(200):
        line.append(random.getrandbits(width))
        dut.in_data.value = line[-1]
        await FallingEdge(dut.clk)
        # The newest word was taken at the rising edge just passed, so it is one register deep now.
        age = max(delay - 1, 0)
        if len(line) > age:
            assert int(dut.out_data.value) == line[-1 - age]


@pytest.mark.parametrize(("width", "depth"), [(128, 16), (70, 5)])
def test_sram(width: int, depth: int) -> None:
    parameters = {"WIDTH": width, "DEPTH": depth, "ADDR_W": max(1, (depth - 1).bit_length())}
    assert run_cell("fitact_sram", __name__, parameters=parameters, testcase="sram_random") == 1


@pytest.mark.parametrize(("width", "delay"), [(62, 30), (9, 2)])
def test_delay(width: int, delay: int) -> None:
    parameters = {"WIDTH": width, "DELAY": delay}
    assert run_cell("fitact_delay", __name__, parameters=parameters, testcase="delay_random") == 1


@pytest.mark.parametrize(("width", "delay"), [(8, 0), (32, 1), (48, 15)])
def test_skew(width: int, delay: int) -> None:
    assert run_cell("fitact_skew", __name__, parameters={"WIDTH": width, "DELAY": delay}, testcase="skew_random") == 1
