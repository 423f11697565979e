"""Composes the whole machine: interface, sizes, control; `program.py` and `datapath.py` add the rest."""

from __future__ import annotations

from fitact_hw.config import AXI_ADDR_BITS, RMW_CYCLES, SHIFT_BITS, AcceleratorConfig, BoundFormat
from fitact_hw.csr import REGISTERS
from fitact_hw.isa import INSTRUCTION_BYTES, TOKEN_COUNT_BITS, Buffer, Opcode
from fitact_hw.verilog import alarm, range_check
from fitact_hw.verilog.buffers import depth_parameters, load_data_bits
from fitact_hw.verilog.csr_block import ADDRESS_BITS as CSR_ADDRESS_BITS
from fitact_hw.verilog.csr_block import BUS, bus_ports
from fitact_hw.verilog.datapath import buffer_banks, compute_unit, load_unit, store_unit
from fitact_hw.verilog.dispatch import OPCODE_BITS, UNITS, units
from fitact_hw.verilog.lanes import BOUND_WALKS, bound_pack_bits, has_bound, has_bound_buffer, token_bits
from fitact_hw.verilog.module import Module, same
from fitact_hw.verilog.program import CLOCK, fetch, token_counters, unit_queue
from fitact_hw.verilog.protection import counters, register_pins

TOP = "fitact_top"

TRACES = {
    "load_start": "a LOAD was taken by its unit",
    "load_done": "its last word is being written",
    "gemm_start": "the first weight tile of a GEMM becomes active",
    "gemm_done": "a GEMM's last pixel leaves the lanes, or a SYNC",
    "store_start": "a STORE was taken by its unit",
    "store_done": "its last write response has come back",
}
"""One-cycle outputs ``trace_<name>`` of the top, and what they mean."""

ADDRESS_ATTRIBUTES = (("len", 8), ("size", 3), ("burst", 2), ("lock", None), ("cache", 4), ("prot", 3))

_BUSY = ("fetch_busy", "load_busy", "compute_busy", "store_busy")
_ERRORS = (
    *(f"{unit}_{kind}_error" for kind in ("address", "bus") for unit in ("fetch", "load", "store")),
    *(f"{unit}_range_error" for unit in ("load", "compute", "store")),
)


def top(config: AcceleratorConfig) -> Module:
    """``fitact_top``: the accelerator with its AXI4-Lite slave and AXI4 master."""
    m = Module(
        TOP,
        f"""
        FitAct accelerator: weight-stationary systolic array whose lanes clamp every neuron.

            s_axil_* -- csr -- control
                        fetch -- decode -- load queue ---- load ----> activation, weight, bias, bound buffer
                                           compute queue - sequencer   |          |          |
                                           |               |           v          v          v
                                           |               +-> array --+-> lanes (accumulate, shift, clamp)
                                           store queue --- store <------------- output buffer
            m_axi_* --- fetch and load (read), store (write)

        Load, compute and store unit run at the same time and wait for each other with tokens.
        Bounds in this configuration: {config.bounds.value}, {config.bound_format.value}.
        """,
    )
    _interface(m, config)
    _constants(m, config)
    _control(m, config)
    fetch(m)
    token_counters(m)
    for unit in units(config):
        unit_queue(m, unit)
    m.assign("queues_busy", "instr_valid || " + " || ".join(f"{unit.name}_waiting" for unit in UNITS))
    load_unit(m, config)
    range_check.top_parts(m, config)
    compute_unit(m, config)
    store_unit(m)
    buffer_banks(m, config)
    _traces(m, config)
    return m


def _interface(m: Module, config: AcceleratorConfig) -> None:
    m.parameter("ROWS", config.rows, "array rows: input channels")
    m.parameter("COLS", config.cols, "array columns: output channels")
    m.parameter("DATA_W", config.word_bits)
    m.parameter("ACC_W", config.acc_bits)
    m.parameter("SHIFT_W", SHIFT_BITS)
    m.parameter("BUS_BITS", config.bus_bits, "AXI data width")
    m.parameter("QUEUE_DEPTH", config.queue_depth, "instructions waiting for each unit")
    m.parameter("CSR_ADDR_W", CSR_ADDRESS_BITS)
    depth_parameters(m, config)
    m.input("clk")
    m.input("rst_n")
    m.output("irq", None, "done or error, if enabled")
    m.port_section("AXI4-Lite slave: registers.")
    bus_ports(m, address="CSR_ADDR_W")
    m.port_section("AXI4 master: memory.")
    for channel in ("aw", "ar"):
        m.output(f"m_axi_{channel}id", 1, "0: fetch, 1: load" if channel == "ar" else "")
        m.output(f"m_axi_{channel}addr", AXI_ADDR_BITS)
        for name, bits in ADDRESS_ATTRIBUTES:
            m.output(f"m_axi_{channel}{name}", bits)
        m.output(f"m_axi_{channel}valid")
        m.input(f"m_axi_{channel}ready")
    m.output("m_axi_wdata", "BUS_BITS")
    m.output("m_axi_wstrb", "BUS_BITS/8")
    m.output("m_axi_wlast")
    m.output("m_axi_wvalid")
    m.input("m_axi_wready")
    m.input("m_axi_bid", 1)
    m.input("m_axi_bresp", 2)
    m.input("m_axi_bvalid")
    m.output("m_axi_bready")
    m.input("m_axi_rid", 1)
    m.input("m_axi_rdata", "BUS_BITS")
    m.input("m_axi_rresp", 2)
    m.input("m_axi_rlast")
    m.input("m_axi_rvalid")
    m.output("m_axi_rready")
    m.port_section("One-cycle pulses for measurement; the hardware does not need them.")
    for name, comment in TRACES.items():
        m.output(f"trace_{name}", None, comment)


def _constants(m: Module, config: AcceleratorConfig) -> None:
    m.section("Sizes that follow from the configuration.")
    m.localparam("INSTR_BITS", 8 * INSTRUCTION_BYTES)
    m.localparam("OPCODE_W", OPCODE_BITS)
    m.localparam("FINISH_OPCODE", int(Opcode.FINISH))
    m.localparam("BIAS_BUFFER", int(Buffer.BIAS), "number of the bias buffer in a LOAD")
    m.localparam("WORD_BYTES", config.word_bytes, "an activation, weight, bound or output word in memory")
    m.localparam("BIAS_WORD_BYTES", config.bias_word_bytes, "a bias word in memory")
    m.localparam("BIAS_LANE_W", "ACC_W + SHIFT_W", "bias and shift of one column")
    m.localparam("BIAS_SLOT", 8 * config.bias_lane_bytes, "bits from one bias lane to the next in memory")
    m.localparam("LOAD_DATA_W", load_data_bits(config), "widest word in memory")
    m.localparam("TOKEN_W", token_bits(config), "a pixel's token, see fitact_pixel_token.vh")
    m.localparam("TOKEN_DELAY", "ROWS + COLS - 2", "cycles from a pixel at the array's edge to its accumulator read")
    m.localparam("TOKEN_COUNT_W", TOKEN_COUNT_BITS, "a counter of tokens between two units")
    m.localparam("RMW_CYCLES", RMW_CYCLES, "shortest stay of a weight tile")
    for unit in units(config):
        m.localparam(f"{unit.name.upper()}_BITS", unit.entry_bits, f"entry of the {unit.name} queue")
    bounds = REGISTERS["CONFIGURATION"].field("bounds")
    m.section("Bound hardware: " + ", ".join(f"{item.value} {item.name}" for item in bounds.encoding) + ".")
    m.localparam("BOUNDS", f"{bounds.bits}'d{bounds.value_of(config.bounds.value)}", "", bounds.bits)
    m.localparam("BOUND_CODES", f"1'b{int(config.bound_format is BoundFormat.CODE)}", "4-bit codes", 1)
    m.localparam("HAS_BOUND", int(has_bound(config)))
    m.localparam("HAS_BOUND_BUFFER", int(has_bound_buffer(config)))
    if has_bound_buffer(config):
        m.localparam("BOUND_WALK", BOUND_WALKS[config.bounds], "who shares a bound, see fitact_bound_walk.v")
        m.localparam("BOUND_PACK_W", bound_pack_bits(config), "2^BOUND_PACK_W bounds in a lane of a bound word")
        m.localparam("BOUND_ENTRIES", "BOUND_DEPTH << BOUND_PACK_W", "bounds of a lane in the whole buffer")
        m.localparam("BOUND_ENTRY_W", "BOUND_ADDR_W + BOUND_PACK_W")


def _control(m: Module, config: AcceleratorConfig) -> None:
    m.section("Registers and control.")
    for name, bits, comment in (
        ("clear", None, "pulse: a program starts"),
        ("start_fetch", None, "pulse, one cycle later"),
        ("halt", None, "after an error: nothing new is started"),
        ("control_start", None, ""),
        ("control_irq_enable", None, ""),
        ("status_busy", None, ""),
        ("status_done", None, ""),
        ("status_done_set", None, ""),
        ("status_error", None, ""),
        ("status_error_set", None, ""),
        ("status_code", REGISTERS["STATUS"].field("code").bits, ""),
        ("program_address", 32, ""),
        ("window_base", 32, "first and last byte that the machine may access"),
        ("window_last", 32, ""),
        ("watchdog_cycles", 32, ""),
        ("cycles", 64, ""),
        ("instructions", 32, ""),
        ("dispatched", None, ""),
        ("finish", None, ""),
        ("illegal_instruction", None, ""),
    ):
        m.wire(name, bits, comment)
    for name in (*_BUSY, *_ERRORS, "token_overflow", "queues_busy", "running"):
        m.wire(name)
    replaced = {**counters(m, config), **alarm.registers(m, config)}
    ranged = range_check.register_pins(m, config)

    m.instance("fitact_csr", "u_csr", {"ADDR_W": "CSR_ADDR_W"}, {
        **CLOCK,
        **same(*(name for name, _, _ in BUS)),
        **same("control_start", "control_irq_enable", "status_done", "status_error", "program_address"),
        "window_base_address": "window_base",
        "window_last_address": "window_last",
        **same("watchdog_cycles", "status_busy", "status_done_set", "status_error_set", "status_code"),
        "cycles_low_value": "cycles[31:0]",
        "cycles_high_value": "cycles[63:32]",
        "instructions_value": "instructions",
        "configuration_rows": "ROWS[7:0]",
        "configuration_cols": "COLS[7:0]",
        "configuration_word_bits": "DATA_W[7:0]",
        "configuration_bounds": "BOUNDS",
        "configuration_bound_codes": "BOUND_CODES",
        **register_pins(config),
        **ranged,
        **alarm.register_pins(config),
    })  # fmt: skip
    m.instance("fitact_control", "u_control", {}, {
        "clk": "clk",
        "rst_n": "rst_n",
        "start": "control_start",
        "irq_enable": "control_irq_enable",
        **same("watchdog_cycles", "status_done", "status_error"),
        "set_done": "status_done_set",
        "set_error": "status_error_set",
        "error_code": "status_code",
        "busy": "status_busy",
        **same("cycles", "instructions", "irq", "clear", "start_fetch", "halt", "running", "finish"),
        **same("dispatched", "queues_busy", *_BUSY, "illegal_instruction", *_ERRORS, "token_overflow"),
        **replaced,
    })  # fmt: skip


def _traces(m: Module, config: AcceleratorConfig) -> None:
    m.section("Measurement.")
    for unit in ("load", "store"):
        m.assign(f"trace_{unit}_start", f"{unit}_start")
        m.assign(f"trace_{unit}_done", f"{unit}_retire")
    m.assign("trace_gemm_start", "gemm_start")
    m.assign("trace_gemm_done", "compute_retire")
    m.unused(
        "There is one write master, so every response is its own; `running` is for waveforms.",
        "m_axi_bid",
        "running",
        *(("status_detected",) if config.protected else ()),
        *(("status_clamped",) if config.clamp_alarm else ()),
        *(("limit_ready", "limit_valid") if config.limit_bits else ()),
    )
