"""Whether an upset raises or lowers a bound: the first weakens a neuron's clamp, the second zeroes the neuron."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.faults import FaultEvent
from fitact_hw.injection.memory_map import load_stream
from fitact_hw.isa import Buffer
from fitact_hw.program import Program
from sim.engine.access import AccessTrace

BOUND = "u_buffers.u_bound.data_mem"

RAISED, LOWERED = "raised", "lowered"


def bound_addresses(program: Program, accesses: AccessTrace, events: Sequence[FaultEvent]) -> dict[int, int]:
    """Number of each event that strikes a loaded word of the bound buffer -> memory address of what it holds then."""
    if BOUND not in accesses.names:
        return {}
    words, cycles = accesses.writes(accesses.names.index(BOUND))
    stream, addresses = load_stream(program, Buffer.BOUND)
    if not np.array_equal(stream, words):
        return {}  # another order than the program's: nothing is known
    found = {}
    for number, event in enumerate(events):
        upset = event.upsets[0]
        if upset.site != BOUND:
            continue
        held = np.flatnonzero((words == upset.word) & (cycles < upset.cycle))
        if len(held) and addresses[held[-1]] >= 0:
            found[number] = int(addresses[held[-1]])
    return found


def bound_flips(program: Program, accesses: AccessTrace, events: Sequence[FaultEvent]) -> dict[str, list[int]]:
    """``raised`` and ``lowered`` -> numbers of the events that do that to the bound in their word.

    Only single-bit upsets of words that hold a bound at that moment; the sign bit lowers, because bounds are positive.
    Empty for programs that load no bounds.
    """
    found: dict[str, list[int]] = {RAISED: [], LOWERED: []}
    width, side = program.config.word_bits, program.config.side
    for number, address in bound_addresses(program, accesses, events).items():
        bit = events[number].upsets[0].mask.bit_length() - 1
        if events[number].at_once and events[number].bits == 1 and bit < width * side:
            stored = int(program.memory[address + bit // 8]) >> bit % 8 & 1
            raises = not stored and bit % width != width - 1
            found[RAISED if raises else LOWERED].append(number)
    return found
