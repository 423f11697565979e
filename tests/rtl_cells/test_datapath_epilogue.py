"""`fitact_epilogue`: every field of a random token appears at its port in its stage, and only then."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from tests.rtl_cells.cell_runner import run_cell
from tests.rtl_cells.token_layout import TokenLayout

# port: (stage, token field). A0-1 is stage 0, so A4 is stage 5.
ENABLES = {
    "acc_rd_en": (0, "acc_rd"),
    "bias_rd_en": (1, "bias_rd"),
    "acc_wr_en": (2, "acc_wr"),
    "bound_rd_en": (2, "bound_rd"),
    "out_wr_en": (5, "out_wr"),
    "retire": (5, "retire"),
    "push_prev": (5, "push_prev"),
    "push_next": (5, "push_next"),
}
VALUES = {
    "acc_rd_addr": (0, "acc_addr"),
    "acc_op": (1, "acc_op"),
    "lshift": (1, "lshift"),
    "bias_rd_addr": (1, "bias_addr"),
    "acc_wr_addr": (2, "acc_addr"),
    "bound_rd_addr": (2, "bound_addr"),
    "bound_select": (3, "neuron"),
    "layer_bound": (3, "layer_bound"),
    "act_mode": (4, "act_mode"),
    "out_wr_addr": (5, "out_addr"),
}


def layout_of(dut: Any) -> TokenLayout:
    """The layout that belongs to the parameters of a sequencer or an epilogue."""
    names = ("SHIFT_W", "ACC_ADDR_W", "BIAS_ADDR_W", "OUT_ADDR_W", "DATA_W", "BOUND_ADDR_W")
    shift, acc, bias, out, data, bound_addr = (int(getattr(dut, name).value) for name in names)
    bound, buffer = (bool(int(getattr(dut, name).value)) for name in ("HAS_BOUND", "HAS_BOUND_BUFFER"))
    walk = int(dut.BOUND_WALK.value) if hasattr(dut, "BOUND_WALK") else 0
    return TokenLayout(shift, acc, bias, out, data, bound_addr, bound, buffer, int(dut.BOUND_PACK_W.value), walk)


@cocotb.test()
async def epilogue_random(dut: Any) -> None:
    """Random tokens, some cycles empty, two `clear` pulses."""
    layout = layout_of(dut)
    assert layout.bits == int(dut.TOKEN_W.value)
    Clock(dut.clk, 2, unit="ns").start()
    dut.clear.value, dut.rst_n.value, dut.token_valid.value = 0, 0, 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    stages: list[dict[str, int] | None] = [None] * 6
    seen = dict.fromkeys(ENABLES, 0)
    for step in range(1200):
        clear = step in (400, 800)
        token = layout.random() if random.random() < (0.05 if 500 < step < 600 else 0.8) else None
        dut.token_valid.value = int(token is not None)
        dut.token_data.value = layout.pack(token or layout.random())
        dut.clear.value = int(clear)
        stages = [token, *stages[:5]]
        await ReadOnly()
        for port, (stage, field) in ENABLES.items():
            there = stages[stage]
            expected = 0 if there is None else there.get(field, 0)
            assert int(getattr(dut, port).value) == expected, (step, port)
            seen[port] += expected
        for port, (stage, field) in VALUES.items():
            there = stages[stage]
            if there is not None:
                expected = there.get(field, 0) >> (layout.pack_w if port == "bound_rd_addr" else 0)
                assert int(getattr(dut, port).value) == expected, (step, port)
        if stages[3] is not None:
            part = stages[3].get("bound_addr", 0) & (1 << layout.pack_w) - 1
            assert int(dut.bound_part.value) == part, step
        assert int(dut.busy.value) == any(word is not None for word in stages[1:])
        await FallingEdge(dut.clk)
        if clear:
            stages = [None] * 6
    absent = () if layout.bound_buffer else ("bound_rd_en",)
    assert all(count > 200 for port, count in seen.items() if port not in absent)


@pytest.mark.parametrize(
    ("bound", "buffer", "data_w", "pack_w"), [(1, 1, 8, 0), (1, 1, 32, 3), (1, 0, 32, 0), (0, 0, 16, 0)]
)
def test_epilogue(bound: int, buffer: int, data_w: int, pack_w: int) -> None:
    layout = TokenLayout(6, 9, 6, 10, data_w, 10, bool(bound), bool(buffer), pack_w)
    parameters = {"HAS_BOUND": bound, "HAS_BOUND_BUFFER": buffer, "DATA_W": data_w, "TOKEN_W": layout.bits}
    parameters |= {"BOUND_PACK_W": pack_w, "BOUND_PART_W": max(1, pack_w)}
    assert run_cell("fitact_epilogue", __name__, parameters=parameters, testcase="epilogue_random") == 1
