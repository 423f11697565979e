"""`fitact_load` against `load_words`, with cocotbext-axi's AxiRam: data, padding, bursts, errors, halt."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import FallingEdge

from tests.rtl_cells.cell_runner import run_cell
from tests.rtl_cells.memory_bench import (
    BIAS_BUFFER,
    POINTS,
    SOURCES,
    Fields,
    MemoryBench,
    load_words,
    random_transfer,
)


def random_load(bench: MemoryBench) -> Fields:
    """A LOAD with random target, shape, padding and strides."""
    buffer = random.choice([0, 0, 1, BIAS_BUFFER, 3])
    size = bench.size_of(buffer)
    fields = random_transfer(size, max(1, size // bench.bus_bytes))
    if buffer == BIAS_BUFFER:  # 64 words: a single plane, no padding of whole rows
        fields.update(planes=1, cols=min(fields["cols"], 12))
        fields["rows"] = min(fields["rows"], 3)
    fields["buffer"] = buffer
    if random.random() < 0.6:
        for side in ("left", "right"):
            fields[f"pad_{side}"] = random.choice([0, 1, 3])
        for side in ("top", "bottom"):
            fields[f"pad_{side}"] = 0 if buffer == BIAS_BUFFER else random.choice([0, 1, 2])
    return fields


def expected_writes(bench: MemoryBench, loads: list[Fields]) -> list[tuple[int, int, int]]:
    """All buffer writes of ``loads``, in order."""
    return [word for load in loads for word in load_words(load, bench.size_of(load["buffer"]), bench.ram.read)]


def simple_load(bench: MemoryBench, **changes: int) -> Fields:
    """One row of eight activation words at 4096, with ``changes``."""
    fields = dict.fromkeys(("push", "buffer", "buffer_base", "row_stride", "plane_stride"), 0)
    fields.update({f"pad_{side}": 0 for side in ("left", "right", "top", "bottom")})
    fields.update(mem_addr=4096, cols=8, rows=1, planes=1)
    fields["row_stride"] = 8 * bench.word_bytes
    return fields | changes


async def check_still_works(bench: MemoryBench) -> None:
    """After halt or an error: `clear`, then a load must be right, so nothing was left on the bus."""
    await bench.clear()
    bench.dut.window_base.value, bench.dut.window_last.value = 0, 0xFFFFFFFF
    bench.reset_records()
    load = random_load(bench)
    await bench.issue("load", load)
    await bench.idle()
    assert bench.writes == expected_writes(bench, [load])
    assert bench.pulses["load_retire"] == 1


@cocotb.test()
async def random_loads(dut: Any) -> None:
    """Back-to-back loads write exactly the model's words, without and with stalls."""
    bench = MemoryBench(dut)
    await bench.reset()
    crossings = 0
    for likelihood in (0.0, 0.4, 0.8):
        bench.stall(likelihood)
        bench.reset_records()
        loads = [random_load(bench) for _ in range(14 if likelihood < 0.5 else 5)]
        spans = [(a, a + bench.size_of(f["buffer"]) * f["cols"]) for f in loads for a in [f["mem_addr"]]]
        crossings += sum(first // 4096 != (end - 1) // 4096 for first, end in spans)
        for load in loads:
            await bench.issue("load", load)
        await bench.idle()
        assert bench.writes == expected_writes(bench, loads)
        assert bench.pulses == {
            name: count
            for name, count in (
                ("load_start", len(loads)),
                ("load_retire", len(loads)),
                ("load_push", sum(f["push"] for f in loads)),
            )
            if count
        }
        size = min(bench.word_bytes, bench.bias_word_bytes)
        assert all((last + 1 - first) % size == 0 and first % size == 0 for _, first, last in bench.reads)
    assert crossings > 3
    bench.check_rules()


@cocotb.test()
async def long_row(dut: Any) -> None:
    """A row of many bursts; without stalls a beat (or a word, if narrower) is taken almost every cycle."""
    bench = MemoryBench(dut)
    await bench.reset()
    beats = max(1, bench.word_bytes // bench.bus_bytes)
    load = simple_load(bench, mem_addr=4096 - 3 * bench.word_bytes, cols=1200 // beats, buffer=1)
    load["row_stride"] = 0
    await bench.issue("load", load)
    await bench.idle()
    assert bench.writes == expected_writes(bench, [load])
    span = bench.write_cycles[-1] - bench.write_cycles[0] + beats
    assert span < 1.1 * beats * load["cols"], f"{span} cycles for {load['cols']} words of {beats} beats"
    bench.check_rules()


@cocotb.test()
async def padding_rate(dut: Any) -> None:
    """Padding is written at one word per cycle, and while the first burst is still on its way."""
    bench = MemoryBench(dut)
    await bench.reset()
    load = simple_load(bench, cols=1, pad_top=10, pad_left=20, pad_right=9)
    await bench.issue("load", load)
    await bench.idle()
    assert bench.writes == expected_writes(bench, [load])
    zeros = 10 * 30 + 20
    assert bench.write_cycles[zeros - 1] - bench.write_cycles[0] == zeros - 1


@cocotb.test()
async def outstanding_bursts(dut: Any) -> None:
    """A memory that takes 64 bursts before it answers gets MAX_OUTSTANDING of them, then one for each it answers."""
    bench = MemoryBench(dut)
    await bench.reset()
    most = int(dut.u_load.MAX_OUTSTANDING.value)
    bench.ram.read_if.ar_channel.queue_occupancy_limit = 64
    bench.ram.read_if.r_channel.pause = True
    load = simple_load(bench, cols=1, rows=5 * most, row_stride=2 * bench.word_bytes)
    await bench.issue("load", load)
    for _ in range(40 * most):
        await FallingEdge(dut.clk)
    assert len(bench.reads) == most
    bench.ram.read_if.r_channel.pause = False
    await bench.idle()
    assert bench.writes == expected_writes(bench, [load])
    assert len(bench.reads) == 5 * most


@cocotb.test()
async def window_errors(dut: Any) -> None:
    """Rows outside the window or misaligned raise one address error and are never requested."""
    bench = MemoryBench(dut)
    await bench.reset()
    word = bench.word_bytes
    row = 8 * word
    top = (1 << 32) - 4096
    cases: list[tuple[Fields, int, int, bool]] = [
        (simple_load(bench), 4096, 4096 + row - 1, True),
        (simple_load(bench), 4097, 0xFFFFFFFF, False),
        (simple_load(bench), 4096, 4096 + row - 2, False),
        (simple_load(bench, rows=3), 4096, 4096 + 3 * row - 1, True),
        (simple_load(bench, rows=3), 4096, 4096 + 3 * row - 2, False),
        (simple_load(bench, planes=2, plane_stride=1024 * word), 0, 4096 + 1024 * word, False),
        (simple_load(bench, mem_addr=top, cols=4096 // word), 0, 0xFFFFFFFF, True),
        (simple_load(bench, mem_addr=top, cols=4096 // word + 1), 0, 0xFFFFFFFF, False),
        (simple_load(bench, rows=4, row_stride=0x80000000), 0, 0xFFFFFFFF, False),
        (simple_load(bench, planes=2, plane_stride=0xFFFFF000), 0, 0xFFFFFFFF, False),
        (simple_load(bench, mem_addr=4096 + word // 2), 0, 0xFFFFFFFF, False),
        (simple_load(bench, rows=2, row_stride=row + word // 2), 0, 0xFFFFFFFF, False),
        (simple_load(bench, buffer=BIAS_BUFFER, mem_addr=4096 + word, cols=2), 0, 0xFFFFFFFF, False),
        (simple_load(bench, cols=0), 0, 0xFFFFFFFF, False),
    ]
    for likelihood in (0.0, 0.5):
        bench.stall(likelihood)
        for fields, base, last, legal in cases:
            if fields["buffer"] == BIAS_BUFFER and bench.bias_word_bytes == word:
                continue
            bench.reset_records()
            dut.window_base.value, dut.window_last.value = base, last
            await bench.issue("load", fields | {"push": 1})
            await bench.idle()
            assert bench.pulses["load_address"] == (0 if legal else 1), f"{fields} in [{base:#x}, {last:#x}]"
            assert bench.pulses["load_retire"] == bench.pulses["load_push"] == (1 if legal else 0)
            assert all(base <= first and end <= last for _, first, end in bench.reads)
            if not legal:
                assert not int(dut.load_ready.value)
            await bench.clear()
    bench.check_rules()
    await check_still_works(bench)


@cocotb.test()
async def range_errors(dut: Any) -> None:
    """The word beyond a buffer's depth is not written; the words before it are."""
    bench = MemoryBench(dut)
    await bench.reset()
    depths = [int(getattr(dut, f"{n}_WORDS").value) for n in ("ACTIVATION", "WEIGHT", "BIAS", "BOUND")]
    for buffer, depth in enumerate(depths):
        for words, legal in ((5, True), (6, False)):
            bench.reset_records()
            load = simple_load(bench, buffer=buffer, buffer_base=depth - 5, cols=words - 2, pad_right=2)
            await bench.issue("load", load)
            await bench.idle()
            assert bench.writes == expected_writes(bench, [load])[:5]
            assert bench.pulses["load_range"] == (0 if legal else 1)
            assert bench.pulses["load_retire"] == (1 if legal else 0)
            await bench.clear()
    await check_still_works(bench)


@cocotb.test()
async def bus_error(dut: Any) -> None:
    """A response other than OKAY raises one bus error and ends the unit."""
    bench = MemoryBench(dut)
    await bench.reset()
    for response in (1, 2, 3):
        bench.reset_records()
        dut.bad_rresp.value = response
        await bench.issue("load", simple_load(bench, cols=40, push=1))
        await bench.idle()
        assert bench.pulses["load_bus"] == 1
        assert bench.pulses["load_retire"] == bench.pulses["load_push"] == 0
        await check_still_works(bench)


@cocotb.test()
async def halt_anywhere(dut: Any) -> None:
    """Halt at a random moment: no new request, open beats are dropped, idle, usable after clear."""
    bench = MemoryBench(dut)
    await bench.reset()
    dropped = 0
    for round_number in range(14):
        bench.stall(random.choice([0.0, 0.3, 0.7]))
        bench.reset_records()
        loads = [random_load(bench) for _ in range(3)]
        sender = cocotb.start_soon(_issue_all(bench, loads))
        for _ in range(random.randrange(3, 120)):
            await FallingEdge(dut.clk)
        sender.cancel()
        dut.load_valid.value = 0
        dut.halt.value = 1
        await FallingEdge(dut.clk)
        waiting = int(dut.m_axi_arvalid.value)
        requests, writes = len(bench.reads), len(bench.writes)
        await bench.idle()
        assert len(bench.reads) <= requests + waiting, f"round {round_number}: a request after halt"
        assert len(bench.writes) <= writes + 1
        dropped += len(bench.writes) < len(expected_writes(bench, loads))
        await check_still_works(bench)
    assert dropped > 5
    bench.check_rules()


async def _issue_all(bench: MemoryBench, loads: list[Fields]) -> None:
    for load in loads:
        await bench.issue("load", load)


@pytest.mark.parametrize("point", POINTS)
def test_load(point: str) -> None:
    """All of the above at one point of bus and word sizes."""
    run_cell("memory_cells", __name__, sources=SOURCES, parameters=POINTS[point].parameters(), seed=3)
