"""Proof that tokens alone order every pair of conflicting accesses of different units."""

from __future__ import annotations

from collections import deque

import numpy as np

from fitact_hw.fsim.access import BUFFERS, MEMORY, SimulationError, depth, layer_schedule
from fitact_hw.program import Program

NEVER = -1


class _Space:
    """Last writing and reading operation of each unit, per word."""

    def __init__(self, words: int) -> None:
        self.last = {(unit, write): np.full(words, NEVER, np.int32) for unit in range(3) for write in (False, True)}


def check_hazards(program: Program) -> None:
    """Raise SimulationError at the first race.

    Taking the instruction order as the meaning of the program, tokens must order each access after every
    earlier conflicting access (same word, at least one writes) of another unit. A unit's own are in order.
    An instruction starts after it has its tokens; a token says that its giver and everything of that unit
    before it have finished, and that whatever the giver waited for has finished as well.
    """
    config = program.config
    spaces = {name: _Space(depth(config, name)) for name in BUFFERS}
    spaces[MEMORY] = _Space(program.memory_bytes // config.word_bytes)
    known = np.full((3, 3), NEVER, np.int64)  # known[u][v]: last operation of v finished when u starts its next one
    count = [0, 0, 0]
    tokens: dict[tuple[int, int], deque[np.ndarray]] = {c: deque() for c in ((0, 1), (1, 0), (1, 2), (2, 1))}
    for item in layer_schedule(program):
        if item.unit is None:
            continue
        unit, instruction = item.unit, program.instructions[item.number]
        where = f"instruction {item.number} ({instruction.opcode.name})"
        for neighbour, flag in ((unit - 1, "pop_prev"), (unit + 1, "pop_next")):
            if instruction[flag]:
                if not tokens[(neighbour, unit)]:
                    raise SimulationError(f"{where}: takes a token that only a later instruction gives")
                known[unit] = np.maximum(known[unit], tokens[(neighbour, unit)].popleft())
        for access in item.accesses:
            space = spaces[access.space]
            for other in range(3):
                if other == unit:
                    continue
                before = int(space.last[(other, True)][access.words].max())
                if access.write:
                    before = max(before, int(space.last[(other, False)][access.words].max()))
                if before > known[unit][other]:
                    raise SimulationError(f"{where}: no token orders its {access.space} access after unit {other}'s")
            space.last[(unit, access.write)][access.words] = count[unit]
        finished = known[unit].copy()
        finished[unit] = count[unit]
        for neighbour, flag in ((unit - 1, "push_prev"), (unit + 1, "push_next")):
            if instruction[flag]:
                tokens[(unit, neighbour)].append(finished)
        count[unit] += 1
