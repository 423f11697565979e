"""Proofs with Yosys alone: properties of the lanes for all inputs, and mapped netlists equal to their RTL."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitact_hw.isa import ActMode
from fitact_hw.overhead.jobs import SynthesisError, run_job
from fitact_hw.overhead.mapping import map_job
from fitact_hw.overhead.technology import Technology
from fitact_hw.overhead.worker import BLOCK

LANE_STAGES = 4
"""Register stages of a lane.

There is no feedback, so a proof over a few more steps from any state holds for all time.
"""

LIMIT_S = 120

_PORTS = (
    (1, "clk"),
    (2, "acc_op"),
    ("SHIFT_W", "lshift"),
    ("ACC_W", "psum"),
    ("ACC_W", "acc_data"),
    ("ACC_W", "bias"),
    ("SHIFT_W", "shift"),
)


@dataclass(frozen=True)
class LaneSize:
    """Widths of a lane (bits)."""

    data: int = 8
    acc: int = 32
    shift: int = 6


def _bench(size: LaneSize, inputs: str, body: str) -> str:
    """A module ``bench`` with the common inputs of a lane, its own inputs and a body."""
    widths = {"ACC_W": size.acc, "SHIFT_W": size.shift, "DATA_W": size.data}
    ports = [f"input wire [{widths.get(str(width), width)}-1:0] {name}" for width, name in _PORTS]
    return "\n".join(
        [
            "module bench(" + ", ".join([*ports, inputs]) + ");",
            f"    localparam [{size.data}-1:0] TOP = {{1'b0, {{{size.data - 1}{{1'b1}}}}}};",
            body,
            "endmodule",
            "",
        ]
    )


def _lane(name: str, size: LaneSize, mode: ActMode, bounded: bool, bound: str, activate: str) -> str:
    common = ", ".join(f".{port}({port})" for _, port in _PORTS)
    return (
        f"    wire [{size.data}-1:0] {name};\n"
        f"    fitact_lane_mode #(.DATA_W({size.data}), .ACC_W({size.acc}), .SHIFT_W({size.shift}), "
        f".HAS_BOUND({int(bounded)}), .MODE({int(mode)})) u_{name} "
        f"({common}, .bound({bound}), .activate({activate}), .out_q({name}));"
    )


def bench_relu(size: LaneSize, mode: ActMode) -> str:
    """With the bound at its maximum, a bounded lane is the plain ReLU lane.

    Saturation is identical for every value. Clipping is identical for every value that fits: where plain ReLU
    saturates (its output is the maximum) the clipped lane gives the maximum or zero, elsewhere the same.
    """
    same = "bounded == plain"
    if mode is ActMode.CLIP:
        same = f"({same}) || (plain == TOP && bounded == 0)"
    body = "\n".join(
        [
            _lane("bounded", size, mode, True, "TOP", "1'b1"),
            _lane("plain", size, ActMode.RELU, False, "TOP", "1'b1"),
            f"    always @* assert ({same});",
        ]
    )
    return _bench(size, "input wire unused", body)


def bench_bound(size: LaneSize, mode: ActMode) -> str:
    """No activated output is negative or exceeds its bound, for every bound that is not negative."""
    body = "\n".join(
        [
            _lane("limited", size, mode, True, "bound", "activate"),
            f"    reg [{size.data}-1:0] bound_a2, bound_a3;",
            "    reg activate_a3;",
            "    always @(posedge clk) bound_a2 <= bound;",
            "    always @(posedge clk) bound_a3 <= bound_a2;",
            "    always @(posedge clk) activate_a3 <= activate;",
            f"    wire usable = activate_a3 && !bound_a3[{size.data - 1}];",
            f"    always @* assert (!usable || (!limited[{size.data - 1}] && limited <= bound_a3));",
        ]
    )
    return _bench(size, f"input wire [{size.data}-1:0] bound, input wire activate", body)


def prove(files: Mapping[str, str], bench: str, stages: int = LANE_STAGES) -> bool:
    """Whether the assertions of ``bench`` hold for all inputs.

    ``stages``: register stages between inputs and assertions, without feedback; 0 for combinational benches.
    Raises SynthesisError if there is no answer in time.
    """
    return _proved(files, bench, f"-seq {stages + 2} -prove-skip {stages}" if stages else "")


def prove_from_reset(files: Mapping[str, str], bench: str, cycles: int) -> bool:
    """Whether the assertions of ``bench`` hold for all inputs in the first ``cycles`` clock cycles.

    Registers start with their initial values, all others with any value. Assumptions of the bench hold. Raises
    SynthesisError if there is no answer in time.
    """
    return _proved(files, bench, f"-seq {cycles} -set-init-def -set-assumes")


def _proved(files: Mapping[str, str], bench: str, options: str) -> bool:
    commands = [
        *(f"read_verilog -formal {name}" for name in (*sorted(files), "bench.v")),
        "hierarchy -check -top bench",
        "prep -flatten -top bench",
        "memory_map",
        "chformal -lower",
        "opt -full",
        "select -assert-min 1 t:$assert",
        f"sat {options} -prove-asserts -set-def-inputs -timeout {LIMIT_S} bench",
    ]
    answer = run_job({"action": "script", "commands": commands, "top": "bench"}, {**files, "bench.v": bench})
    text = answer["outputs"][-1]
    if "no model found: SUCCESS!" in text:
        return True
    if "model found: FAIL!" in text:
        return False
    raise SynthesisError(f"the proof gave no answer within {LIMIT_S} s")


@dataclass(frozen=True)
class Equivalence:
    """Comparison of RTL and mapped netlist: points compared, of them proved equal."""

    points: int
    proved: int

    @property
    def equal(self) -> bool:
        """Every point proved, and there was something to prove."""
        return self.points > 0 and self.proved == self.points


def mapped_verilog(rtlil: str, technology: Technology) -> str:
    """Gate-level Verilog of a block (RTLIL text with the module `BLOCK`), as the area flow maps it."""
    with tempfile.TemporaryDirectory(prefix="fitact-formal-") as name:
        path = Path(name) / "mapped.v"
        job = map_job(technology, ["plain"], files=["block.il"], verilog=str(path))
        run_job(job, {"block.il": rtlil})
        return path.read_text()


def equivalence(rtlil: str, netlist: str, technology: Technology) -> Equivalence:
    """Prove register by register and output by output that ``netlist`` does what ``rtlil`` says."""
    liberty = [f'read_liberty -ignore_miss_func -overwrite "{path}"' for path in technology.files]
    commands = [
        "read_rtlil block.il",
        f"prep -flatten -top {BLOCK}",
        f"rename {BLOCK} gold",
        "design -stash gold",
        *liberty,
        "read_verilog mapped.v",
        f"prep -flatten -top {BLOCK}",
        f"rename {BLOCK} gate",
        "design -stash gate",
        "design -copy-from gold -as gold gold",
        "design -copy-from gate -as gate gate",
        "async2sync",
        "opt_clean",
        "equiv_make gold gate equiv",
        "hierarchy -top equiv",
        "equiv_simple -short",
        "equiv_induct",
        "equiv_status",
    ]
    job = {"action": "script", "commands": commands, "top": BLOCK}
    return _status(run_job(job, {"block.il": rtlil, "mapped.v": netlist}))


def _status(answer: dict[str, Any]) -> Equivalence:
    text = answer["outputs"][-1]
    total = re.search(r"Found (\d+) \$equiv cells in", text)
    proved = re.search(r"Of those cells (\d+) are proven", text)
    if not total or not proved:
        raise SynthesisError("equiv_status printed no counts")
    return Equivalence(int(total.group(1)), int(proved.group(1)))
