"""Cycle estimate of a program: units, queues and tokens, without data."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fitact_hw.config import RMW_CYCLES
from fitact_hw.fsim.access import COMPUTE, LOAD, UNITS, gemm_pixels, gemm_tiles, load_words
from fitact_hw.isa import INSTRUCTION_BYTES, Buffer, Instruction, Opcode
from fitact_hw.program import Program


@dataclass(frozen=True)
class TimingModel:
    """Assumed delays in cycles."""

    load_latency: int = 24
    store_latency: int = 24
    issue: int = 2


@dataclass(frozen=True)
class Estimate:
    """``cycles`` of the whole program; ``layer_ends``: when each layer's last instruction has finished.

    ``compute_cycles``, ``load_cycles`` and ``store_cycles``: how long each unit is busy.
    """

    cycles: int
    layer_ends: dict[str, int]
    compute_cycles: int
    load_cycles: int
    store_cycles: int
    utilisation: float

    def layer_cycles(self) -> dict[str, int]:
        """Cycles from the end of the layer before to the end of each layer."""
        result, before = {}, 0
        for name, end in self.layer_ends.items():
            result[name], before = end - before, end
        return result


class _Clock:
    """Advances instruction by instruction; every dependency is on an earlier instruction."""

    def __init__(self, program: Program, model: TimingModel) -> None:
        self.program, self.config, self.model = program, program.config, model
        self.dispatch = 0
        self.free = [0, 0, 0]
        self.streamed = 0
        self.loaded = 0
        self.busy = [0, 0, 0]
        depth = self.config.queue_depth
        self.started: list[deque[int]] = [deque([0] * depth, maxlen=depth) for _ in range(3)]
        self.tokens: dict[tuple[int, int], deque[int]] = {c: deque() for c in ((0, 1), (1, 0), (1, 2), (2, 1))}

    def step(self, instruction: Instruction) -> int:
        """Time at which the instruction has finished."""
        unit = UNITS[instruction.opcode]
        beats = max(1, INSTRUCTION_BYTES // self.config.bus_bytes)
        self.dispatch = max(self.dispatch + beats, self.started[unit][0])
        start = max(self.dispatch + self.model.issue, self.free[unit])
        for neighbour, flag in ((unit - 1, "pop_prev"), (unit + 1, "pop_next")):
            if instruction[flag]:
                start = max(start, self.tokens[(neighbour, unit)].popleft() + self.model.issue)
        self.started[unit].append(start)
        done = self._compute(instruction, start) if unit == COMPUTE else self._move(instruction, start, unit)
        for neighbour, flag in ((unit - 1, "push_prev"), (unit + 1, "push_next")):
            if instruction[flag]:
                self.tokens[(unit, neighbour)].append(done)
        return done

    def _compute(self, instruction: Instruction, start: int) -> int:
        side = self.config.side
        drain = 2 * side + RMW_CYCLES
        if instruction.opcode is Opcode.SYNC:
            self.free[COMPUTE] = max(self.free[COMPUTE], start)
            return max(start, self.streamed) + drain
        pixels, tiles = gemm_pixels(instruction), gemm_tiles(instruction)
        interval = max(pixels, side, RMW_CYCLES)
        first = max(start + side + 1, self.streamed)
        last_tile = first + (tiles - 1) * interval
        self.streamed = last_tile + interval
        self.free[COMPUTE] = last_tile
        self.busy[COMPUTE] += tiles * interval
        return last_tile + pixels + drain

    def _move(self, instruction: Instruction, start: int, unit: int) -> int:
        config = self.config
        real = instruction["cols"] * instruction["rows"] * instruction["planes"]
        bias = unit == LOAD and instruction["buffer"] == Buffer.BIAS
        beats = max(1, (config.bias_word_bytes if bias else config.word_bytes) // config.bus_bytes)
        zeros = load_words(instruction) - real if unit == LOAD else 0
        duration = real * beats + zeros
        self.busy[unit] += duration
        if unit == LOAD:  # the address machine runs ahead of the data machine, also into the next instruction
            done = max(start + self.model.load_latency, self.loaded) + duration
            rows = instruction["rows"] * instruction["planes"]
            self.free[unit] = max(start + rows, done - self.model.load_latency)
            self.loaded = done
            return done
        self.free[unit] = start + duration + self.model.store_latency
        return self.free[unit]


def estimate_cycles(program: Program, model: TimingModel | None = None) -> Estimate:
    """Estimate how long ``program`` takes; see :class:`Estimate`."""
    clock = _Clock(program, model or TimingModel())
    done = [clock.step(item) for item in program.instructions if item.opcode is not Opcode.FINISH]
    ends, latest = {}, 0
    for span in program.spans:
        latest = max([latest, *done[span.first : span.last]])
        ends[span.name] = latest
    cycles = max(done, default=0)
    macs = sum(span.macs for span in program.spans)
    slots = max(1, cycles) * program.config.side**2
    load, compute, store = clock.busy
    return Estimate(cycles, ends, compute, load, store, macs / slots)
