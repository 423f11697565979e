"""Adds the range check of parameters: lanes in the buffers, limits and counter in the top.

The limit of a LOAD waits beside the load unit, from which it needs no more than what it says anyway: when it takes an
instruction and when it writes the last word of one. So the unit is the same cell in every machine.
"""

from __future__ import annotations

from fitact_hw.config import AcceleratorConfig, RangeCheck
from fitact_hw.csr import REGISTERS
from fitact_hw.isa import LIMIT, Buffer
from fitact_hw.verilog.module import Module, same

LOADS = 6
"""LOADs between the load unit's acceptance and their last write: four wait, one is written, one stands in the output
register (`DESC_DEPTH` of `fitact_load`, and two)."""

_PORTS = {Buffer.WEIGHT: "word", Buffer.BOUND: "word", Buffer.BIAS: "bias"}
"""Which check a buffer's words pass."""


def checked(config: AcceleratorConfig, buffer: Buffer, source: str) -> str:
    """The net that ``buffer`` is written from, if ``source`` is the one without a check."""
    return f"{_PORTS[buffer]}_checked" if config.limit_bits and buffer in _PORTS else source


def buffer_ports(m: Module, config: AcceleratorConfig) -> None:
    """Declare what ``fitact_buffers`` needs for the check."""
    if not config.limit_bits:
        return
    m.parameter("LIMIT_W", config.limit_bits, "limit of a LOAD")
    m.port_section("Range check of parameters.")
    m.input("load_limit", "LIMIT_W", "of the LOAD whose word is written")
    m.output("load_beyond", "COLS", "lanes of it that were made zero")


def lanes(m: Module, config: AcceleratorConfig) -> None:
    """Add the checks between the load unit's word and the buffers."""
    if not config.limit_bits:
        return
    exact = str(int(config.parameter_check is RangeCheck.WORD))
    coded = config.bounds.buffered and config.bounds_per_lane > 1
    m.section(
        "Range check: weights and bounds as they lie in memory, biases without their shifts."
        + (" Codes of bounds pass: their LOADs have no limit." if coded else "")
    )
    for name, lane, slot, source in (
        ("word", "DATA_W", "DATA_W", "load_wr_data[COLS*DATA_W-1:0]"),
        ("bias", "ACC_W", "BIAS_LANE_W", "bias_wr_data"),
    ):
        m.wire(f"{name}_checked", f"COLS*{slot}")
        m.wire(f"{name}_beyond", "COLS")
        sizes = {"LANES": "COLS", "LANE_W": lane, "SLOT_W": slot, "LIMIT_W": "LIMIT_W", "EXACT": exact}
        m.instance("fitact_range_check", f"u_{name}_range", sizes, {
            "limit": "load_limit",
            "data": source,
            "checked": f"{name}_checked",
            "beyond": f"{name}_beyond",
        })  # fmt: skip
    words = " || ".join(f"load_wr_en[{b}]" for b in ("WEIGHT", *(("BOUND",) if config.bounds.buffered else ())))
    m.assign("load_beyond", f"({{COLS{{{words}}}}} & word_beyond) | ({{COLS{{load_wr_en[BIAS]}}}} & bias_beyond)")


def top_parts(m: Module, config: AcceleratorConfig) -> None:
    """Add to the top: the limits of the LOADs that are under way, and the counter."""
    if not config.limit_bits:
        return
    m.section("Range check of parameters: limits of the LOADs in the load unit, oldest first, and a counter of hits.")
    m.localparam("LOADS", LOADS, "LOADs that the load unit has taken and not yet written to the end")
    m.wire("load_limit", "LIMIT_W")
    m.wire("load_beyond", "COLS")
    m.wire("limit_ready")
    m.wire("limit_valid")
    m.instance("fitact_fifo", "u_limits", {"WIDTH": "LIMIT_W", "DEPTH": "LOADS"}, {
        **same("clk", "rst_n", "clear"),
        "in_valid": "load_start",
        "in_ready": "limit_ready",
        "in_data": f"load_instr_{LIMIT}",
        "out_valid": "limit_valid",
        "out_ready": "load_retire",
        "out_data": "load_limit",
    })  # fmt: skip
    m.instance("fitact_range_count", "u_range_count", {"LANES": "COLS", "COUNT_W": "RANGE_COUNT_W"}, {
        **same("clk", "rst_n", "clear"),
        "beyond": "load_beyond",
        "count": "range_hits",
    })  # fmt: skip


def buffer_pins(config: AcceleratorConfig) -> dict[str, str]:
    """Connections of :func:`buffer_ports` in the top."""
    return same("load_limit", "load_beyond") if config.limit_bits else {}


def register_pins(m: Module, config: AcceleratorConfig) -> dict[str, str]:
    """Declare the counter's net in the top; connections of the register that only a machine with a check has."""
    if not config.limit_bits:
        return {}
    count, kind = (REGISTERS["RANGE_HITS"].field(name) for name in ("count", "kind"))
    m.section("Range check of parameters.")
    m.localparam("LIMIT_W", config.limit_bits, "limit of a LOAD")
    m.localparam("RANGE_COUNT_W", count.bits)
    m.wire("range_hits", "RANGE_COUNT_W")
    return {
        "range_hits_count": "range_hits",
        "range_hits_kind": f"{kind.bits}'d{kind.value_of(config.parameter_check.value)}",
    }
