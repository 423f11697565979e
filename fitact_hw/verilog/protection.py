"""Adds parity or SECDED to the buffers that want it: codecs around each memory, counters and the halt in the top."""

from __future__ import annotations

from dataclasses import dataclass

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig, Granularity, Protection
from fitact_hw.csr import REGISTERS
from fitact_hw.verilog.module import Module, same

_LANE = {"bias": "BIAS_LANE_W", "accumulator": "ACC_W"}
_EVENTS = ("corrected", "detected")


@dataclass(frozen=True)
class Memory:
    """One buffer: name, parameters' prefix, lanes a word (Verilog text), connections of its ``fitact_sram``."""

    name: str
    prefix: str
    lanes: str
    pins: dict[str, str]

    @property
    def lane(self) -> str:
        """Width of a lane (Verilog text)."""
        return _LANE.get(self.name, "DATA_W")


def memory(m: Module, config: AcceleratorConfig, item: Memory) -> None:
    """Add a buffer's memory, with its codec if it is protected."""
    width = f"{item.lanes}*{item.lane}"
    pins = item.pins
    kind = config.protected.get(item.name)
    if kind is not None:
        width, pins = _codec(m, config, item, kind)
    parameters = {"WIDTH": width, "DEPTH": f"{item.prefix}_DEPTH", "ADDR_W": f"{item.prefix}_ADDR_W"}
    m.instance("fitact_sram", f"u_{item.name}", parameters, {"clk": "clk", **pins})


def _held(config: AcceleratorConfig, name: str) -> bool:
    """Whether a word of the buffer is used for longer than the cycle after its read."""
    shared = config.bounds is not Granularity.NEURON or config.bounds_per_lane > 1
    return name == "output" or (name == "bound" and shared)


def _codec(m: Module, config: AcceleratorConfig, item: Memory, kind: Protection) -> tuple[str, dict[str, str]]:
    """Add encoder, decoder and check of one buffer; returns width and connections of its memory."""
    name, lanes, secded = item.name, item.lanes, kind is Protection.SECDED
    word, checks = f"{lanes}*{item.lane}", f"{lanes}*{name.upper()}_CHECK_W"
    place = list(config.protected).index(name)
    m.section(f"{name.capitalize()} buffer with {'SECDED' if secded else 'parity'}: check bits above the data.")
    m.localparam(f"{name.upper()}_CHECK_W", config.check_bits(name), "check bits of a lane")
    m.wire(f"{name}_check", checks, "of the word that is written")
    m.wire(f"{name}_word", f"{word}+{checks}", "as it is read")
    m.wire(f"{name}_corrected", lanes, "lane by lane")
    m.wire(f"{name}_detected", lanes)
    sizes = {"LANES": lanes, "LANE_W": item.lane}
    if secded:
        sizes["CHECK_W"] = f"{name.upper()}_CHECK_W"
    encoder, decoder = _CODECS[kind]
    m.instance(encoder, f"u_{name}_encoder", sizes, {"data": item.pins["wr_data"], "check": f"{name}_check"})
    read = {
        "stored": f"{name}_word[0 +: {word}]",
        "check": f"{name}_word[{word} +: {checks}]",
        "data": item.pins["rd_data"],
        "detected": f"{name}_detected",
    }
    if secded:
        read["corrected"] = f"{name}_corrected"
    else:
        m.assign(f"{name}_corrected", f"{{{lanes}{{1'b0}}}}", "parity corrects nothing")
    m.instance(decoder, f"u_{name}_decoder", sizes, read)
    traits = {"LANES": lanes, "HELD": str(int(_held(config, name))), "CORRECTS": str(int(secded))}
    m.instance("fitact_word_check", f"u_{name}_check", traits, {
        **same("clk", "rst_n", "clear"),
        "rd_en": item.pins["rd_en"],
        **{event: f"{name}_{event}" for event in _EVENTS},
        **{f"{event}_word": f"{event}_words[{place}]" for event in _EVENTS},
    })  # fmt: skip
    pins = {**item.pins, "wr_data": f"{{{name}_check, {item.pins['wr_data']}}}", "rd_data": f"{name}_word"}
    return f"{word}+{checks}", pins


_CODECS = {
    Protection.PARITY: ("fitact_parity_encoder", "fitact_parity_checker"),
    Protection.SECDED: ("fitact_secded_encoder", "fitact_secded_decoder"),
}


def buffer_ports(m: Module, config: AcceleratorConfig) -> None:
    """Declare what ``fitact_buffers`` needs beside its clock, if a buffer is protected."""
    if not config.protected:
        return
    m.port_section("Wrong words, one bit for each protected buffer: " + ", ".join(config.protected) + ".")
    m.input("rst_n")
    m.input("clear")
    for event in _EVENTS:
        m.output(f"{event}_words", len(config.protected), "pulses")


def buffer_pins(config: AcceleratorConfig) -> dict[str, str]:
    """Connections of :func:`buffer_ports` in the top."""
    return same("rst_n", "clear", *(f"{event}_words" for event in _EVENTS)) if config.protected else {}


def register_pins(config: AcceleratorConfig) -> dict[str, str]:
    """Connections of the registers that only a machine with protection has."""
    if not config.protected:
        return {}

    def code(name: str) -> str:
        field = REGISTERS["PROTECTION"].field(name)
        return f"{field.bits}'d{field.value_of(config.protected.get(name, Protection.NONE).value)}"

    return {
        **same("control_halt_on_detect", "status_detected", "status_detected_set"),
        "corrected_count": "corrected_count",
        "detected_count": "detected_count",
        **{f"protection_{name}": code(name) for name in BUFFER_NAMES},
    }


def counters(m: Module, config: AcceleratorConfig) -> dict[str, str]:
    """Add counters and halt to the top; returns the pins of ``fitact_control`` that they replace."""
    if not config.protected:
        return {}
    m.section("Protected buffers: counters of wrong words, and the halt that they may cause.")
    for event in _EVENTS:
        m.wire(f"{event}_words", len(config.protected), ", ".join(config.protected))
    for event in _EVENTS:
        m.wire(f"{event}_count", 32)
    m.wire("control_halt_on_detect")
    m.wire("status_detected")
    m.wire("status_detected_set")
    m.wire("control_code", REGISTERS["STATUS"].field("code").bits, "error code as control knows it")
    m.wire("overflow_error")
    corrects = int(Protection.SECDED in config.protected.values())
    sizes = {"BUFFERS": str(len(config.protected)), "CORRECTS": str(corrects)}
    m.instance("fitact_protection", "u_protection", sizes, {
        **same("clk", "rst_n", "clear", "corrected_words", "detected_words"),
        "halt_on_detect": "control_halt_on_detect",
        "detected_set": "status_detected_set",
        **same("corrected_count", "detected_count", "status_code", "token_overflow", "overflow_error"),
        "set_error": "status_error_set",
        "error_code": "control_code",
    })  # fmt: skip
    return {"error_code": "control_code", "token_overflow": "overflow_error"}
