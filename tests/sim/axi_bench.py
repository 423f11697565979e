"""cocotb side of `test_axi`: the bare top between an AxiLiteMaster and an AxiRam of cocotbext-axi."""

from __future__ import annotations

import itertools
import logging
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

LIMIT_CYCLES = 30_000


def pauses(seed: int) -> Any:
    """Endless random pauses."""
    generator = random.Random(seed)
    return (generator.random() < 0.3 for _ in itertools.count())


@cocotb.test()
async def runs_a_program(dut: Any) -> None:
    """Load $FITACT_IMAGE, run it, write the memory to $FITACT_OUT."""
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    image = Path(os.environ["FITACT_IMAGE"]).read_bytes()
    dut.rst_n.value = 0
    Clock(dut.clk, 10, "step").start()
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst_n, reset_active_level=False)
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst_n, reset_active_level=False, size=1 << 20)
    ram.write(0, image)
    if os.environ["FITACT_PAUSE"] == "1":
        channels = (
            ram.read_if.ar_channel, ram.read_if.r_channel, ram.write_if.aw_channel, ram.write_if.w_channel,
            ram.write_if.b_channel, host.write_if.b_channel, host.read_if.r_channel,
        )  # fmt: skip
        for seed, channel in enumerate(channels):
            channel.set_pause_generator(pauses(seed))
    await ClockCycles(dut.clk, 5)
    dut.rst_n.value = 1
    await ClockCycles(dut.clk, 5)
    assert await host.read_dword(0x00) == 0x46414354
    await host.write_dword(0x0C, int(os.environ["FITACT_PROGRAM"]))
    await host.write_dword(0x14, len(image) - 1)
    assert await host.read_dword(0x14) == len(image) - 1
    await host.write_dword(0x04, 3)
    if not int(dut.irq.value):
        timeout = ClockCycles(dut.clk, LIMIT_CYCLES)
        assert await First(RisingEdge(dut.irq), timeout) is not timeout, "no interrupt"
    status = await host.read_dword(0x08)
    assert status & 0xF0F == 0b010, f"status {status:#x}"
    await host.write_dword(0x08, 0b010)  # write 1 to clear
    assert not int(dut.irq.value)
    assert await host.read_dword(0x08) == 0
    Path(os.environ["FITACT_OUT"]).write_bytes(ram.read(0, len(image)))
