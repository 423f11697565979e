"""Proofs for all inputs: promises of lanes and voter, and mapped netlists equal to their RTL."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.isa import ActMode
from fitact_hw.overhead import formal
from fitact_hw.overhead.design import Block, elaborate
from fitact_hw.overhead.formal import LaneSize, bench_bound, bench_relu, prove
from fitact_hw.overhead.schemes import SCHEMES, Scheme
from fitact_hw.overhead.technology import Technology

MODES = [ActMode.CLIP, ActMode.SATURATE]
LANES = [scheme for scheme in SCHEMES if scheme.protection == "none" and scheme.copies == 1]
SMALL = {"DATA_W": 4, "ACC_W": 12, "SHIFT_W": 4}

BUGS = {
    "compares with more than the bound": ("value > bound_wide", "value > bound_wide + 1"),
    "forgets the sign of the bound": ("{(ACC_W - DATA_W){bound_q[DATA_W-1]}}", "{(ACC_W - DATA_W){1'b1}}"),
    "passes the low bits": ("(negative || above) ? {DATA_W{1'b0}} : low", "negative ? {DATA_W{1'b0}} : low"),
    "lets negative values through": ("(negative || above) ? {DATA_W{1'b0}}", "above ? {DATA_W{1'b0}}"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [LaneSize(), LaneSize(32, 64)], ids=["8 bits", "32 bits"])
def test_no_output_exceeds_its_bound(lane_verilog: dict[str, str], mode: ActMode, size: LaneSize) -> None:
    assert prove(lane_verilog, bench_bound(size, mode))


@pytest.mark.parametrize("mode", MODES)
def test_bound_at_maximum_is_plain_relu(lane_verilog: dict[str, str], mode: ActMode) -> None:
    assert prove(lane_verilog, bench_relu(LaneSize(), mode))


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_found(lane_verilog: dict[str, str], bug: str) -> None:
    good, bad = BUGS[bug]
    text = lane_verilog["fitact_clamp.v"]
    assert text.count(good) == 1, "the lane was rewritten: plant the bug in its new text"
    broken = {**lane_verilog, "fitact_clamp.v": text.replace(good, bad)}
    benches = [bench_bound(LaneSize(), ActMode.CLIP), bench_relu(LaneSize(), ActMode.CLIP)]
    assert not all(prove(broken, bench) for bench in benches)


def lane_block(files: dict[str, str], scheme: Scheme, cache: Path) -> Block:
    top = "fitact_lane" if scheme.mode is None else "fitact_lane_mode"
    parameters = {**SMALL, "HAS_BOUND": int(scheme.bounds.value != "none")}
    if scheme.mode is not None:
        parameters["MODE"] = int(scheme.mode)
    return elaborate(files, top, cache, parameters, flatten=True).blocks[0]


@pytest.mark.parametrize("scheme", LANES, ids=lambda scheme: scheme.key)
def test_mapped_lane_is_its_rtl(lane_verilog: dict[str, str], tech: Technology, cache: Path, scheme: Scheme) -> None:
    block = lane_block(lane_verilog, scheme, cache)
    netlist = formal.mapped_verilog(block.rtlil, tech)
    assert tech.nand2_cell in netlist
    result = formal.equivalence(block.rtlil, netlist, tech)
    assert result.points >= SMALL["DATA_W"] + SMALL["ACC_W"], "every output bit is compared"
    assert result.proved == result.points
    assert result.equal


def test_a_wrong_netlist_is_not_proved(lane_verilog: dict[str, str], tech: Technology, cache: Path) -> None:
    block = lane_block(lane_verilog, SCHEMES[3], cache)
    netlist = formal.mapped_verilog(block.rtlil, tech)
    wrong = netlist.replace("c130_xor2_1 ", "c130_xnor2_1 ", 1)
    assert wrong != netlist
    result = formal.equivalence(block.rtlil, wrong, tech)
    assert 0 < result.proved < result.points
    assert not result.equal


def test_voter_outvotes_one_copy(cells_verilog: dict[str, str]) -> None:
    bench = """
module bench(input wire [7:0] good, input wire [7:0] bad, input wire [1:0] which);
    wire [7:0] voted;
    wire differs;
    fitact_voter #(.WIDTH(8)) u_voter (.first(which == 1 ? bad : good), .second(which == 2 ? bad : good),
        .third(which == 3 ? bad : good), .voted(voted), .differs(differs));
    always @* begin
        assert (voted == good);
        assert (differs == (which != 0 && good != bad));
    end
endmodule
"""
    assert prove(cells_verilog, bench, stages=0)
