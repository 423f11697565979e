"""Range check of parameters: what passes, becomes zero, is counted; proofs, and cocotb against the golden model."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead.formal import prove, prove_from_reset
from fitact_hw.verilog import generate
from golden.bounds.schemes import ParameterCheck
from golden.parameter_check import limits
from tests.generator.machines import SMALL
from tests.rtl_cells.cell_runner import run_cell
from tests.rtl_cells.test_proofs import RESET, cells


def signed(word: int, bits: int) -> int:
    """Two's complement."""
    return word - (1 << bits) if word >> bits - 1 else word


@cocotb.test()
async def zeroes_what_the_golden_model_zeroes(dut: Any) -> None:
    """Words at both edges of a limit, at the ends of the range, and random ones, in every lane."""
    lanes, bits, slot, width, exact = (
        int(getattr(dut, name).value) for name in ("LANES", "LANE_W", "SLOT_W", "LIMIT_W", "EXACT")
    )
    check, top = ParameterCheck("any", "any", bool(exact)), 1 << bits - 1
    met: set[bool] = set()
    for _ in range(600):
        largest = min(top, random.choice([0, 1, top - 1, top, random.getrandbits(bits - 1) >> random.randrange(bits)]))
        least, most = limits(np.array([-largest]), check)
        edges = [0, 1, -1, top - 1, -top, most, most + 1, least, least - 1]
        words = [random.choice([*edges, signed(random.getrandbits(bits), bits)]) for _ in range(lanes)]
        words = [min(max(word, -top), top - 1) for word in words]
        above = [random.getrandbits(slot - bits) if slot > bits else 0 for _ in range(lanes)]
        raw = [high << bits | word % (1 << bits) for high, word in zip(above, words, strict=True)]
        dut.data.value = sum(value << slot * lane for lane, value in enumerate(raw))
        dut.limit.value = min(largest if exact else largest.bit_length(), (1 << width) - 1)
        await Timer(1, "ns")
        found, beyond = int(dut.checked.value), int(dut.beyond.value)
        for lane, word in enumerate(words):
            out = not least <= word <= most
            met.add(out)
            expected = above[lane] << bits if out else raw[lane]
            assert found >> slot * lane & (1 << slot) - 1 == expected, (word, largest)
            assert beyond >> lane & 1 == out, (word, largest)
    assert met == {False, True}


@pytest.mark.parametrize(
    "parameters",
    [
        {"LANES": 4, "LANE_W": 8, "SLOT_W": 8, "LIMIT_W": 6, "EXACT": 0},
        {"LANES": 2, "LANE_W": 64, "SLOT_W": 70, "LIMIT_W": 6, "EXACT": 0},
        {"LANES": 2, "LANE_W": 8, "SLOT_W": 8, "LIMIT_W": 32, "EXACT": 1},
        {"LANES": 2, "LANE_W": 32, "SLOT_W": 38, "LIMIT_W": 32, "EXACT": 1},
    ],
    ids=lambda values: f"{values['LANE_W']}-{'word' if values['EXACT'] else 'bits'}",
)
def test_range_check(parameters: dict[str, int]) -> None:
    name = "zeroes_what_the_golden_model_zeroes"
    assert run_cell("fitact_range_check", __name__, parameters=parameters, testcase=name) == 1


@cocotb.test()
async def counts_every_hit(dut: Any) -> None:
    """Random hits up to the largest value, which stays; a start clears it."""
    lanes, bits = int(dut.LANES.value), int(dut.COUNT_W.value)
    Clock(dut.clk, 10, "ns").start()
    dut.rst_n.value, dut.clear.value, dut.beyond.value = 0, 0, 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    full = 0
    for _ in range(6):
        expected = 0
        for _ in range(60):
            hits = random.getrandbits(lanes) if random.random() < 0.5 else 0
            dut.beyond.value = hits
            await FallingEdge(dut.clk)
            assert int(dut.count.value) == min(expected, (1 << bits) - 1)
            expected += hits.bit_count()
        full += expected >= 1 << bits
        dut.beyond.value, dut.clear.value = (1 << lanes) - 1, 1
        await FallingEdge(dut.clk)
        dut.beyond.value, dut.clear.value = 0, 0
        assert int(dut.count.value) == 0
        await FallingEdge(dut.clk)
        assert int(dut.count.value) == 0
    assert full


def test_range_count() -> None:
    parameters = {"LANES": 4, "COUNT_W": 6}
    assert run_cell("fitact_range_count", __name__, parameters=parameters, testcase="counts_every_hit") == 1


CHECK = """
module bench(input wire [{limit}-1:0] limit, input wire [{slot}-1:0] data);
    wire [{slot}-1:0] checked;
    wire beyond;
    fitact_range_check #(.LANES(1), .LANE_W({lane}), .SLOT_W({slot}), .LIMIT_W({limit}), .EXACT({exact})) u_check (
        .limit(limit), .data(data), .checked(checked), .beyond(beyond));
    wire signed [{wide}-1:0] word = {{{{({wide} - {lane}){{data[{lane}-1]}}}}, data[{lane}-1:0]}};
    wire signed [{wide}-1:0] after = {{{{({wide} - {lane}){{checked[{lane}-1]}}}}, checked[{lane}-1:0]}};
    wire signed [{wide}-1:0] most = {most};
    wire signed [{wide}-1:0] least = {least};
    wire within = word >= least && word <= most;
    always @* begin
        assert (!within || (checked == data && !beyond));
        assert (within || (after == 0 && beyond));
        assert (after >= least && after <= most);
        assert ((checked >> {lane}) == (data >> {lane}));
    end
endmodule
"""


def check_bench(lane: int, slot: int, limit: int, exact: bool) -> str:
    """In-range words pass unchanged, all others become zero, whatever the limit; what lies above the lane passes."""
    wide = max(lane, limit if exact else 1 << limit) + 2
    most = f"{{{{({wide} - {limit}){{1'b0}}}}, limit}}" if exact else f"({wide}'sd1 <<< limit) - {wide}'sd1"
    least = "-most" if exact else "-most - 1"
    return CHECK.format(lane=lane, slot=slot, limit=limit, exact=int(exact), wide=wide, most=most, least=least)


SIZES = [
    (8, 8, 4, False),
    (16, 22, 5, False),
    (32, 32, 6, False),
    (8, 8, 8, True),
    (8, 8, 12, True),
    (16, 22, 16, True),
]


@pytest.mark.parametrize(("lane", "slot", "limit", "exact"), SIZES)
def test_words_in_range_pass_and_no_other(lane: int, slot: int, limit: int, exact: bool) -> None:
    assert prove(cells("fitact_range_check"), check_bench(lane, slot, limit, exact), 0)


@pytest.mark.parametrize(
    ("old", "new", "size"),
    [
        ("{limit, 1'b0}", "{limit, 1'b1}", SIZES[3]),
        ("magnitude, negative}", "magnitude, 1'b0}", SIZES[3]),
        ("|(magnitude & above)", "^(magnitude & above)", SIZES[0]),
        ("<< limit", "<< limit << 1", SIZES[0]),
        ("{(LANE_W - 1){negative}}", "{(LANE_W - 1){1'b0}}", SIZES[0]),
        ("data[c*SLOT_W + LANE_W +: SLOT_W - LANE_W];", "{(SLOT_W - LANE_W){1'b0}};", SIZES[1]),
        ("{LANE_W{!beyond[c]}}", "{LANE_W{1'b1}}", SIZES[0]),
    ],
)
def test_a_wrong_check_is_refuted(old: str, new: str, size: tuple[int, int, int, bool]) -> None:
    assert not prove(cells("fitact_range_check", old=old, new=new), check_bench(*size), 0)


COUNT = f"""
module bench(input wire clk, input wire clear, input wire [2:0] beyond);
{RESET}
    wire [2:0] count;
    fitact_range_count #(.LANES(3), .COUNT_W(3)) u_count (
        .clk(clk), .rst_n(up), .clear(clear), .beyond(beyond), .count(count));
    reg [6:0] all, seen;  // hits so far, and those that have had their cycle to be counted
    always @(posedge clk) begin
        all <= !up || clear ? 0 : all + beyond[0] + beyond[1] + beyond[2];
        seen <= !up || clear ? 0 : all;
    end
    always @* if (up) assert (count == (seen > 7 ? 7 : seen));
endmodule
"""


def test_the_counter_counts_hits_exactly_and_stays_full() -> None:
    assert prove_from_reset(cells("fitact_range_count"), COUNT, 12)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sum[COUNT_W] ? {COUNT_W{1'b1}} : ", ""),
        ("sum[COUNT_W] ?", "&sum[COUNT_W-1:0] ?"),
        ("i < LANES", "i < LANES - 1"),
        ("!rst_n || clear", "!rst_n"),
        ("beyond_q <= beyond;", "beyond_q <= beyond | beyond_q;"),
    ],
)
def test_a_wrong_counter_is_refuted(old: str, new: str) -> None:
    assert not prove_from_reset(cells("fitact_range_count", old=old, new=new), COUNT, 12)


SRAM = """
module fitact_sram #(parameter WIDTH = 8, parameter DEPTH = 16, parameter ADDR_W = 4) (
    input wire clk, input wire wr_en, input wire [ADDR_W-1:0] wr_addr, input wire [WIDTH-1:0] wr_data,
    input wire rd_en, input wire [ADDR_W-1:0] rd_addr, output wire [WIDTH-1:0] rd_data);
    assign rd_data = wr_data;
endmodule
"""
"""Shows at the read ports what the buffers would be given."""

BUFFERS = """
module bench(input wire clk, input wire [3:0] wr_en, input wire [{memory}-1:0] data, input wire [{limit}-1:0] limit);
    wire [{words}-1:0] act, wgt, bound;
    wire [{biases}-1:0] bias;
    wire [{side}-1:0] beyond;
    fitact_buffers u_buffers (.clk(clk), .load_wr_en(wr_en), .load_wr_addr(16'd0), .load_wr_data(data),
        .load_limit(limit), .load_beyond(beyond), .act_rd_data(act), .wgt_rd_data(wgt), .bias_rd_data(bias),
        .bound_rd_data(bound));
    function fits(input signed [{acc}:0] word);
        fits = {fits};
    endfunction
    always @* assert (act == data[{words}-1:0]);
    genvar c;
    generate
        for (c = 0; c < {side}; c = c + 1) begin : g_lane
            wire signed [{acc}:0] word = $signed(data[c*{bits} +: {bits}]);
            wire signed [{acc}:0] sum = $signed(data[c*{slot} +: {acc}]);
            wire signed [{acc}:0] weight = $signed(wgt[c*{bits} +: {bits}]);
            wire signed [{acc}:0] edge_ = $signed(bound[c*{bits} +: {bits}]);
            wire signed [{acc}:0] added = $signed(bias[c*{lane} +: {acc}]);
            always @* begin
                assert (fits(weight) && fits(edge_) && fits(added));
                assert (weight == (fits(word) ? word : 0));
                assert (edge_ == (fits(word) ? word : 0));
                assert (added == (fits(sum) ? sum : 0));
                assert (bias[c*{lane} + {acc} +: 6] == data[c*{slot} + {acc} +: 6]);
                assert (beyond[c] == ((wr_en[1] || wr_en[3]) && !fits(word) || wr_en[2] && !fits(sum)));
            end
        end
    endgenerate
endmodule
"""
"""No larger word reaches a buffer of parameters, every other one does, activations and shifts pass, hits are right."""


def buffers(check: str) -> tuple[dict[str, str], str]:
    """The buffers of a small machine with transparent memories, and the bench."""
    config = AcceleratorConfig.create(**{**SMALL.model_dump(), "rows": 2, "cols": 2, "parameter_check": check})
    files = {**cells("fitact_range_check"), "fitact_sram.v": SRAM}
    files["fitact_buffers.v"] = generate(config)["fitact_buffers.v"]
    fits = "word <= $signed({1'b0, limit}) && -word <= $signed({1'b0, limit})"
    if check == "bitcheck":
        fits = "(word >>> limit) == 0 || (word >>> limit) == -1"
    slot = 8 * config.bias_lane_bytes
    bench = BUFFERS.format(
        side=config.side, bits=config.word_bits, acc=config.acc_bits, lane=config.bias_lane_bits, slot=slot,
        words=config.lane_word_bits, biases=config.side * config.bias_lane_bits, memory=8 * config.bias_word_bytes,
        limit=config.limit_bits, fits=fits,
    )  # fmt: skip
    return files, bench


@pytest.mark.parametrize("check", ["check", "bitcheck"])
def test_no_larger_word_reaches_a_buffer(check: str) -> None:
    assert prove(*buffers(check), 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".wr_data (bias_checked)", ".wr_data (bias_wr_data)"),
        (".LANE_W  (ACC_W)", ".LANE_W  (BIAS_LANE_W)"),
        ("load_wr_en[WEIGHT] || load_wr_en[BOUND]", "load_wr_en[WEIGHT]"),
        ("& bias_beyond", "& word_beyond"),
    ],
)
def test_buffers_that_are_not_checked_are_refuted(old: str, new: str) -> None:
    files, bench = buffers("bitcheck")
    assert files["fitact_buffers.v"].count(old) == 1
    files["fitact_buffers.v"] = files["fitact_buffers.v"].replace(old, new)
    assert not prove(files, bench, 0)
