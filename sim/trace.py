"""When each instruction of a run started and finished, and what that means per layer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from fitact_hw.isa import Opcode
from fitact_hw.program import Program
from sim.errors import SimulationError


class Event(IntEnum):
    """Bit numbers of a traced event, as wired in fitact_tb.sv."""

    LOAD_START = 0
    LOAD_DONE = 1
    GEMM_START = 2
    GEMM_DONE = 3
    STORE_START = 4
    STORE_DONE = 5


COMPUTE = (Opcode.GEMM, Opcode.SYNC)
PULSES: dict[Event, tuple[Opcode, ...]] = {
    Event.LOAD_START: (Opcode.LOAD,),
    Event.LOAD_DONE: (Opcode.LOAD,),
    Event.GEMM_START: (Opcode.GEMM,),
    Event.GEMM_DONE: COMPUTE,
    Event.STORE_START: (Opcode.STORE,),
    Event.STORE_DONE: (Opcode.STORE,),
}
"""The instructions that make each pulse: a SYNC retires like a GEMM, but starts nothing."""


@dataclass(frozen=True)
class LayerTime:
    """Time of one layer in cycles since start.

    ``busy_cycles`` counts from the end of the layer before (its last instruction) to the end of this one, so that the
    layers of a program add up to its whole time; ``utilisation`` = useful MACs per MAC slot in that time.
    """

    name: str
    start: int
    finish: int
    busy_cycles: int
    macs: int
    utilisation: float


def instruction_times(program: Program, events: np.ndarray) -> np.ndarray:
    """int64 (instructions, 2): start and finish cycle; -1 where there is none: a SYNC has no start,
    FINISH neither, nor has what an upset kept from starting or finishing.

    ``events``: :data:`sim.job.TRACE_DTYPE`. Every unit works in order, so its n-th pulse is the n-th instruction of its
    kind. Raises SimulationError if there are more pulses than instructions.
    """
    times = np.full((len(program.instructions), 2), -1, np.int64)
    opcodes = np.array([int(instruction.opcode) for instruction in program.instructions])
    for event, kinds in PULSES.items():
        places = np.flatnonzero(np.isin(opcodes, [int(kind) for kind in kinds]))
        cycles = events["cycle"][events["events"] >> np.uint64(event) & np.uint64(1) == 1]
        if len(cycles) > len(places):
            raise SimulationError(f"{event.name}: {len(cycles)} pulses for {len(places)} instructions in the trace")
        times[places[: len(cycles)], event % 2] = cycles
    return times


def layer_times(program: Program, events: np.ndarray) -> list[LayerTime]:
    """Cycles and array utilisation of each layer, in program order."""
    times = instruction_times(program, events)
    result: list[LayerTime] = []
    before = 0
    for span in program.spans:
        part = times[span.first : span.last]
        started = part[:, 0][part[:, 0] >= 0]
        finish = int(part[:, 1].max(initial=before))
        busy = max(0, finish - before)
        slots = busy * program.config.rows * program.config.cols
        start = int(started.min()) if len(started) else before
        result.append(LayerTime(span.name, start, finish, busy, span.macs, span.macs / slots if slots else 0.0))
        before = max(before, finish)
    return result
