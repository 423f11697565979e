"""Composes what stands between fetch and the units, from `isa.py`: decoder and a queue for each unit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fitact_hw.config import AcceleratorConfig
from fitact_hw.isa import DOCS, FIELDS, INSTRUCTION_BYTES, LIMIT, ActMode, Buffer, Field, Opcode, offsets
from fitact_hw.verilog.lanes import has_bound, has_bound_buffer
from fitact_hw.verilog.module import Module

OPCODE_BITS = FIELDS[Opcode.FINISH][0].bits
"""Low bits of every instruction."""

COUNTS = {
    Opcode.LOAD: ("cols", "rows", "planes"),
    Opcode.GEMM: ("kernel_rows", "kernel_cols", "channel_tiles", "images", "rows", "cols"),
    Opcode.STORE: ("cols", "rows", "planes"),
}
"""Fields that must not be zero."""


@dataclass(frozen=True)
class Unit:
    """A queue and the unit behind it: ``opcode`` gives the fields, ``neighbours`` the sides with tokens.

    ``limit_bits``: of the last field of a LOAD, which not every machine has.
    """

    name: str
    opcode: Opcode
    neighbours: tuple[str, ...]
    limit_bits: int = 0

    @property
    def entry_bits(self) -> int:
        """Bits of a queue entry: the instruction without opcode, for compute with `is_sync` below (bits)."""
        return sum(field.bits for field in self.fields)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of the entry from bit 0 upwards."""
        sync = (Field("is_sync", 1, "SYNC instead of GEMM"),) if self.opcode is Opcode.GEMM else ()
        fields = (replace(f, bits=self.limit_bits) if f.name == LIMIT else f for f in FIELDS[self.opcode][1:])
        return sync + tuple(field for field in fields if field.bits)

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Fields that the unit itself needs: all but the waiting flags and pushes without a receiver."""
        return tuple(f for f in self.fields if not f.name.startswith(("pop_", "push_")) or self.pushes(f.name))

    def pushes(self, name: str) -> bool:
        """Whether ``name`` is a push flag towards an existing neighbour."""
        return name.startswith("push_") and name.removeprefix("push_") in self.neighbours


UNITS = (
    Unit("load", Opcode.LOAD, ("next",)),
    Unit("compute", Opcode.GEMM, ("prev", "next")),
    Unit("store", Opcode.STORE, ("prev",)),
)
"""Of a machine without a range check of parameters, and what the units themselves need of every one."""


def units(config: AcceleratorConfig) -> tuple[Unit, ...]:
    """The queues of this machine."""
    return tuple(replace(u, limit_bits=config.limit_bits) if u.opcode is Opcode.LOAD else u for u in UNITS)


def decode(config: AcceleratorConfig) -> Module:
    """``fitact_decode``: sends each instruction to its queue, or refuses it."""
    m = Module(
        "fitact_decode",
        """
        Sends an instruction to the queue of its unit, or reports it as illegal.

        Illegal are: an unknown opcode, a count of zero, a token for a neighbour that does not exist (the load
        unit is the first in the chain, the store unit the last), and what this configuration has no hardware
        for. An illegal instruction is taken and dropped; the machine halts in the next cycle.
        """,
    )
    m.parameter("INSTR_BITS", 8 * INSTRUCTION_BYTES)
    for unit in units(config):
        m.parameter(f"{unit.name.upper()}_BITS", unit.entry_bits, "queue entry: the instruction without its opcode")
    m.input("halt")
    m.port_section("Instructions from the fetch unit.")
    m.input("instr_valid")
    m.output("instr_ready")
    m.input("instr_data", "INSTR_BITS")
    m.port_section("Queues.")
    for unit in UNITS:
        m.output(f"{unit.name}_valid")
        m.input(f"{unit.name}_ready")
        m.output(f"{unit.name}_data", f"{unit.name.upper()}_BITS")
    m.port_section("Pulses for the control unit.")
    m.output("dispatched", None, "a legal instruction was taken")
    m.output("finish", None, "FINISH was taken")
    m.output("illegal_instruction")

    m.section("Operations.")
    m.localparam("OPCODE_W", OPCODE_BITS)
    for opcode in Opcode:
        m.localparam(opcode.name, f"{OPCODE_BITS}'d{int(opcode)}", "", "OPCODE_W")
    m.section("What decides legality: values, and bit offsets of fields.")
    needed = _needed(config)
    if not has_bound_buffer(config):
        m.localparam("BOUND_BUFFER", f"2'd{int(Buffer.BOUND)}", "there is none", 2)
    if not has_bound(config):
        m.localparam("CLIP", f"2'd{int(ActMode.CLIP)}", "clip and saturate need a bound", 2)
    for opcode, field in needed:
        m.localparam(f"{opcode.name}_{field.name.upper()}", offsets(opcode)[field.name])

    m.wire("opcode", "OPCODE_W", value="instr_data[OPCODE_W-1:0]")
    for opcode, field in needed:
        place = f"{opcode.name}_{field.name.upper()}"
        source = f"instr_data[{place} +: {field.bits}]" if field.bits > 1 else f"instr_data[{place}]"
        m.wire(f"{opcode.name.lower()}_{field.name}", field.bits if field.bits > 1 else None, value=source)

    m.wire("is_load", value="(opcode == LOAD) && " + _legal(Opcode.LOAD, config))
    m.wire("is_gemm", value="(opcode == GEMM) && " + _legal(Opcode.GEMM, config))
    m.wire("is_store", value="(opcode == STORE) && " + _legal(Opcode.STORE, config))
    m.wire("is_sync", value="opcode == SYNC")
    m.wire("is_finish", value="opcode == FINISH")
    m.wire("is_compute", value="is_gemm || is_sync")
    m.wire("legal", value="is_load || is_compute || is_store || is_finish")
    m.wire("queue_ready", value="is_load ? load_ready : is_compute ? compute_ready : !is_store || store_ready")
    m.wire("offered", value="instr_valid && !halt")

    m.assign("instr_ready", "queue_ready && !halt")
    for unit in UNITS:
        m.assign(f"{unit.name}_valid", f"offered && is_{unit.name}")
    m.assign("load_data", "instr_data[OPCODE_W +: LOAD_BITS]")
    m.assign("compute_data", "{instr_data[OPCODE_W +: COMPUTE_BITS-1], is_sync}")
    m.assign("store_data", "instr_data[OPCODE_W +: STORE_BITS]")
    m.assign("dispatched", "offered && legal && queue_ready")
    m.assign("finish", "offered && is_finish")
    m.assign("illegal_instruction", "offered && !legal")
    m.unused("Bits above the longest instruction are reserved.", "instr_data")
    return m


def _forbidden(opcode: Opcode, config: AcceleratorConfig) -> tuple[str, ...]:
    """Fields that must be zero because nothing can do what they ask for."""
    if opcode is Opcode.LOAD:
        return ("pop_prev", "push_prev")
    if opcode is Opcode.STORE:
        return ("pop_next", "push_next")
    return () if has_bound_buffer(config) else ("neuron_bounds",)


def _needed(config: AcceleratorConfig) -> list[tuple[Opcode, Field]]:
    result = []
    for unit in UNITS:
        names = {*_forbidden(unit.opcode, config), *COUNTS[unit.opcode]}
        if unit.opcode is Opcode.LOAD and not has_bound_buffer(config):
            names.add("buffer")
        if unit.opcode is Opcode.GEMM and not has_bound(config):
            names.add("act_mode")
        result += [(unit.opcode, field) for field in FIELDS[unit.opcode] if field.name in names]
    return result


def _legal(opcode: Opcode, config: AcceleratorConfig) -> str:
    prefix = opcode.name.lower()
    terms = [f"(|{prefix}_{name})" for name in COUNTS[opcode]]
    terms += [f"!{prefix}_{name}" for name in _forbidden(opcode, config)]
    if opcode is Opcode.LOAD and not has_bound_buffer(config):
        terms.append("load_buffer != BOUND_BUFFER")
    if opcode is Opcode.GEMM and not has_bound(config):
        terms.append("gemm_act_mode < CLIP")
    return " && ".join(terms)


def queue(unit: Unit, config: AcceleratorConfig) -> Module:
    """``fitact_<unit>_queue``: waits for tokens, then offers the instruction's fields by name."""
    m = Module(
        f"fitact_{unit.name}_queue",
        f"""
        Queue of the {unit.name} unit: holds instructions until the tokens they wait for are there, and offers
        their fields by name.
        """,
    )
    m.parameter("DEPTH", config.queue_depth, "instructions")
    m.parameter("ENTRY_BITS", unit.entry_bits)
    m.input("clk")
    m.input("rst_n")
    m.input("clear")
    m.input("halt", None, "nothing is offered while this is high")
    m.port_section("From the decoder.")
    m.input("entry_valid")
    m.output("entry_ready")
    m.input("entry_data", "ENTRY_BITS")
    m.output("waiting", None, "an instruction is in the queue")
    m.port_section("Tokens.")
    for side in unit.neighbours:
        m.input(f"{side}_available")
        m.output(f"take_{side}")
    m.port_section(f"To the unit. {DOCS[unit.opcode]}")
    m.output("instr_valid")
    m.input("instr_ready")
    for field in unit.outputs:
        m.output(f"instr_{field.name}", field.bits if field.bits > 1 else None, field.doc)

    m.wire("head_valid")
    m.wire("head_ready")
    m.wire("head_data", "ENTRY_BITS", "oldest instruction")
    others = [field.name for field in unit.fields if field not in unit.outputs]
    for name in others:
        m.wire(name)
    for side in ("prev", "next"):
        if side not in unit.neighbours:
            m.wire(f"take_{side}")
    names = [f"instr_{f.name}" if f in unit.outputs else f.name for f in reversed(unit.fields)]
    m.code("\n".join(("// Fields from the highest bit down, as in fitact_hw/isa.py.", *_unpack(names, "head_data"))))

    m.instance(
        "fitact_fifo",
        "u_fifo",
        {"WIDTH": "ENTRY_BITS", "DEPTH": "DEPTH"},
        {
            "clk": "clk",
            "rst_n": "rst_n",
            "clear": "clear",
            "in_valid": "entry_valid",
            "in_ready": "entry_ready",
            "in_data": "entry_data",
            "out_valid": "head_valid",
            "out_ready": "head_ready",
            "out_data": "head_data",
        },
    )
    pins = {"halt": "halt", "queue_valid": "head_valid", "queue_ready": "head_ready"}
    for side in ("prev", "next"):
        present = side in unit.neighbours
        pins[f"pop_{side}"] = f"pop_{side}" if present else "1'b0"
        pins[f"{side}_available"] = f"{side}_available" if present else "1'b0"
        pins[f"take_{side}"] = f"take_{side}"
    pins |= {"unit_valid": "instr_valid", "unit_ready": "instr_ready"}
    m.instance("fitact_issue", "u_issue", {}, pins)
    m.assign("waiting", "head_valid")
    absent = [side for side in ("prev", "next") if side not in unit.neighbours]
    lost = [f"{flag}_{side}" for side in absent for flag in ("pop", "push", "take")]
    if lost:
        m.unused("The decoder refuses tokens for a neighbour that does not exist.", *lost)
    return m


def _unpack(names: list[str], source: str) -> list[str]:
    lines = ["assign {"]
    for name in names:
        text = name + ("" if name is names[-1] else ", ")
        if len(lines[-1]) + len(text) > 96:
            lines.append("        ")
        lines[-1] += text
    lines[-1] = lines[-1].rstrip() + f"}} = {source};"
    return [line.rstrip() for line in lines]
