"""Composes the on-chip buffers and cuts the words of memory into the words of each buffer."""

from __future__ import annotations

from dataclasses import dataclass

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, address_bits
from fitact_hw.isa import FIELDS, Buffer, Opcode
from fitact_hw.verilog import range_check
from fitact_hw.verilog.module import Module
from fitact_hw.verilog.protection import Memory, buffer_ports, memory

ADDRESS_BITS = next(field.bits for field in FIELDS[Opcode.LOAD] if field.name == "buffer_base")
"""Width of a buffer address before it is narrowed to one buffer (bits)."""


@dataclass(frozen=True)
class LoadedBuffer:
    """A buffer that LOAD fills: ``prefix`` of its ports, depth (words) and word width (Verilog text)."""

    name: str
    prefix: str
    target: Buffer
    depth: int
    word: str

    @property
    def upper(self) -> str:
        """Prefix of the parameters."""
        return self.prefix.upper()


def loaded_buffers(config: AcceleratorConfig) -> tuple[LoadedBuffer, ...]:
    """The buffers that this configuration can load, in the order of their numbers."""
    buffers = [
        LoadedBuffer("activation", "act", Buffer.ACTIVATION, config.activation_words, "ROWS*DATA_W"),
        LoadedBuffer("weight", "wgt", Buffer.WEIGHT, config.weight_words, "COLS*DATA_W"),
        LoadedBuffer("bias", "bias", Buffer.BIAS, config.bias_words, "COLS*BIAS_LANE_W"),
    ]
    if config.bounds.buffered:
        buffers.append(LoadedBuffer("bound", "bound", Buffer.BOUND, config.bound_words, "COLS*DATA_W"))
    return tuple(buffers)


def depth_parameters(module: Module, config: AcceleratorConfig) -> None:
    """Declare depth and address width of every buffer as parameters of ``module``."""
    for item in loaded_buffers(config):
        module.parameter(f"{item.upper}_DEPTH", item.depth)
        module.parameter(f"{item.upper}_ADDR_W", address_bits(item.depth))
    for prefix, depth in (("ACC", config.accumulator_words), ("OUT", config.output_words)):
        module.parameter(f"{prefix}_DEPTH", depth)
        module.parameter(f"{prefix}_ADDR_W", address_bits(depth))


def buffers(config: AcceleratorConfig) -> Module:
    """``fitact_buffers``: all memories of the machine."""
    m = Module(
        "fitact_buffers",
        """
        On-chip buffers: filled by the load unit, read by sequencer and lanes, emptied by the store unit.

        A word of memory is cut into lanes here: activation, weight and bound lanes lie side by side from bit
        0; a bias lane starts at every BIAS_SLOT bits and holds the bias with its shift directly above.
        """,
    )
    loaded = loaded_buffers(config)
    m.parameter("ROWS", config.rows)
    m.parameter("COLS", config.cols)
    m.parameter("DATA_W", config.word_bits)
    m.parameter("ACC_W", config.acc_bits)
    m.parameter("BIAS_LANE_W", config.acc_bits + SHIFT_BITS, "bias and shift")
    m.parameter("BIAS_SLOT", 8 * config.bias_lane_bytes, "bits from one bias lane to the next in memory")
    m.parameter("LOAD_DATA_W", load_data_bits(config), "widest word in memory")
    depth_parameters(m, config)

    m.input("clk")
    m.port_section("Load unit: one enable for each buffer.")
    m.input("load_wr_en", len(Buffer))
    m.input("load_wr_addr", ADDRESS_BITS)
    m.input("load_wr_data", "LOAD_DATA_W", "a word as it lies in memory")
    m.port_section("Read ports: data one cycle after the enable.")
    for item in loaded:
        m.input(f"{item.prefix}_rd_en")
        m.input(f"{item.prefix}_rd_addr", f"{item.upper}_ADDR_W")
        m.output(f"{item.prefix}_rd_data", item.word)
    m.port_section("Accumulator.")
    for name in ("rd", "wr"):
        m.input(f"acc_{name}_en")
        m.input(f"acc_{name}_addr", "ACC_ADDR_W")
        (m.output if name == "rd" else m.input)(f"acc_{name}_data", "COLS*ACC_W")
    m.port_section("Output: written by the lanes, read by the store unit.")
    m.input("out_wr_en")
    m.input("out_wr_addr", "OUT_ADDR_W")
    m.input("out_wr_data", "COLS*DATA_W")
    m.input("store_rd_en")
    m.input("store_rd_addr", ADDRESS_BITS)
    m.output("store_rd_data", "COLS*DATA_W")
    buffer_ports(m, config)
    range_check.buffer_ports(m, config)

    m.section("Bit of load_wr_en for each buffer.")
    for item in loaded:
        m.localparam(item.name.upper(), int(item.target))
    m.wire("bias_wr_data", "COLS*BIAS_LANE_W", "bias lanes without the gaps between them")
    with m.loop("c", "COLS", "g_bias"):
        m.assign("bias_wr_data[c*BIAS_LANE_W +: BIAS_LANE_W]", "load_wr_data[c*BIAS_SLOT +: BIAS_LANE_W]")

    range_check.lanes(m, config)
    for item in loaded:
        source = "bias_wr_data" if item.target is Buffer.BIAS else f"load_wr_data[{item.word}-1:0]"
        source = range_check.checked(config, item.target, source)
        memory(m, config, Memory(item.name, item.upper, item.word.split("*")[0], {
            "wr_en": f"load_wr_en[{item.name.upper()}]",
            "wr_addr": f"load_wr_addr[{item.upper}_ADDR_W-1:0]",
            "wr_data": source,
            "rd_en": f"{item.prefix}_rd_en",
            "rd_addr": f"{item.prefix}_rd_addr",
            "rd_data": f"{item.prefix}_rd_data",
        }))  # fmt: skip
    memory(m, config, Memory("accumulator", "ACC", "COLS", {pin: f"acc_{pin}" for pin in _PINS}))
    memory(m, config, Memory("output", "OUT", "COLS", {
        "wr_en": "out_wr_en",
        "wr_addr": "out_wr_addr",
        "wr_data": "out_wr_data",
        "rd_en": "store_rd_en",
        "rd_addr": "store_rd_addr[OUT_ADDR_W-1:0]",
        "rd_data": "store_rd_data",
    }))  # fmt: skip
    m.unused(
        "Load and store unit check addresses themselves; the decoder refuses a LOAD into a missing buffer;\n"
        "the gaps between bias lanes in memory hold nothing.",
        "load_wr_en", "load_wr_addr", "store_rd_addr", "load_wr_data",
    )  # fmt: skip
    return m


_PINS = ("wr_en", "wr_addr", "wr_data", "rd_en", "rd_addr", "rd_data")


def load_data_bits(config: AcceleratorConfig) -> int:
    """Width of the load unit's data: the widest word in memory (bits)."""
    return 8 * max(config.word_bytes, config.bias_word_bytes)
