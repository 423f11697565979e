"""The program side of the top: fetch, decoder, queues and the tokens between the units."""

from __future__ import annotations

from fitact_hw.config import AXI_ADDR_BITS
from fitact_hw.verilog.dispatch import UNITS, Unit
from fitact_hw.verilog.module import Module, same

READ_CHANNEL: tuple[tuple[str, int | str | None], ...] = (
    ("arvalid", None),
    ("araddr", AXI_ADDR_BITS),
    ("arlen", 8),
    ("arsize", 3),
    ("arburst", 2),
    ("rready", None),
    ("arready", None),
    ("rvalid", None),
    ("rdata", "BUS_BITS"),
    ("rresp", 2),
    ("rlast", None),
)
"""Signals of a read master without id, and their widths."""

CLOCK = same("clk", "rst_n", "clear")
WINDOW = same("window_base", "window_last")
INSTRUCTION = same("instr_valid", "instr_ready", "instr_data")

TOKENS = (
    ("load_to_compute", "load_push_next", "compute_take_prev"),
    ("compute_to_load", "compute_push_prev", "load_take_next"),
    ("compute_to_store", "compute_push_next", "store_take_prev"),
    ("store_to_compute", "store_push_prev", "compute_take_next"),
)
"""Token counters: name, who pushes, who pops."""

_SOURCE = {tuple(pop.split("_take_")): name for name, _, pop in TOKENS}  # (unit, side) -> counter


def fetch(m: Module) -> None:
    """Add the fetch unit, the arbiter of the read channel and the decoder."""
    m.section("Program: fetch and load share the read channel; the decoder sends instructions to the queues.")
    for master in ("fetch", "load"):
        for name, bits in READ_CHANNEL:
            m.wire(f"{master}_{name}", bits)
    m.wire("instr_valid")
    m.wire("instr_ready")
    m.wire("instr_data", "INSTR_BITS")
    for unit in UNITS:
        m.wire(f"{unit.name}_entry_valid")
        m.wire(f"{unit.name}_entry_ready")
        m.wire(f"{unit.name}_entry_data", f"{unit.name.upper()}_BITS")
    channel = [name for name, _ in READ_CHANNEL]
    m.instance(
        "fitact_fetch",
        "u_fetch",
        same("BUS_BITS", "INSTR_BITS", "OPCODE_W", "FINISH_OPCODE"),
        {
            **CLOCK,
            "halt": "halt",
            "start": "start_fetch",
            "program_address": "program_address",
            **WINDOW,
            **{name: f"fetch_{name}" for name in channel},
            **INSTRUCTION,
            "address_error": "fetch_address_error",
            "bus_error": "fetch_bus_error",
            "busy": "fetch_busy",
        },
    )
    shared = ("arid", "araddr", "arlen", "arsize", "arburst", "arvalid", "arready")
    answers = ("rid", "rdata", "rresp", "rlast", "rvalid", "rready")
    m.instance("fitact_read_arbiter", "u_arbiter", same("BUS_BITS"), {
        **same("clk", "rst_n"),
        **same(*(f"{master}_{name}" for master in ("fetch", "load") for name in channel)),
        **same(*(f"m_axi_{name}" for name in (*shared, *answers))),
    })  # fmt: skip
    entries = [f"{unit.name}_{part}" for unit in UNITS for part in ("valid", "ready", "data")]
    m.instance(
        "fitact_decode",
        "u_decode",
        same("INSTR_BITS", *(f"{unit.name.upper()}_BITS" for unit in UNITS)),
        {
            "halt": "halt",
            **INSTRUCTION,
            **{name: name.replace("_", "_entry_", 1) for name in entries},
            **same("dispatched", "finish", "illegal_instruction"),
        },
    )
    m.section("Ordinary, not locked, bufferable memory, data access.")
    for channel_name in ("aw", "ar"):
        m.assign(f"m_axi_{channel_name}lock", "1'b0")
        m.assign(f"m_axi_{channel_name}cache", "4'b0011")
        m.assign(f"m_axi_{channel_name}prot", "3'b000")


def unit_queue(m: Module, unit: Unit) -> None:
    """Add the queue of ``unit`` and the nets of its instruction."""
    name = unit.name
    m.section(f"Queue of the {name} unit and its instruction, field by field.")
    m.wire(f"{name}_waiting")
    m.wire(f"{name}_instr_valid")
    m.wire(f"{name}_instr_ready")
    for field in unit.outputs:
        m.wire(f"{name}_instr_{field.name}", field.bits if field.bits > 1 else None)
    tokens = {}
    for side in unit.neighbours:
        tokens[f"{side}_available"] = f"{_SOURCE[name, side]}_available"
        tokens[f"take_{side}"] = f"{name}_take_{side}"
    m.instance(
        f"fitact_{name}_queue",
        f"u_{name}_queue",
        {"DEPTH": "QUEUE_DEPTH", "ENTRY_BITS": f"{name.upper()}_BITS"},
        {
            **CLOCK,
            "halt": "halt",
            "entry_valid": f"{name}_entry_valid",
            "entry_ready": f"{name}_entry_ready",
            "entry_data": f"{name}_entry_data",
            "waiting": f"{name}_waiting",
            **tokens,
            **instruction(unit),
        },
    )


def instruction(unit: Unit) -> dict[str, str]:
    """Connections of an instruction's fields, the same at the queue and at the unit."""
    return {
        "instr_valid": f"{unit.name}_instr_valid",
        "instr_ready": f"{unit.name}_instr_ready",
        **{f"instr_{field.name}": f"{unit.name}_instr_{field.name}" for field in unit.outputs},
    }


def token_counters(m: Module) -> None:
    """Add the four counters of tokens between the three units."""
    m.section("Tokens between neighbouring units.")
    for _, push, pop in TOKENS:
        m.wire(push)
        m.wire(pop)
    for name, _, _ in TOKENS:
        m.wire(f"{name}_available")
        m.wire(f"{name}_overflow")
    for name, push, pop in TOKENS:
        m.instance("fitact_token", f"u_{name}", {"COUNT_W": "TOKEN_COUNT_W"}, {
            **CLOCK,
            "push": push,
            "pop": pop,
            "available": f"{name}_available",
            "overflow": f"{name}_overflow",
        })  # fmt: skip
    m.assign("token_overflow", " || ".join(f"{name}_overflow" for name, _, _ in TOKENS))
