"""`fitact_fifo`, `fitact_token` and `fitact_issue`: random traffic against a deque and two integers."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from tests.rtl_cells.cell_runner import ROOT, run_cell

DEPTHS = (2, 3, 16)
LIMITS = (3, 7)
"""Largest counts of the two token counters."""


async def start(dut: Any) -> None:
    """Clock and reset with all inputs idle."""
    Clock(dut.clk, 2, unit="ns").start()
    for name in ("clear", "in_valid", "in_data", "out_ready", "halt", "queue_valid", "pop_prev", "pop_next"):
        getattr(dut, name).value = 0
    for name in ("unit_ready", "push_prev", "push_next", "rst_n"):
        getattr(dut, name).value = 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


@cocotb.test()
async def fifo_random(dut: Any) -> None:
    """Same order, exact fill limits, next entry visible at once, clear empties."""
    await start(dut)
    outputs = (dut.out_data_0, dut.out_data_1, dut.out_data_2)
    queues: list[deque[int]] = [deque() for _ in DEPTHS]
    fullest, clears = [0] * len(DEPTHS), 0
    for cycle in range(1500):
        valid, ready, data = random.getrandbits(3), random.getrandbits(3), random.getrandbits(8)
        if cycle % 300 < 60:
            ready &= random.getrandbits(3) & random.getrandbits(3)  # fill
        clear = random.random() < 0.01
        dut.in_valid.value, dut.out_ready.value, dut.in_data.value, dut.clear.value = (
            valid,
            ready,
            data,
            int(clear),
        )
        await ReadOnly()
        in_ready, out_valid = int(dut.in_ready.value), int(dut.out_valid.value)
        for number, (queue, depth) in enumerate(zip(queues, DEPTHS, strict=True)):
            assert in_ready >> number & 1 == (len(queue) < depth)
            assert out_valid >> number & 1 == (len(queue) > 0)
            if queue:
                assert int(outputs[number].value) == queue[0]
            push = valid >> number & 1 and len(queue) < depth
            if ready >> number & 1 and queue:
                queue.popleft()
            if push:
                queue.append(data)
            if clear:
                queue.clear()
            fullest[number] = max(fullest[number], len(queue))
        clears += clear
        await FallingEdge(dut.clk)
    assert fullest == list(DEPTHS)
    assert clears > 5


@cocotb.test()
async def issue_and_tokens(dut: Any) -> None:
    """An instruction passes exactly when its tokens are there and the machine runs; counts are right."""
    await start(dut)
    counts = [0, 0]
    passed = blocked = overflows = 0
    for cycle in range(2000):
        rich = cycle // 200 % 2  # alternately more tokens than instructions and fewer
        pops = [random.getrandbits(1), random.getrandbits(1)]
        pushes = [int(random.random() < (0.6 if rich else 0.2)) for _ in counts]
        valid, unit_ready, halt = random.getrandbits(1), random.getrandbits(1), int(random.random() < 0.1)
        clear = random.random() < 0.01
        dut.queue_valid.value, dut.unit_ready.value, dut.halt.value, dut.clear.value = (
            valid,
            unit_ready,
            halt,
            int(clear),
        )
        dut.pop_prev.value, dut.pop_next.value = pops
        dut.push_prev.value, dut.push_next.value = pushes
        await ReadOnly()
        there = all(count or not pop for count, pop in zip(counts, pops, strict=True)) and not halt
        assert int(dut.unit_valid.value) == (valid and there)
        assert int(dut.queue_ready.value) == (unit_ready and there)
        go = bool(valid and unit_ready and there)
        seen = [int(dut.take_prev.value), int(dut.take_next.value)]
        assert seen == [pop if go else 0 for pop in pops]
        assert [int(dut.prev_available.value), int(dut.next_available.value)] == [int(c > 0) for c in counts]
        full = [
            c == limit and push and not take for c, limit, push, take in zip(counts, LIMITS, pushes, seen, strict=True)
        ]
        assert [bool(int(dut.prev_overflow.value)), bool(int(dut.next_overflow.value))] == [bool(f) for f in full]
        counts = [c + push - take - bool(f) for c, push, take, f in zip(counts, pushes, seen, full, strict=True)]
        passed, blocked, overflows = (
            passed + go,
            blocked + (valid and not there),
            overflows + sum(map(bool, full)),
        )
        if clear:
            counts = [0, 0]
        await FallingEdge(dut.clk)
    assert min(passed, blocked) > 100
    assert overflows > 20


def test_queues() -> None:
    """All of the above."""
    top = ROOT / "tests" / "rtl_cells" / "queue_cells.v"
    run_cell("queue_cells", __name__, sources=[top, "fitact_fifo.v", "fitact_token.v", "fitact_issue.v"])
