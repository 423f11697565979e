"""The clamps as a sensor: counter and first place against a model; proofs that a hit is a clamp and changes no data."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from fitact_hw.overhead.formal import prove, prove_from_reset
from tests.rtl_cells.cell_runner import RTL, run_cell

CELLS = ["fitact_alarm.v", "fitact_saturating_counter.v"]


@dataclass
class Model:
    """What the alarm's registers show, and the two stages before its counter."""

    hits: int = 0
    retire: int = 0
    tally: int = 0
    count: int = 0
    number: int = 0
    first: tuple[int, int] | None = None
    reached: bool = False
    alarms: int = 0

    def step(self, hits: int, retire: int, threshold: int) -> None:
        """One rising edge with these inputs (``hits`` of the word that is written)."""
        reached = bool(threshold) and self.count >= threshold
        self.alarms += reached and not self.reached
        self.reached = reached
        self.count = min(self.count + self.tally, (1 << 32) - 1)
        self.tally = self.hits.bit_count()
        if self.hits and self.first is None:
            self.first = self.number, (self.hits & -self.hits).bit_length() - 1
        self.number = (self.number + self.retire) % (1 << 24)
        self.hits, self.retire = hits, retire


@cocotb.test()
async def alarm_random(dut: Any) -> None:
    """Programs of random words: every register after every cycle, also when cleared and when the counter is full."""
    lanes = int(dut.LANES.value)
    Clock(dut.clk, 2, unit="ns").start()
    dut.rst_n.value = 0
    for name in ("clear", "hits", "valid", "retire", "threshold"):
        getattr(dut, name).value = 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    model, raised, clears, full = Model(), 0, 0, 0
    for step in range(6000):
        density = random.choice((0.0, 0.02, 0.5))
        hits = sum(1 << lane for lane in range(lanes) if random.random() < density)
        valid, retire, clear = (int(random.random() < chance) for chance in (0.6, 0.2, 0.004))
        if step % 500 == 0:
            threshold = random.choice((0, 1, 7, 40, (1 << 32) - 1))
        if step % 900 == 899:  # as an upset of the counter would
            dut.u_count.count_q.value = model.count = (1 << 32) - random.randint(1, 2 * lanes)
        dut.hits.value, dut.valid.value, dut.retire.value = hits, valid, retire
        dut.clear.value, dut.threshold.value = clear, threshold
        await FallingEdge(dut.clk)
        if clear:
            model, raised, clears = Model(), 0, clears + 1
        else:
            model.step(hits if valid else 0, retire, threshold)
        full += model.count == (1 << 32) - 1
        raised += int(dut.alarm_set.value)
        assert int(dut.count.value) == model.count
        assert (int(dut.first_number.value), int(dut.first_lane.value)) == (model.first or (0, 0))
        assert int(dut.clamped_set.value) == bool(model.hits)
        assert int(dut.alarm_set.value) == (bool(threshold) and model.count >= threshold and not model.reached)
    assert clears > 10
    assert full > 100


@pytest.mark.parametrize("lanes", [2, 5, 16])
def test_alarm_counts_and_keeps_the_first_place(lanes: int) -> None:
    parameters = {"LANES": lanes, "TALLY_W": lanes.bit_length()}
    assert run_cell("fitact_alarm", __name__, sources=CELLS, parameters=parameters, testcase="alarm_random") == 1


CLAMP = """
module bench(input wire clk, input wire [{acc_top}:0] value, input wire [3:0] bound, input wire [1:0] mode);
    wire [3:0] seen, plain;
    wire hit, none;
    fitact_clamp #(.DATA_W(4), .ACC_W({acc}), .HAS_ALARM(1), .MARGIN({margin})) u_seen (.clk(clk), .value(value),
        .bound(bound), .act_mode(mode), .out_q(seen), .hit(hit));
    fitact_clamp #(.DATA_W(4), .ACC_W({acc})) u_plain (.clk(clk), .value(value), .bound(bound), .act_mode(mode),
        .out_q(plain), .hit(none));
    reg signed [31:0] limit, wide;
    reg bounded;
    reg [3:0] bound_was;
    always @(posedge clk) begin
        bound_was <= bound;
        limit <= $signed(bound_was);
        wide <= $signed(value);
        bounded <= mode >= 2;
    end
    always @* begin
        assert (seen == plain);                                        // it changes no data
        assert (!none);
        assert (hit == (bounded && wide >= (limit + 1) * {step}));     // the bound acts, and by the margin
    end
endmodule
"""


def clamp(old: str = "", new: str = "") -> dict[str, str]:
    text = (RTL / "fitact_clamp.v").read_text()
    codes = (RTL / "fitact_codes.vh").read_text()
    assert text.count(old) == 1 or not old, "the cell was rewritten: plant the bug in its new text"
    return {"fitact_clamp.v": text.replace('`include "fitact_codes.vh"', codes).replace(old or "//", new or "//")}


@pytest.mark.parametrize(("acc", "margin"), [(8, 0), (8, 1), (10, 3)])
def test_a_lane_reports_a_hit_exactly_when_it_clamps(acc: int, margin: int) -> None:
    bench = CLAMP.format(acc=acc, acc_top=acc - 1, margin=margin, step=1 << margin)
    assert prove(clamp(), bench, 2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("act_mode[1] && reduced > bound_wide", "reduced > bound_wide"),
        ("reduced > bound_wide", "reduced >= bound_wide"),
        ("value >>> MARGIN", "value >> MARGIN"),
        ("value > bound_wide", "value > bound_wide + hit"),
    ],
)
def test_a_wrong_hit_is_refuted(old: str, new: str) -> None:
    assert not prove(clamp(old, new), CLAMP.format(acc=8, acc_top=7, margin=1, step=2), 2)


COUNTER = """
module bench(input wire clk, input wire clear, input wire [1:0] step);
    reg up = 0;
    always @(posedge clk) up <= 1;
    wire [2:0] count;
    fitact_saturating_counter #(.COUNT_W(3), .STEP_W(2)) u_counter (.clk(clk), .rst_n(up), .clear(clear), .step(step),
        .count(count));
    reg [7:0] all;  // what was asked for
    always @(posedge clk) all <= !up || clear ? 0 : all + step;
    always @* if (up) assert (count == (all > 7 ? 7 : all));
endmodule
"""

ALARM = """
module bench(input wire clk, input wire clear, input wire [2:0] hits, input wire valid, input wire retire,
             input wire [31:0] threshold);
    reg up = 0;
    always @(posedge clk) up <= 1;
    wire clamped, alarm;
    wire [31:0] count;
    wire [3:0] number;
    wire [1:0] lane;
    fitact_alarm #(.LANES(3), .TALLY_W(2), .NUMBER_W(4), .LANE_W(2)) u_alarm (.clk(clk), .rst_n(up), .clear(clear),
        .hits(hits), .valid(valid), .retire(retire), .threshold(threshold), .clamped_set(clamped), .alarm_set(alarm),
        .count(count), .first_number(number), .first_lane(lane));
    reg was, had;
    reg [3:0] ended, where;
    reg [1:0] which;
    reg [4:0] one, two, three;  // hits so far, as the stages see them
    always @(posedge clk) begin
        was <= up && !clear && valid && |hits;
        had <= up && !clear && (had || (valid && |hits));
        ended <= !up || clear ? 0 : ended + retire;
        if (!up || clear) begin where <= 0; which <= 0; end
        else if (!had && valid && |hits) begin where <= ended; which <= hits[0] ? 0 : hits[1] ? 1 : 2; end
        one <= !up || clear ? 0 : one + (valid ? hits[0] + hits[1] + hits[2] : 0);
        two <= !up || clear ? 0 : one;
        three <= !up || clear ? 0 : two;
    end
    reg [3:0] where_now;
    reg [1:0] which_now;
    always @(posedge clk) begin
        where_now <= !up || clear ? 0 : where;
        which_now <= !up || clear ? 0 : which;
    end
    always @* if (up) begin
        assert (clamped == was);       // the flag rises exactly when a lane clamps
        assert (count == three);
        assert (number == where_now && lane == which_now);
        assert (!alarm || (threshold != 0 && count >= threshold));
    end
endmodule
"""


def alarm(old: str = "", new: str = "") -> dict[str, str]:
    files = {name: (RTL / name).read_text() for name in CELLS}
    for name in files:
        if old in files[name]:
            files[name] = files[name].replace(old, new) if old else files[name]
    return files


def test_the_counter_stays_at_its_largest_value() -> None:
    assert prove_from_reset(alarm(), COUNTER, 10)
    assert not prove_from_reset(alarm("sum[COUNT_W] ?", "1'b0 ?"), COUNTER, 10)


def test_the_flag_rises_exactly_when_a_lane_clamps() -> None:
    assert prove_from_reset(alarm(), ALARM, 9)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("valid ? hits : {LANES{1'b0}}", "hits"),
        ("any && !seen_q", "any"),
        ("if (retire_q) number_q", "if (retire) number_q"),
        ("if (hits_q[i]) lane", "if (!hits_q[i]) lane"),
        ("|threshold && count >= threshold", "count >= threshold"),
    ],
)
def test_a_wrong_alarm_is_refuted(old: str, new: str) -> None:
    assert old in alarm()["fitact_alarm.v"], "the cell was rewritten: plant the bug in its new text"
    assert not prove_from_reset(alarm(old, new), ALARM, 9)
