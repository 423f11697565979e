"""Functional simulator: executes programs without RTL, checks their tokens, estimates their cycles."""

from fitact_hw.fsim.access import (
    BUFFERS,
    MEMORY,
    Access,
    InstructionAccess,
    SimulationError,
    layer_schedule,
)
from fitact_hw.fsim.hazards import check_hazards
from fitact_hw.fsim.machine import Clamps, executed, layer_of_compute, run
from fitact_hw.fsim.timing import Estimate, TimingModel, estimate_cycles

__all__ = [
    "BUFFERS",
    "MEMORY",
    "Access",
    "Clamps",
    "Estimate",
    "InstructionAccess",
    "SimulationError",
    "TimingModel",
    "check_hazards",
    "estimate_cycles",
    "executed",
    "layer_of_compute",
    "layer_schedule",
    "run",
]
