"""`fitact_store` against `store_bytes`, with cocotbext-axi's AxiRam: data, strobes, bursts, errors, halt."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import FallingEdge

from tests.rtl_cells.cell_runner import run_cell
from tests.rtl_cells.memory_bench import POINTS, SOURCES, Fields, MemoryBench, random_transfer, store_bytes

REGION_BYTES = 1 << 16
"""Memory that the legal stores of these tests may touch."""


def random_store(bench: MemoryBench) -> Fields:
    """A STORE of random shape from a random place of the output buffer."""
    fields = random_transfer(bench.word_bytes, max(1, bench.word_bytes // bench.bus_bytes))
    words = fields["cols"] * fields["rows"] * fields["planes"]
    depth = int(bench.dut.OUTPUT_WORDS.value)
    return fields | {"buffer_base": random.choice([0, depth - words, random.randrange(depth - words)])}


def simple_store(bench: MemoryBench, **changes: int) -> Fields:
    """One row of eight words to 4096, with ``changes``."""
    fields = dict.fromkeys(("push", "buffer_base", "plane_stride"), 0)
    fields.update(mem_addr=4096, cols=8, rows=1, planes=1, row_stride=8 * bench.word_bytes)
    return fields | changes


def apply(bench: MemoryBench, image: bytearray, fields: Fields) -> None:
    """Write what ``fields`` stores into ``image``."""
    for address, word in store_bytes(fields, bench.word_bytes, bench.lane_bytes):
        image[address : address + len(word)] = word


def image_of(bench: MemoryBench) -> bytearray:
    """The whole region as it is now."""
    return bytearray(bench.ram.read(0, REGION_BYTES))


async def check_still_works(bench: MemoryBench) -> None:
    """After halt or an error: `clear`, then a store must be right."""
    await bench.clear()
    bench.dut.window_base.value, bench.dut.window_last.value = 0, 0xFFFFFFFF
    bench.reset_records()
    image, fields = image_of(bench), random_store(bench)
    apply(bench, image, fields)
    await bench.issue("store", fields)
    await bench.idle()
    assert image_of(bench) == image
    assert bench.pulses["store_retire"] == 1


@cocotb.test()
async def random_stores(dut: Any) -> None:
    """Stores change exactly the model's bytes, without and with stalls."""
    bench = MemoryBench(dut)
    await bench.reset()
    crossings = 0
    for likelihood in (0.0, 0.4, 0.8):
        bench.stall(likelihood)
        bench.reset_records()
        image = image_of(bench)
        stores = [random_store(bench) for _ in range(12 if likelihood < 0.5 else 4)]
        for fields in stores:
            first, end = fields["mem_addr"], fields["mem_addr"] + fields["cols"] * bench.word_bytes
            crossings += first // 4096 != (end - 1) // 4096
            apply(bench, image, fields)
            await bench.issue("store", fields)
        await bench.idle()
        assert image_of(bench) == image
        assert bench.pulses["store_retire"] == bench.pulses["store_start"] == len(stores)
        assert bench.pulses["store_push"] == sum(fields["push"] for fields in stores)
        assert all((end + 1 - first) % bench.word_bytes == 0 for first, end in bench.announced)
    assert crossings > 3
    bench.check_rules()


@cocotb.test()
async def retires_after_responses(dut: Any) -> None:
    """Retire (and with it push_prev) waits for the last write response."""
    bench = MemoryBench(dut)
    await bench.reset()
    bench.ram.write_if.b_channel.pause = True
    await bench.issue("store", simple_store(bench, push=1))
    for _ in range(300):
        await FallingEdge(dut.clk)
    assert bench.pulses["store_retire"] == 0
    assert int(dut.store_busy.value)
    bench.ram.write_if.b_channel.pause = False
    await bench.idle()
    assert bench.pulses["store_retire"] == bench.pulses["store_push"] == 1


@cocotb.test()
async def beat_rate(dut: Any) -> None:
    """Without stalls a long row sends a beat almost every cycle."""
    bench = MemoryBench(dut)
    await bench.reset()
    beats = max(1, bench.word_bytes // bench.bus_bytes)
    words = 900 // beats
    image, fields = image_of(bench), simple_store(bench, cols=words, mem_addr=4096 - 5 * bench.word_bytes)
    apply(bench, image, fields)
    start = bench.cycle
    await bench.issue("store", fields)
    await bench.idle()
    assert image_of(bench) == image
    assert bench.cycle - start < 1.1 * words * beats + 20, f"{bench.cycle - start} cycles"


@cocotb.test()
async def outstanding_bursts(dut: Any) -> None:
    """A memory that takes 64 bursts before it answers gets MAX_OUTSTANDING of them, then one for each it answers."""
    bench = MemoryBench(dut)
    await bench.reset()
    most = int(dut.u_store.MAX_OUTSTANDING.value)
    for channel in (bench.ram.write_if.aw_channel, bench.ram.write_if.w_channel):
        channel.queue_occupancy_limit = 64
    bench.ram.write_if.b_channel.pause = True
    image = image_of(bench)
    fields = simple_store(bench, cols=1, rows=5 * most, row_stride=2 * bench.word_bytes)
    apply(bench, image, fields)
    await bench.issue("store", fields)
    for _ in range(40 * most):
        await FallingEdge(dut.clk)
    assert len(bench.announced) == most
    bench.ram.write_if.b_channel.pause = False
    await bench.idle()
    assert image_of(bench) == image
    assert len(bench.announced) == 5 * most


@cocotb.test()
async def window_errors(dut: Any) -> None:
    """Rows outside the window or misaligned raise one address error and are never announced."""
    bench = MemoryBench(dut)
    await bench.reset()
    word = bench.word_bytes
    row = 8 * word
    top = (1 << 32) - 4096
    cases: list[tuple[Fields, int, int, bool]] = [
        (simple_store(bench), 4096, 4096 + row - 1, True),
        (simple_store(bench), 4097, 0xFFFFFFFF, False),
        (simple_store(bench, rows=3), 4096, 4096 + 3 * row - 1, True),
        (simple_store(bench, rows=3), 4096, 4096 + 3 * row - 2, False),
        (simple_store(bench, planes=2, plane_stride=1024 * word), 0, 4096 + 1024 * word, False),
        (simple_store(bench, mem_addr=top + 4096 - row), 0, 0xFFFFFFFF, True),
        (simple_store(bench, mem_addr=top + 4096 - row, cols=9), 0, 0xFFFFFFFF, False),
        (simple_store(bench, rows=4, row_stride=0x80000000), 0, 0xFFFFFFFF, False),
        (simple_store(bench, planes=2, plane_stride=0xFFFFF000), 0, 0xFFFFFFFF, False),
        (simple_store(bench, mem_addr=4096 + word // 2), 0, 0xFFFFFFFF, False),
        (simple_store(bench, rows=2, row_stride=row + word // 2), 0, 0xFFFFFFFF, False),
        (simple_store(bench, cols=0), 0, 0xFFFFFFFF, False),
    ]
    for fields, base, last, legal in cases:
        bench.stall(random.choice([0.0, 0.5]))
        bench.reset_records()
        beyond = min(last + 1, (1 << 32) - 4096)
        outside = bench.ram.read(0, base), bench.ram.read(beyond, 4096 if beyond > last else 0)
        dut.window_base.value, dut.window_last.value = base, last
        await bench.issue("store", fields | {"push": 1})
        await bench.idle()
        assert bench.pulses["store_address"] == (0 if legal else 1), f"{fields} in [{base:#x}, {last:#x}]"
        assert bench.pulses["store_retire"] == bench.pulses["store_push"] == (1 if legal else 0)
        assert all(base <= first and end <= last for first, end in bench.announced)
        assert outside == (bench.ram.read(0, base), bench.ram.read(beyond, len(outside[1])))
        await bench.clear()
    bench.check_rules()
    await check_still_works(bench)


@cocotb.test()
async def range_errors(dut: Any) -> None:
    """Reading beyond the output buffer raises one range error; nothing else is read or retired."""
    bench = MemoryBench(dut)
    await bench.reset()
    depth = int(dut.OUTPUT_WORDS.value)
    for words, legal in ((5, True), (6, False)):
        bench.reset_records()
        await bench.issue("store", simple_store(bench, buffer_base=depth - 5, cols=words))
        await bench.idle()
        assert bench.pulses["store_range"] == (0 if legal else 1)
        assert bench.pulses["store_retire"] == (1 if legal else 0)
        await bench.clear()
    bench.check_rules()
    await check_still_works(bench)


@cocotb.test()
async def bus_error(dut: Any) -> None:
    """A response other than OKAY raises one bus error and no retire."""
    bench = MemoryBench(dut)
    await bench.reset()
    for response in (1, 2, 3):
        bench.reset_records()
        dut.bad_bresp.value = response
        await bench.issue("store", simple_store(bench, cols=200, push=1))
        await bench.idle()
        assert bench.pulses["store_bus"] == 1
        assert bench.pulses["store_retire"] == bench.pulses["store_push"] == 0
        await check_still_works(bench)


@cocotb.test()
async def halt_anywhere(dut: Any) -> None:
    """Halt at a random moment: announced bursts complete without changing other bytes, then idle."""
    bench = MemoryBench(dut)
    await bench.reset()
    interrupted = 0
    for round_number in range(14):
        bench.stall(random.choice([0.0, 0.3, 0.7]))
        bench.reset_records()
        before, fields = image_of(bench), random_store(bench)
        after = bytearray(before)
        apply(bench, after, fields)
        await bench.issue("store", fields)
        for _ in range(random.randrange(1, 80)):
            await FallingEdge(dut.clk)
        dut.halt.value = 1
        await FallingEdge(dut.clk)
        waiting, announced = int(dut.m_axi_awvalid.value), len(bench.announced)
        await bench.idle()
        assert len(bench.announced) <= announced + waiting, f"round {round_number}: a burst after halt"
        interrupted += bench.pulses["store_retire"] == 0
        for now, old, new in zip(image_of(bench), before, after, strict=True):
            assert now in (old, new)
        await check_still_works(bench)
    assert interrupted > 4
    bench.check_rules()


@pytest.mark.parametrize("point", POINTS)
def test_store(point: str) -> None:
    """All of the above at one point of bus and word sizes."""
    run_cell("memory_cells", __name__, sources=SOURCES, parameters=POINTS[point].parameters(), seed=5)
