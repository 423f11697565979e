"""Composes the AXI4-Lite register block from the register map in `csr.rdl`."""

from __future__ import annotations

from collections.abc import Mapping

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import REGISTER_BYTES, FieldKind, Register, RegisterField, machine_registers
from fitact_hw.verilog.module import Module

ADDRESS_BITS = 12
"""Address width of the slave: one page, so that an access beyond the map is seen and refused (bits)."""

WORD_BITS = 8 * REGISTER_BYTES

BUS: tuple[tuple[str, int | None, bool], ...] = tuple(
    (f"s_axil_{name}", bits, is_output)
    for name, bits, is_output in (
        ("awaddr", ADDRESS_BITS, False),
        ("awvalid", None, False),
        ("awready", None, True),
        ("wdata", WORD_BITS, False),
        ("wstrb", REGISTER_BYTES, False),
        ("wvalid", None, False),
        ("wready", None, True),
        ("bresp", 2, True),
        ("bvalid", None, True),
        ("bready", None, False),
        ("araddr", ADDRESS_BITS, False),
        ("arvalid", None, False),
        ("arready", None, True),
        ("rdata", WORD_BITS, True),
        ("rresp", 2, True),
        ("rvalid", None, True),
        ("rready", None, False),
    )
)
"""Name, width (bits, None for a single net) and direction (True: output) of the AXI4-Lite slave's ports."""


def signal(register: Register, field: RegisterField) -> str:
    """Name of a field in Verilog, e.g. ``status_done``."""
    return f"{register.name}_{field.name}".lower()


Registers = Mapping[str, Register]


def fields(registers: Registers, *kinds: FieldKind) -> list[tuple[Register, RegisterField]]:
    """All fields of these kinds with their registers, in address order."""
    return [(r, f) for r in registers.values() for f in r.fields if f.kind in kinds]


def csr(config: AcceleratorConfig) -> Module:
    """``fitact_csr``: the registers of this machine, and nothing of what they do."""
    registers = machine_registers(*config.register_parts)
    m = Module(
        "fitact_csr",
        """
        Control and status registers on AXI4-Lite. Made from fitact_hw/csr.rdl; see docs/reference/registers.md.

        Write address and write data may come in any order and are kept until both are there; responses wait
        for as long as the master likes. An address without a register is answered with SLVERR. Writes to
        read-only bits are ignored.
        """,
    )
    m.parameter("ADDR_W", ADDRESS_BITS)
    m.input("clk")
    m.input("rst_n")
    m.input("clear", None, "a program starts: sticky status bits go back to 0")
    m.port_section("AXI4-Lite slave.")
    bus_ports(m)
    m.port_section("To hardware.")
    for register, field in fields(registers, FieldKind.STORED, FieldKind.PULSE, FieldKind.STICKY):
        m.output(signal(register, field), field.bits if field.bits > 1 else None, field.doc or register.doc)
    m.port_section("From hardware.")
    for register, field in fields(registers, FieldKind.INPUT, FieldKind.STICKY):
        suffix = "_set" if field.kind is FieldKind.STICKY else ""
        m.input(
            signal(register, field) + suffix,
            field.bits if field.bits > 1 else None,
            _input_doc(register, field),
        )

    m.localparam("INDEX_W", "ADDR_W - 2", "registers are words")
    m.section("Register numbers.")
    for register in registers.values():
        m.localparam(register.name, f"{register.offset // REGISTER_BYTES}", register.title, "INDEX_W")
    m.section("Responses.")
    m.localparam("OKAY", "2'b00", "", 2)
    m.localparam("SLVERR", "2'b10", "", 2)
    for register, field in fields(registers, FieldKind.CONSTANT):
        m.section(f"Constant of {register.name}.")
        m.localparam(f"{register.name}_{field.name}".upper(), f"{field.bits}'h{field.reset:x}", "", field.bits)

    _write_channel(m, registers)
    _fields(m, registers)
    _read_channel(m, registers)
    m.unused("Byte lanes are chosen by wstrb.", "s_axil_awaddr[1:0]", "s_axil_araddr[1:0]")
    return m


def bus_ports(module: Module, address: str = "ADDR_W") -> None:
    """Declare the ports of the AXI4-Lite slave, with ``address`` as the width of its addresses."""
    for name, bits, is_output in BUS:
        (module.output if is_output else module.input)(name, address if name.endswith("addr") else bits)


def _input_doc(register: Register, field: RegisterField) -> str:
    return "pulse: sets the bit" if field.kind is FieldKind.STICKY else field.doc or register.doc


def _write_channel(m: Module, registers: Registers) -> None:
    m.section("Write channels: address and data are kept until both are there and the last response has gone.")
    m.register("aw_held_q")
    m.register("aw_index_q", "INDEX_W")
    m.register("w_held_q")
    m.register("w_data_q", WORD_BITS)
    m.register("w_strb_q", REGISTER_BYTES)
    m.register("bvalid_q")
    m.register("bresp_q", 2)
    mask = ", ".join(f"{{8{{w_strb_q[{i}]}}}}" for i in reversed(range(REGISTER_BYTES)))
    m.wire(
        "write",
        None,
        "one cycle: the held write takes effect",
        "aw_held_q && w_held_q && (!bvalid_q || s_axil_bready)",
    )
    m.wire("write_mask", WORD_BITS, "bits whose byte is written", f"{{{mask}}}")
    m.assign("s_axil_awready", "!aw_held_q")
    m.assign("s_axil_wready", "!w_held_q")
    m.assign("s_axil_bvalid", "bvalid_q")
    m.assign("s_axil_bresp", "bresp_q")
    there = _there(registers, "aw_index_q")
    m.code(f"""
        always @(posedge clk) begin
            if (!rst_n) begin
                aw_held_q <= 1'b0;
                w_held_q  <= 1'b0;
                bvalid_q  <= 1'b0;
            end else begin
                if (s_axil_awvalid && s_axil_awready) aw_held_q <= 1'b1;
                else if (write)                       aw_held_q <= 1'b0;

                if (s_axil_wvalid && s_axil_wready)   w_held_q <= 1'b1;
                else if (write)                       w_held_q <= 1'b0;

                if (write)                            bvalid_q <= 1'b1;
                else if (s_axil_bready)               bvalid_q <= 1'b0;
            end
        end

        always @(posedge clk) begin
            if (s_axil_awready) aw_index_q <= s_axil_awaddr[ADDR_W-1:2];
            if (s_axil_wready) begin
                w_data_q <= s_axil_wdata;
                w_strb_q <= s_axil_wstrb;
            end
            if (write) bresp_q <= ({there}) ? OKAY : SLVERR;
        end
    """)


def _there(registers: Registers, index: str) -> str:
    """Whether ``index`` is the number of a register (Verilog text): in one of the rows without a gap."""
    rows: list[list[Register]] = []
    for register in registers.values():
        if rows and register.offset == rows[-1][-1].offset + REGISTER_BYTES:
            rows[-1].append(register)
        else:
            rows.append([register])
    first = f"{index} <= {rows[0][-1].name}"
    others = (
        f"{index} == {row[0].name}" if len(row) == 1 else f"({index} >= {row[0].name} && {index} <= {row[-1].name})"
        for row in rows[1:]
    )
    return " || ".join([first, *others])


def _written(register: Register, field: RegisterField) -> tuple[str, str]:
    """(data, mask) bits of a field in a write."""
    place = f"[{field.lsb}]" if field.bits == 1 else f"[{field.lsb + field.bits - 1}:{field.lsb}]"
    if field.bits == WORD_BITS:
        place = ""
    return f"w_data_q{place}", f"write_mask{place}"


def _fields(m: Module, registers: Registers) -> None:
    m.section("Fields.")
    items = fields(registers, FieldKind.STORED, FieldKind.PULSE, FieldKind.STICKY)
    for register, field in items:
        m.register(f"{signal(register, field)}_q", field.bits if field.bits > 1 else None)
    for register, field in items:
        m.assign(signal(register, field), f"{signal(register, field)}_q")
    for register, field in items:
        name, (data, mask) = f"{signal(register, field)}_q", _written(register, field)
        reset = f"{field.bits}'h{field.reset:x}" if field.bits > 1 else f"1'b{field.reset}"
        chosen = f"write && aw_index_q == {register.name}"
        lines = ["always @(posedge clk) begin", f"    if (!rst_n) {name} <= {reset};"]
        if field.kind is FieldKind.PULSE:
            lines.append(f"    else        {name} <= {chosen} && ({data} & {mask});")
        elif field.kind is FieldKind.STICKY:
            lines.append(f"    else if ({signal(register, field)}_set) {name} <= 1'b1;")
            lines.append(f"    else if (clear) {name} <= 1'b0;")
            lines.append(f"    else if ({chosen} && ({data} & {mask})) {name} <= 1'b0;")
        else:
            lines.append(f"    else if ({chosen})")
            lines.append(f"        {name} <= ({name} & ~{mask}) | ({data} & {mask});")
        m.code("\n".join([*lines, "end"]))


def _word(register: Register) -> str:
    """What a read of ``register`` returns: its fields with zeros between them, from the highest bit down."""
    parts, top = [], WORD_BITS
    for field in sorted(register.fields, key=lambda item: -item.lsb):
        gap = top - field.lsb - field.bits
        if gap:
            parts.append(f"{gap}'d0")
        parts.append(_read_value(register, field))
        top = field.lsb
    if top:
        parts.append(f"{top}'d0")
    separator = ", " if sum(map(len, parts)) < 72 else ",\n" + " " * 20
    return parts[0] if len(parts) == 1 else "{" + separator.join(parts) + "}"


def _read_value(register: Register, field: RegisterField) -> str:
    if field.kind is FieldKind.CONSTANT:
        return f"{register.name}_{field.name}".upper()
    if field.kind is FieldKind.PULSE:
        return f"{field.bits}'b0"
    return signal(register, field) + ("" if field.kind is FieldKind.INPUT else "_q")


def _read_channel(m: Module, registers: Registers) -> None:
    m.section("Read channels: the answer is registered and kept until it is taken.")
    m.register("rvalid_q")
    m.register("rresp_q", 2)
    m.register("rdata_q", WORD_BITS)
    m.register("read_data", WORD_BITS, "combinational")
    m.wire("read_index", "INDEX_W", "", "s_axil_araddr[ADDR_W-1:2]")
    m.assign("s_axil_arready", "!rvalid_q || s_axil_rready")
    m.assign("s_axil_rvalid", "rvalid_q")
    m.assign("s_axil_rdata", "rdata_q")
    m.assign("s_axil_rresp", "rresp_q")
    width = max(map(len, registers)) + 1
    cases = "\n".join(f"                {r.name + ':':{width}} read_data = {_word(r)};" for r in registers.values())
    there = _there(registers, "read_index")
    m.code(f"""
        always @(*) begin
            case (read_index)
{cases}
                {"default:":{width}} read_data = {WORD_BITS}'d0;
            endcase
        end

        always @(posedge clk) begin
            if (!rst_n)                                rvalid_q <= 1'b0;
            else if (s_axil_arvalid && s_axil_arready) rvalid_q <= 1'b1;
            else if (s_axil_rready)                    rvalid_q <= 1'b0;
        end

        always @(posedge clk) begin
            if (s_axil_arvalid && s_axil_arready) begin
                rdata_q <= read_data;
                rresp_q <= ({there}) ? OKAY : SLVERR;
            end
        end
    """)
