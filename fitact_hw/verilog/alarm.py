"""Adds the alarm of the clamps: a hit of each lane, the cell that counts them, its registers and interrupt."""

from __future__ import annotations

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import REGISTERS
from fitact_hw.verilog.module import Module, same


def lane_ports(m: Module, config: AcceleratorConfig) -> None:
    """Declare what ``fitact_lanes`` gives to the alarm, if there is one."""
    if config.clamp_alarm:
        m.port_section("Alarm of the clamps.")
        m.output("hits", "COLS", "lanes of out_wr_data on which the bound acted")


def lane_parameters(config: AcceleratorConfig) -> dict[str, str]:
    """Parameters of ``fitact_lane`` that only a machine with an alarm has."""
    return {"HAS_ALARM": "1", "MARGIN": str(config.alarm_margin)} if config.clamp_alarm else {}


def lane_pins(config: AcceleratorConfig) -> dict[str, str]:
    """Connections of :func:`lane_ports` in the top."""
    return {"hits": "clamp_hits"} if config.clamp_alarm else {}


def registers(m: Module, config: AcceleratorConfig) -> dict[str, str]:
    """Add the nets of the registers and the interrupt; returns the pin of ``fitact_control`` that they replace."""
    if not config.clamp_alarm:
        return {}
    first = REGISTERS["CLAMP_FIRST"]
    m.section("Alarm of the clamps.")
    for name, bits, comment in (
        ("clamp_hits", "COLS", "lanes on which the bound acted"),
        ("clamp_hits_count", 32, ""),
        ("clamp_first_lane", first.field("lane").bits, ""),
        ("clamp_first_instruction", first.field("instruction").bits, ""),
        ("alarm_threshold_hits", 32, ""),
        ("control_irq_on_alarm", None, ""),
        ("status_clamped", None, ""),
        ("status_clamped_set", None, ""),
        ("status_alarm", None, ""),
        ("status_alarm_set", None, ""),
        ("control_irq", None, "done or error, if enabled"),
    ):
        m.wire(name, bits, comment)
    m.assign("irq", "control_irq || (control_irq_on_alarm && status_alarm)")
    return {"irq": "control_irq"}


def register_pins(config: AcceleratorConfig) -> dict[str, str]:
    """Connections of the registers that only a machine with an alarm has."""
    if not config.clamp_alarm:
        return {}
    status = (f"status_{name}{suffix}" for name in ("clamped", "alarm") for suffix in ("", "_set"))
    counts = ("clamp_hits_count", "clamp_first_lane", "clamp_first_instruction", "alarm_threshold_hits")
    return same("control_irq_on_alarm", *status, *counts)


def counter(m: Module, config: AcceleratorConfig) -> None:
    """Add the cell that counts."""
    if not config.clamp_alarm:
        return
    first = REGISTERS["CLAMP_FIRST"]
    m.instance(
        "fitact_alarm",
        "u_alarm",
        {
            "LANES": "COLS",
            "TALLY_W": str(config.cols.bit_length()),
            "NUMBER_W": str(first.field("instruction").bits),
            "LANE_W": str(first.field("lane").bits),
        },
        {
            **same("clk", "rst_n", "clear"),
            "hits": "clamp_hits",
            "valid": "out_wr_en",
            "retire": "compute_retire",
            "threshold": "alarm_threshold_hits",
            "clamped_set": "status_clamped_set",
            "alarm_set": "status_alarm_set",
            "count": "clamp_hits_count",
            "first_number": "clamp_first_instruction",
            "first_lane": "clamp_first_lane",
        },
    )
