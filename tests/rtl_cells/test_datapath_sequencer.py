"""`fitact_sequencer` against `gemm_model`: every address and token, timing, SYNC, range errors, halt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from fitact_hw.config import RMW_CYCLES
from tests.rtl_cells.cell_runner import run_cell
from tests.rtl_cells.gemm_model import FIELD_BITS, Depths, Tile, expand, gemm, random_gemm
from tests.rtl_cells.test_datapath_epilogue import layout_of
from tests.rtl_cells.token_layout import TokenLayout

DEPTHS = Depths()
SYNC = "is_sync"


@dataclass(frozen=True)
class Cycle:
    """The outputs in one cycle; None where nothing is valid."""

    act: int | None
    wgt: int | None
    swap: int
    load: int
    token: int | None
    busy: int
    error: int
    start: int
    ready: int

    @property
    def quiet(self) -> bool:
        """No access, no strobe and no token."""
        strobes = self.swap or self.load or self.error or self.start or self.ready
        return self.act is None and self.wgt is None and self.token is None and not strobes


def sample(dut: Any) -> Cycle:
    """Read all outputs."""
    act = int(dut.act_rd_addr.value) if dut.act_rd_en.value == 1 else None
    wgt = int(dut.wgt_rd_addr.value) if dut.wgt_rd_en.value == 1 else None
    token = int(dut.token_data.value) if dut.token_valid.value == 1 else None
    names = ("array_swap", "array_load", "busy", "range_error", "gemm_start", "instr_ready")
    swap, load, busy, error, begin, ready = (int(getattr(dut, name).value) for name in names)
    return Cycle(act, wgt, swap, load, token, busy, error, begin, ready)


async def reset(dut: Any) -> None:
    """Start the clock and reset."""
    dut.rst_n.value, dut.clear.value, dut.halt.value, dut.instr_valid.value = 0, 0, 0, 0
    Clock(dut.clk, 2, unit="ns").start()
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1


def drive(dut: Any, item: dict[str, int] | None) -> None:
    """Put an instruction on the port, or none (then the fields are random)."""
    dut.instr_valid.value = int(item is not None)
    values = item or {name: random.getrandbits(bits) for name, bits in FIELD_BITS.items()}
    dut.instr_is_sync.value = values.get(SYNC, 0)
    for name, bits in FIELD_BITS.items():
        getattr(dut, f"instr_{name}").value = values.get(name, random.getrandbits(bits))


async def play(dut: Any, items: list[dict[str, int]], pause: float = 0.0, limit: int = 10**6) -> list[Cycle]:
    """Feed ``items`` and record until idle or ``limit`` cycles; ``pause``: chance of a gap before an item."""
    trace: list[Cycle] = []
    waiting, wait, idle = list(items), 0, 0
    drive(dut, waiting[0])
    while idle < 4 and len(trace) < limit:
        await ReadOnly()
        now = sample(dut)
        trace.append(now)
        idle = 0 if now.busy or waiting else idle + 1
        await FallingEdge(dut.clk)
        if now.ready and not wait:
            waiting.pop(0)
            wait = random.randrange(1, 60) if random.random() < pause else 0
            drive(dut, waiting[0] if waiting and not wait else None)
        elif wait:
            wait -= 1
            if not wait:
                drive(dut, waiting[0] if waiting else None)
    return trace


def tiles_of(items: list[dict[str, int]], rows: int, layout: TokenLayout) -> list[Tile | dict[str, int]]:
    """All tiles in order; a SYNC becomes the fields of its token."""
    result: list[Tile | dict[str, int]] = []
    for item in items:
        if SYNC in item:
            result.append({"retire": 1, "push_prev": item["push_prev"], "push_next": item["push_next"]})
        else:
            result.extend(expand(item, rows, DEPTHS, layout))
    return result


def check(trace: list[Cycle], items: list[dict[str, int]], rows: int, layout: TokenLayout, dense: bool) -> None:
    """Compare ``trace`` with the model, cycle by cycle; ``dense``: instructions waited, so no bubbles."""
    tokens = [time for time, now in enumerate(trace) if now.token is not None]
    swaps = [time for time, now in enumerate(trace) if now.swap]
    loads = [time for time, now in enumerate(trace) if now.load]
    acts: dict[int, int] = {}
    weights: dict[int, int] = {}
    errors: set[int] = set()
    previous: tuple[int, int] | None = None  # swap and pixels of the tile before, if a tile is before
    for item in tiles_of(items, rows, layout):
        if isinstance(item, dict):
            fields = layout.unpack(trace[tokens.pop(0)].token or 0)
            assert {name: fields[name] for name in item} == item
            enables = ("acc_rd", "acc_wr", "bias_rd", "out_wr", "bound_rd")
            assert not any(fields.get(name) for name in enables)
            previous = None
            continue
        swap = swaps.pop(0)
        for number, (act, expected, bad) in enumerate(item.pixels):
            time = tokens.pop(0)
            assert time == swap + 1 + number
            assert layout.unpack(trace[time].token or 0) == expected
            if act is not None:
                acts[time - 1] = act
            if bad:
                errors.add(time)
        first = loads[0]
        for row, address in enumerate(item.weights):
            time = loads.pop(0)
            assert time == first + row
            assert trace[time].load == 1 << row
            if address is not None:
                weights[time - 1] = address
            else:
                errors.add(time)
        assert first < swap
        if previous is not None:
            assert first >= previous[0]
            least = max(previous[1], rows, RMW_CYCLES)
            assert swap - previous[0] == least if dense else swap - previous[0] >= least
        previous = (swap, len(item.pixels))
    assert not tokens
    assert not swaps
    assert not loads
    assert {time: now.act for time, now in enumerate(trace) if now.act is not None} == acts
    assert {time: now.wgt for time, now in enumerate(trace) if now.wgt is not None} == weights
    assert {time for time, now in enumerate(trace) if now.error} == errors
    assert sum(now.start for now in trace) == sum(SYNC not in item for item in items)
    assert all(now.busy for now in trace if now.token is not None or now.act is not None)


def random_items(rows: int, count: int) -> list[dict[str, int]]:
    """GEMMs with a SYNC here and there."""
    items = []
    for _ in range(count):
        if random.random() < 0.2:
            items.append({SYNC: 1, "push_prev": random.getrandbits(1), "push_next": random.getrandbits(1)})
        items.append(random_gemm(rows))
    return items


@cocotb.test()
async def programs(dut: Any) -> None:
    """Random programs, dense (no bubble between tiles and GEMMs) and with gaps between instructions."""
    rows, layout = int(dut.ROWS.value), layout_of(dut)
    assert layout.bits == int(dut.TOKEN_W.value)
    await reset(dut)
    for count, pause in ((14, 0.0), (8, 0.7)):
        items = random_items(rows, count)
        check(await play(dut, items, pause), items, rows, layout, dense=pause == 0)
    many = rows + 5
    items = [gemm(cols=size, channel_tiles=tiles) for size in (1, 2, 3, 4, rows, many) for tiles in (1, 3)]
    check(await play(dut, items), items, rows, layout, dense=True)


@cocotb.test()
async def range_errors(dut: Any) -> None:
    """Each address in turn runs over the end of its buffer; unused ones may be anywhere."""
    rows, layout = int(dut.ROWS.value), layout_of(dut)
    await reset(dut)
    far = {"acc_base": 65535, "bias_base": 65535, "out_base": 65535, "bound_base": 65535}
    clean = gemm(cols=6, **{**far, "bias_base": 63, "out_base": 1018})
    writes_back = gemm(cols=6, channel_tiles=2, epilogue=0, **{**far, "acc_base": 506})
    for item in (clean, writes_back):
        trace = await play(dut, [item])
        check(trace, [item], rows, layout, dense=True)
        assert not any(now.error for now in trace)
    over = [
        gemm(cols=6, act_base=4093),
        gemm(cols=2, rows=2, act_base=65535, row_stride=65535),
        gemm(cols=6, weight_base=2048 - rows + 1),
        gemm(channel_tiles=3, weight_base=2048 - 2 * rows, weight_stride=rows),
        gemm(cols=6, channel_tiles=2, acc_base=509),
        gemm(cols=6, epilogue=0, acc_base=65535),
        gemm(cols=6, acc_mode=1, acc_base=511),
        gemm(cols=6, bias_base=64),
        gemm(cols=6, out_base=1021),
    ]
    if layout.bound_buffer:
        end = 1024 - (2, 1, 0)[layout.walk]
        over.append(gemm(cols=3, images=2, neuron_bounds=1, bound_base=end))
    for item in over:
        trace = await play(dut, [item])
        check(trace, [item], rows, layout, dense=True)
        assert any(now.error for now in trace), item


@cocotb.test()
async def halt_and_clear(dut: Any) -> None:
    """At any moment `halt` silences the outputs in the next cycle; afterwards a program runs as new."""
    rows, layout = int(dut.ROWS.value), layout_of(dut)
    await reset(dut)
    stopped_busy = 0
    for step in range(12):
        items = [random_gemm(rows) for _ in range(3)]
        trace = await play(dut, items, limit=random.randrange(2, 90))
        stopped_busy += trace[-1].busy
        (dut.halt if step % 2 else dut.clear).value = 1
        if step % 2 == 0:
            dut.instr_valid.value = 0
        await FallingEdge(dut.clk)
        for _ in range(5):
            await ReadOnly()
            now = sample(dut)
            assert now.quiet
            assert not now.busy
            await FallingEdge(dut.clk)
            dut.clear.value = 0
        dut.halt.value, dut.instr_valid.value = 0, 0
        item = random_gemm(rows)
        check(await play(dut, [item]), [item], rows, layout, dense=True)
    assert stopped_busy > 5


@pytest.mark.parametrize(
    ("rows", "bound", "buffer", "data_w", "walk", "pack_w"),
    [(2, 1, 0, 32, 0, 0), (3, 0, 0, 8, 0, 0), (16, 1, 1, 8, 0, 0), (4, 1, 1, 16, 1, 2), (4, 1, 1, 8, 2, 1)],
)
def test_sequencer(rows: int, bound: int, buffer: int, data_w: int, walk: int, pack_w: int) -> None:
    layout = TokenLayout(6, 9, 6, 10, data_w, 10, bool(bound), bool(buffer), pack_w, walk)
    parameters = {"ROWS": rows, "HAS_BOUND": bound, "HAS_BOUND_BUFFER": buffer, "DATA_W": data_w}
    parameters |= {"BOUND_WALK": walk, "BOUND_PACK_W": pack_w, "TOKEN_W": layout.bits}
    cells = ["fitact_sequencer.v", "fitact_bound_walk.v"]
    assert run_cell("fitact_sequencer", __name__, sources=cells, parameters=parameters) == 3
