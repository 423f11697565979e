"""`fitact_fetch` and `fitact_read_arbiter`: program order, FINISH, errors, halt, load traffic beside it."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import FallingEdge

from fitact_hw.isa import INSTRUCTION_BYTES, Opcode
from tests.rtl_cells.cell_runner import run_cell
from tests.rtl_cells.memory_bench import POINTS, SOURCES, Fields, MemoryBench, load_words

PROGRAM = 0x3FC0
"""Byte address of most programs: their second instruction starts a 4 KiB page."""


def random_program(length: int) -> list[bytes]:
    """``length`` random instructions; the last one, and only that one, has the opcode FINISH."""
    program = []
    for number in range(length):
        code = Opcode.FINISH if number == length - 1 else random.choice([o for o in range(16) if o != 5])
        program.append(bytes([random.getrandbits(4) << 4 | code]) + random.randbytes(INSTRUCTION_BYTES - 1))
    return program


async def start(bench: MemoryBench, address: int) -> None:
    """Clear and start one cycle later, as fitact_control does."""
    await bench.clear()
    bench.dut.program_address.value, bench.dut.start.value = address, 1
    await FallingEdge(bench.dut.clk)
    bench.dut.start.value = 0


async def take(bench: MemoryBench, slowness: float, limit_cycles: int = 4000) -> tuple[list[bytes], list[str]]:
    """Consume instructions until fetch is idle, each cycle only with 1 - ``slowness``.

    Returns the instructions and the error pulses ("address", "bus") in order of appearance.
    """
    dut = bench.dut
    instructions: list[bytes] = []
    errors: list[str] = []
    for _ in range(limit_cycles):
        ready = random.random() >= slowness
        dut.fetch_ready.value = int(ready)
        if ready and int(dut.fetch_valid.value):  # of registers: it stands until the rising edge
            instructions.append(int(dut.fetch_data.value).to_bytes(INSTRUCTION_BYTES, "little"))
        for name, pulse in (("address", dut.fetch_address_error), ("bus", dut.fetch_bus_error)):
            errors += [name] * int(pulse.value)
        if not int(dut.fetch_busy.value):
            dut.fetch_ready.value = 0
            return instructions, errors
        await FallingEdge(dut.clk)
    raise AssertionError(f"fetch still busy after {limit_cycles} cycles")


async def drain(bench: MemoryBench) -> list[str]:
    """Take nothing; wait for idle. Returns the error pulses."""
    return (await take(bench, 1.0))[1]


@cocotb.test()
async def programs(dut: Any) -> None:
    """Every instruction in order up to FINISH and none behind it, at any stall and consumer speed."""
    bench = MemoryBench(dut)
    await bench.reset()
    for length, stall, slowness in (
        (1, 0, 0),
        (2, 0, 0.5),
        (17, 0, 0),
        (12, 0.5, 0.9),
        (9, 0.8, 0),
        (3, 0, 0.95),
    ):
        bench.stall(stall)
        program = random_program(length)
        bench.ram.write(PROGRAM, b"".join(program))
        bench.reset_records()
        await start(bench, PROGRAM)
        assert await take(bench, slowness) == (program, [])
        assert all(last + 1 - first == INSTRUCTION_BYTES for _, first, last in bench.reads)
        assert len(bench.reads) <= length + 1
    bench.check_rules()


@cocotb.test()
async def latency_overlaps(dut: Any) -> None:
    """The next instruction is requested before the present one was taken, but never more than one ahead."""
    bench = MemoryBench(dut)
    await bench.reset()
    bench.ram.write(PROGRAM, b"".join(random_program(8)))
    await start(bench, PROGRAM)
    for _ in range(200):
        await FallingEdge(dut.clk)
    assert len(bench.reads) == 2
    assert int(dut.fetch_valid.value)
    assert int(dut.fetch_busy.value)


@cocotb.test()
async def window(dut: Any) -> None:
    """FINISH may be the last word of the window; a program without FINISH ends there with an error."""
    bench = MemoryBench(dut)
    await bench.reset()
    program = random_program(5)
    bench.ram.write(PROGRAM, b"".join(program))
    end = PROGRAM + 5 * INSTRUCTION_BYTES
    cases = [
        (PROGRAM, end - 1, program, []),
        (PROGRAM, end - 2, program[:4], ["address"]),
        (PROGRAM, PROGRAM + INSTRUCTION_BYTES - 1, program[:1], ["address"]),
        (PROGRAM + 1, end - 1, [], ["address"]),
    ]
    for base, last, expected, errors in cases:
        for slowness, stall in ((0.0, 0.0), (0.8, 0.0), (0.0, 0.7)):
            bench.stall(stall)
            bench.reset_records()
            dut.window_base.value, dut.window_last.value = base, last
            await start(bench, PROGRAM)
            instructions, seen = await take(bench, slowness)
            assert seen == errors
            # Instructions still in the slots are dropped when the error is raised.
            assert instructions == expected[: len(instructions)]
            assert len(instructions) >= len(expected) - 2
            assert all(base <= first and stop <= last for _, first, stop in bench.reads)
    bench.stall(0.0)
    last = end - INSTRUCTION_BYTES  # FINISH alone: the request ahead would leave the window
    dut.window_base.value, dut.window_last.value = last, end - 1
    await start(bench, last)
    assert await take(bench, 0.0) == (program[4:], [])
    dut.window_base.value, dut.window_last.value = 0, 0xFFFFFFFF
    for address in (PROGRAM + 4, PROGRAM + 32):
        await start(bench, address)
        assert await take(bench, 0.0) == ([], ["address"])
    top = (1 << 32) - INSTRUCTION_BYTES
    bench.ram.write(top, program[0])
    await start(bench, top)
    instructions, seen = await take(bench, 0.0)  # the next address would be 2^32
    assert seen == ["address"]
    assert instructions in ([], program[:1])
    bench.check_rules()


@cocotb.test()
async def bus_error_and_restart(dut: Any) -> None:
    """An error response stops fetching with one pulse; after clear and start the program runs."""
    bench = MemoryBench(dut)
    await bench.reset()
    program = random_program(6)
    bench.ram.write(PROGRAM, b"".join(program))
    for response in (1, 2, 3):
        await bench.clear()
        dut.bad_rresp.value = response
        dut.start.value, dut.program_address.value = 1, PROGRAM
        await FallingEdge(dut.clk)
        dut.start.value = 0
        assert await take(bench, 0.0) == ([], ["bus"])
        await start(bench, PROGRAM)
        assert await take(bench, 0.0) == (program, [])


@cocotb.test()
async def halt(dut: Any) -> None:
    """Halt at a random moment: idle without a new request; a restart runs the whole program."""
    bench = MemoryBench(dut)
    await bench.reset()
    program = random_program(8)
    bench.ram.write(PROGRAM, b"".join(program))
    for _ in range(12):
        bench.stall(random.choice([0.0, 0.6]))
        await start(bench, PROGRAM)
        dut.fetch_ready.value = random.getrandbits(1)
        for _ in range(random.randrange(1, 60)):
            await FallingEdge(dut.clk)
        dut.halt.value, dut.fetch_ready.value = 1, 0
        await FallingEdge(dut.clk)
        requests, waiting = len(bench.reads), int(dut.m_axi_arvalid.value)
        assert await drain(bench) == []
        assert len(bench.reads) <= requests + waiting
        await start(bench, PROGRAM)
        assert await take(bench, 0.3) == (program, [])
    bench.check_rules()


@cocotb.test()
async def beside_load(dut: Any) -> None:
    """A stalled dispatcher does not block loads; fetch and load each get their own responses."""
    bench = MemoryBench(dut)
    await bench.reset()
    program = random_program(14)
    bench.ram.write(PROGRAM, b"".join(program))
    for stall in (0.0, 0.5):
        bench.stall(stall)
        bench.reset_records()
        loads: list[Fields] = []
        await start(bench, PROGRAM)
        for number in range(3):  # nobody takes instructions meanwhile
            loads.append(_load(bench, number))
            await bench.issue("load", loads[-1])
        await bench.idle()
        sender = cocotb.start_soon(_issue(bench, loads))
        assert await take(bench, 0.2) == (program, [])
        await sender
        await bench.idle()
        expected = [w for f in loads for w in load_words(f, bench.word_bytes, bench.ram.read)]
        assert bench.writes == expected
        assert {owner for owner, _, _ in bench.reads} == {0, 1}
    bench.check_rules()


def _load(bench: MemoryBench, number: int) -> Fields:
    size = bench.word_bytes
    fields = {f"pad_{side}": 0 for side in ("left", "right", "top", "bottom")}
    fields.update(push=0, buffer=1, buffer_base=64 * number, mem_addr=0x8000 + 512 * size * number, cols=2, rows=9)
    return fields | {"planes": 1, "row_stride": 16 * size, "plane_stride": 0}


async def _issue(bench: MemoryBench, loads: list[Fields]) -> None:
    for number in range(3, 9):
        loads.append(_load(bench, number))
        await bench.issue("load", loads[-1])


@pytest.mark.parametrize("point", ["equal", "wide"])
def test_fetch(point: str) -> None:
    """All of the above at one bus width."""
    run_cell("memory_cells", __name__, sources=SOURCES, parameters=POINTS[point].parameters(), seed=7)
