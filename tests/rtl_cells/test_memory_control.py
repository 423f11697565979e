"""`fitact_control`: start, done, every error code and its priority, watchdog, interrupt, counters."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from fitact_hw.registers import ErrorCode
from tests.rtl_cells.cell_runner import run_cell

UNITS = ("queues_busy", "fetch_busy", "load_busy", "compute_busy", "store_busy")
ERRORS = {
    "illegal_instruction": ErrorCode.ILLEGAL_INSTRUCTION,
    "fetch_address_error": ErrorCode.ADDRESS,
    "load_address_error": ErrorCode.ADDRESS,
    "store_address_error": ErrorCode.ADDRESS,
    "fetch_bus_error": ErrorCode.BUS,
    "load_bus_error": ErrorCode.BUS,
    "store_bus_error": ErrorCode.BUS,
    "load_range_error": ErrorCode.BUFFER_RANGE,
    "compute_range_error": ErrorCode.BUFFER_RANGE,
    "store_range_error": ErrorCode.BUFFER_RANGE,
    "token_overflow": ErrorCode.TOKEN_OVERFLOW,
}
"""Error inputs in order of priority, with their status codes."""


async def reset(dut: Any) -> None:
    """Clock and reset with all inputs idle."""
    Clock(dut.clk, 2, unit="ns").start()
    zero = ("start", "irq_enable", "watchdog_cycles", "status_done", "status_error", "finish", "dispatched")
    for name in (*zero, *UNITS, *ERRORS, "rst_n"):
        getattr(dut, name).value = 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)
    assert outputs(dut) == {}
    assert int(dut.busy.value) == 0


def outputs(dut: Any) -> dict[str, int]:
    """The control outputs that are not zero."""
    names = ("clear", "start_fetch", "halt", "running", "set_done", "set_error", "error_code", "irq")
    return {name: int(getattr(dut, name).value) for name in names if int(getattr(dut, name).value)}


async def pulse(dut: Any, *names: str) -> None:
    """Raise ``names`` for one cycle."""
    for name in names:
        getattr(dut, name).value = 1
    await FallingEdge(dut.clk)
    for name in names:
        getattr(dut, name).value = 0


async def run(dut: Any) -> None:
    """Start a program and check the pulses that follow; returns in the first ordinary cycle."""
    await pulse(dut, "start")
    assert outputs(dut) == {"clear": 1, "running": 1}
    assert int(dut.cycles.value) == 0
    assert int(dut.instructions.value) == 0
    await FallingEdge(dut.clk)
    assert outputs(dut) == {"start_fetch": 1, "running": 1}
    await FallingEdge(dut.clk)
    assert outputs(dut) == {"running": 1}


async def expect_failure(dut: Any, code: int) -> None:
    """The inputs of this cycle raise error ``code``; returns one cycle later, with the machine halted."""
    await ReadOnly()
    assert outputs(dut) == {"running": 1, "set_error": 1}
    await FallingEdge(dut.clk)
    assert outputs(dut) == {"halt": 1, "error_code": code}


@cocotb.test()
async def done(dut: Any) -> None:
    """Done exactly when FINISH was dispatched and everything is idle; a pulse of `finish` is enough."""
    await reset(dut)
    for unit in (*UNITS, None):
        await run(dut)
        for other in UNITS:
            getattr(dut, other).value = 1
        for _ in range(5):
            await pulse(dut, "dispatched")
        await pulse(dut, "finish")
        for other in UNITS:
            getattr(dut, other).value = int(other == unit)
        if unit:
            for _ in range(10):
                await FallingEdge(dut.clk)
                assert outputs(dut) == {"running": 1}
            getattr(dut, unit).value = 0
        await ReadOnly()
        assert outputs(dut) == {"running": 1, "set_done": 1}
        await FallingEdge(dut.clk)
        cycles = int(dut.cycles.value)
        assert cycles == 2 + 5 + 1 + (10 if unit else 0) + 1
        for _ in range(3):
            await FallingEdge(dut.clk)
            assert outputs(dut) == {}
        assert int(dut.cycles.value) == cycles
        assert int(dut.instructions.value) == 5


@cocotb.test()
async def no_done_without_finish(dut: Any) -> None:
    """An idle machine without FINISH goes on running; a finish of the program before does not count."""
    await reset(dut)
    await run(dut)
    await pulse(dut, "finish")
    await FallingEdge(dut.clk)
    assert outputs(dut) == {}
    await pulse(dut, "finish")
    await run(dut)
    for _ in range(20):
        await FallingEdge(dut.clk)
        assert outputs(dut) == {"running": 1}


@cocotb.test()
async def start_while_busy(dut: Any) -> None:
    """Start is ignored while a program runs or a bus transfer is outstanding."""
    await reset(dut)
    await run(dut)
    await pulse(dut, "start")
    assert outputs(dut) == {"running": 1}
    await pulse(dut, "token_overflow")
    for unit in ("fetch_busy", "load_busy", "store_busy"):
        getattr(dut, unit).value = 1
        await pulse(dut, "start")
        assert int(dut.busy.value) == 1
        assert outputs(dut) == {"halt": 1, "error_code": ErrorCode.TOKEN_OVERFLOW}
        getattr(dut, unit).value = 0
    # What halted inside the machine (queues, compute) is no obstacle.
    dut.queues_busy.value, dut.compute_busy.value = 1, 1
    await ReadOnly()
    assert int(dut.busy.value) == 0
    await FallingEdge(dut.clk)
    await run(dut)


@cocotb.test()
async def errors(dut: Any) -> None:
    """Each error halts with its code, the first is kept, and the next start clears it."""
    await reset(dut)
    for name, code in ERRORS.items():
        await run(dut)
        await pulse(dut, "finish", "load_busy")
        getattr(dut, name).value = 1
        await expect_failure(dut, code)
        getattr(dut, name).value = 0
        for other in ERRORS:
            await pulse(dut, other)
            assert outputs(dut) == {"halt": 1, "error_code": code}
        cycles = int(dut.cycles.value)
        await FallingEdge(dut.clk)
        assert int(dut.cycles.value) == cycles == 4


@cocotb.test()
async def error_priority(dut: Any) -> None:
    """Of two errors in one cycle the one listed first wins, also over done and the watchdog."""
    await reset(dut)
    for first, second in itertools.combinations(ERRORS, 2):
        await run(dut)
        dut.watchdog_cycles.value, dut.finish.value = 1, 1
        getattr(dut, first).value = getattr(dut, second).value = 1
        await expect_failure(dut, ERRORS[first])
        dut.watchdog_cycles.value = dut.finish.value = 0
        getattr(dut, first).value = getattr(dut, second).value = 0


@cocotb.test()
async def error_beats_done(dut: Any) -> None:
    """An error in the very cycle of done is an error."""
    await reset(dut)
    await run(dut)
    dut.store_busy.value = 1
    await pulse(dut, "finish")
    dut.store_busy.value, dut.store_bus_error.value = 0, 1
    await expect_failure(dut, 3)


@cocotb.test()
async def watchdog(dut: Any) -> None:
    """It expires after its number of cycles, at once when lowered below the count, never when 0."""
    await reset(dut)
    for limit in (3, 10, 77):
        dut.watchdog_cycles.value = limit
        await run(dut)
        while int(dut.cycles.value) < limit:
            assert outputs(dut) == {"running": 1}
            await FallingEdge(dut.clk)
        await expect_failure(dut, ErrorCode.WATCHDOG)
    dut.watchdog_cycles.value = 0
    await run(dut)
    for _ in range(100):
        await FallingEdge(dut.clk)
        assert outputs(dut) == {"running": 1}
    dut.watchdog_cycles.value = 5
    await expect_failure(dut, ErrorCode.WATCHDOG)


@cocotb.test()
async def interrupt(dut: Any) -> None:
    """The line follows the status bits while enabled, running or not."""
    await reset(dut)
    for enable, is_done, is_error in itertools.product((0, 1), repeat=3):
        dut.irq_enable.value, dut.status_done.value, dut.status_error.value = enable, is_done, is_error
        await ReadOnly()
        assert int(dut.irq.value) == (enable and (is_done or is_error))
        await FallingEdge(dut.clk)


def test_control() -> None:
    """All of the above."""
    run_cell("fitact_control", __name__)
