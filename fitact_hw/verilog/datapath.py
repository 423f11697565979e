"""The units of the top: load, compute (sequencer, array, lanes), store, and the buffers between them."""

from __future__ import annotations

from fitact_hw.config import AcceleratorConfig
from fitact_hw.isa import Buffer
from fitact_hw.verilog import alarm, range_check
from fitact_hw.verilog.buffers import ADDRESS_BITS, loaded_buffers
from fitact_hw.verilog.dispatch import UNITS
from fitact_hw.verilog.lanes import has_bound_buffer
from fitact_hw.verilog.module import Module, same
from fitact_hw.verilog.program import CLOCK, READ_CHANNEL, WINDOW, instruction
from fitact_hw.verilog.protection import buffer_pins

PORT = ("en", "addr", "data")
"""Ends of the names of a buffer port's nets."""

_LOAD, _COMPUTE, _STORE = UNITS


def load_unit(m: Module, config: AcceleratorConfig) -> None:
    """Add the load unit and the write port of all loaded buffers."""
    m.section("Load unit.")
    m.wire("load_wr_en", len(Buffer))
    m.wire("load_wr_addr", ADDRESS_BITS)
    m.wire("load_wr_data", "LOAD_DATA_W")
    m.wire("load_start")
    m.wire("load_retire")
    depths = {item.target: f"{item.upper}_DEPTH" for item in loaded_buffers(config)}
    m.instance(
        "fitact_load",
        "u_load",
        {
            **same("BUS_BITS", "WORD_BYTES", "BIAS_WORD_BYTES"),
            "WR_DATA_W": "LOAD_DATA_W",
            **{f"{buffer.name}_WORDS": depths.get(buffer, "0") for buffer in Buffer},
            **same("BIAS_BUFFER"),
        },
        {
            **CLOCK,
            "halt": "halt",
            **WINDOW,
            **instruction(_LOAD),
            **{name: f"load_{name}" for name, _ in READ_CHANNEL},
            "wr_en": "load_wr_en",
            "wr_addr": "load_wr_addr",
            "wr_data": "load_wr_data",
            "load_start": "load_start",
            "retire": "load_retire",
            "push_next": "load_push_next",
            **_errors("load"),
        },
    )


def _errors(unit: str) -> dict[str, str]:
    return {
        **{f"{kind}_error": f"{unit}_{kind}_error" for kind in ("address", "bus", "range")},
        "busy": f"{unit}_busy",
    }


def compute_unit(m: Module, config: AcceleratorConfig) -> None:
    """Add sequencer, array, delay line and lanes."""
    buffered = has_bound_buffer(config)
    m.section("Compute unit: sequencer, array, and the tokens that accompany each pixel to the lanes.")
    for item in loaded_buffers(config):
        m.wire(f"{item.prefix}_rd_en")
        m.wire(f"{item.prefix}_rd_addr", f"{item.upper}_ADDR_W")
        m.wire(f"{item.prefix}_rd_data", item.word)
    m.wire("array_swap")
    m.wire("array_load", "ROWS")
    m.wire("psum", "COLS*ACC_W", "partial sums of a pixel")
    m.wire("pixel_valid", None, "a pixel stands at the array's edge")
    m.wire("pixel_token", "TOKEN_W")
    m.wire("lane_valid", None, "its partial sums stand at the lanes in the next cycle")
    m.wire("lane_token", "TOKEN_W")
    for name in ("sequencer_busy", "delay_busy", "lanes_busy", "gemm_start", "compute_retire"):
        m.wire(name)
    sizes = {}
    for prefix in ("ACT", "WGT", "ACC", "BIAS", "OUT"):
        sizes[f"{prefix}_DEPTH"] = f"{prefix}_DEPTH"
        sizes[f"{prefix}_ADDR_W"] = f"{prefix}_ADDR_W"
    sizes["BOUND_DEPTH"], sizes["BOUND_ADDR_W"] = ("BOUND_ENTRIES", "BOUND_ENTRY_W") if buffered else ("1", "1")
    sizes |= same("BOUND_WALK", "BOUND_PACK_W") if buffered else {}
    m.instance(
        "fitact_sequencer",
        "u_sequencer",
        {
            **same("ROWS", "DATA_W", "SHIFT_W", "RMW_CYCLES"),
            **sizes,
            **same("HAS_BOUND", "HAS_BOUND_BUFFER", "TOKEN_W"),
        },
        {
            **CLOCK,
            "halt": "halt",
            **instruction(_COMPUTE),
            **same("act_rd_en", "act_rd_addr", "wgt_rd_en", "wgt_rd_addr", "array_swap", "array_load"),
            "token_valid": "pixel_valid",
            "token_data": "pixel_token",
            "busy": "sequencer_busy",
            "range_error": "compute_range_error",
            "gemm_start": "gemm_start",
        },
    )
    m.instance(
        "fitact_array",
        "u_array",
        same("ROWS", "COLS", "DATA_W", "ACC_W"),
        {
            "clk": "clk",
            "act_in": "act_rd_data",
            "weight_in": "wgt_rd_data",
            "swap_in": "array_swap",
            "load_in": "array_load",
            "psum_out": "psum",
        },
    )
    m.instance(
        "fitact_delay",
        "u_delay",
        {"WIDTH": "TOKEN_W", "DELAY": "TOKEN_DELAY"},
        {
            **CLOCK,
            "in_valid": "pixel_valid",
            "in_data": "pixel_token",
            "out_valid": "lane_valid",
            "out_data": "lane_token",
            "busy": "delay_busy",
        },
    )
    _lanes(m, config)
    alarm.counter(m, config)
    m.assign("compute_busy", "sequencer_busy || delay_busy || lanes_busy")


def _lanes(m: Module, config: AcceleratorConfig) -> None:
    buffered = has_bound_buffer(config)
    m.wire("acc_rd_en")
    m.wire("acc_rd_addr", "ACC_ADDR_W")
    m.wire("acc_rd_data", "COLS*ACC_W")
    m.wire("acc_wr_en")
    m.wire("acc_wr_addr", "ACC_ADDR_W")
    m.wire("acc_wr_data", "COLS*ACC_W")
    m.wire("out_wr_en")
    m.wire("out_wr_addr", "OUT_ADDR_W")
    m.wire("out_wr_data", "COLS*DATA_W", "clamped results of a pixel")
    widths = ("COLS", "DATA_W", "ACC_W", "SHIFT_W", "BIAS_LANE_W", "ACC_ADDR_W", "BIAS_ADDR_W", "OUT_ADDR_W")
    buffers = ("acc_rd", "acc_wr", "bias_rd", *(("bound_rd",) if buffered else ()), "out_wr")
    m.instance(
        "fitact_lanes",
        "u_lanes",
        {
            **same(*widths),
            **({"BOUND_ADDR_W": "BOUND_ENTRY_W"} if buffered else {}),
            **(same("BOUND_PACK_W") if config.bounds_per_lane > 1 else {}),
            **same("TOKEN_W"),
        },
        {
            **CLOCK,
            "token_valid": "lane_valid",
            "token_data": "lane_token",
            "psum": "psum",
            **same(*(f"{port}_{part}" for port in buffers for part in PORT)),
            **alarm.lane_pins(config),
            "retire": "compute_retire",
            "push_prev": "compute_push_prev",
            "push_next": "compute_push_next",
            "busy": "lanes_busy",
        },
    )


def store_unit(m: Module) -> None:
    """Add the store unit with the write channels of the AXI master."""
    m.section("Store unit: the only master of the write channels.")
    m.wire("store_rd_en")
    m.wire("store_rd_addr", ADDRESS_BITS)
    m.wire("store_rd_data", "COLS*DATA_W")
    m.wire("store_start")
    m.wire("store_retire")
    addresses = ("awvalid", "awready", "awaddr", "awlen", "awsize", "awburst")
    data = ("wvalid", "wready", "wdata", "wstrb", "wlast", "bvalid", "bready", "bresp")
    m.instance(
        "fitact_store",
        "u_store",
        {
            **same("BUS_BITS", "WORD_BYTES"),
            "LANE_WORD_BITS": "COLS*DATA_W",
            "OUTPUT_WORDS": "OUT_DEPTH",
        },
        {
            **CLOCK,
            "halt": "halt",
            **WINDOW,
            **instruction(_STORE),
            "rd_en": "store_rd_en",
            "rd_addr": "store_rd_addr",
            "rd_data": "store_rd_data",
            **{name: f"m_axi_{name}" for name in (*addresses, *data)},
            "store_start": "store_start",
            "retire": "store_retire",
            "push_prev": "store_push_prev",
            **_errors("store"),
        },
    )
    m.assign("m_axi_awid", "1'b0")


def buffer_banks(m: Module, config: AcceleratorConfig) -> None:
    """Add the buffers."""
    m.section("Buffers.")
    loaded = loaded_buffers(config)
    sizes = ["ROWS", "COLS", "DATA_W", "ACC_W", "BIAS_LANE_W", "BIAS_SLOT", "LOAD_DATA_W"]
    for prefix in (*(item.upper for item in loaded), "ACC", "OUT"):
        sizes += [f"{prefix}_DEPTH", f"{prefix}_ADDR_W"]
    sizes += ["LIMIT_W"] if config.limit_bits else []
    ports = ("load_wr", *(f"{item.prefix}_rd" for item in loaded), "acc_rd", "acc_wr", "out_wr", "store_rd")
    m.instance(
        "fitact_buffers",
        "u_buffers",
        same(*sizes),
        same("clk", *(f"{port}_{part}" for port in ports for part in PORT))
        | buffer_pins(config)
        | range_check.buffer_pins(config),
    )
