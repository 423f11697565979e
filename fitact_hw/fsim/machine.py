"""Executes a program instruction by instruction on numpy buffers: bit-exact, without cycles."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, BoundFormat, RangeCheck
from fitact_hw.fsim.access import (
    BUFFERS,
    COMPUTE,
    LOAD,
    STORE,
    UNITS,
    SimulationError,
    activation_words,
    bound_places,
    depth,
    dma_addresses,
    gemm_pixels,
    gemm_tiles,
    load_rows,
    load_words,
    memory_word_bytes,
    weight_words,
)
from fitact_hw.fsim.arithmetic import activated, beyond, clamp_hits, product, rounded, wrap
from fitact_hw.isa import LIMIT, MOST_TOKENS, AccMode, ActMode, Buffer, Instruction, Opcode
from fitact_hw.program import LANE_DTYPES, Program
from golden.bounds.code import BASE_BITS, CODE_BITS, decode

SHIFT_LIMIT = (1 << SHIFT_BITS) - 1
"""Largest right shift of the epilogue."""

DEFAULT_PRIORITY = (0, 1, 2)
"""Order in which units are asked for their next instruction: load first."""


def bias_lanes(words: np.ndarray, config: AcceleratorConfig) -> tuple[np.ndarray, np.ndarray]:
    """Biases and shifts, int64 (words, side) each, of words as they lie in memory: uint8 (words, bias_word_bytes)."""
    lanes = words.reshape(len(words), -1, config.bias_lane_bytes).view(np.uint64)[:, : config.side]
    above = lanes[..., 1] if config.acc_bits == 64 else lanes[..., 0] >> np.uint64(config.acc_bits)
    return wrap(lanes[..., 0].view(np.int64), config.acc_bits), (above & np.uint64(SHIFT_LIMIT)).astype(np.int64)


def decoded_bounds(lanes: np.ndarray, part: np.ndarray, layer_bound: int, config: AcceleratorConfig) -> np.ndarray:
    """Bounds int64 (words, lanes) in ``lanes`` of the bound buffer; of coded ones number ``part`` (words,) of each
    lane, with the base in an instruction's ``layer_bound``."""
    if config.bound_format is BoundFormat.WORD:
        return lanes
    codes = lanes >> (CODE_BITS * part)[:, None] & (1 << CODE_BITS) - 1
    base = int(wrap(np.array(layer_bound & (1 << BASE_BITS) - 1), BASE_BITS))
    return np.minimum(decode(codes, base), (1 << (config.word_bits - 1)) - 1)


@dataclass
class Clamps:
    """What the alarm of the clamps has seen: ``hits``, and of the first one the number of compute instructions (GEMM,
    SYNC) that had ended before and the lowest lane; both 0 before there is one. ``ended``: compute instructions."""

    hits: int = 0
    first_instruction: int = 0
    first_lane: int = 0
    ended: int = 0

    def note(self, hits: np.ndarray) -> None:
        """Count hits, bool (pixels, lanes), of one instruction."""
        if not self.hits and hits.any():
            first = hits[hits.any(axis=1)][0]
            self.first_instruction, self.first_lane = self.ended, int(np.flatnonzero(first)[0])
        self.hits = min(self.hits + int(hits.sum()), MOST_HITS)


MOST_HITS = (1 << 32) - 1
"""Where the counter of the clamps' alarm stays."""


def layer_of_compute(program: Program, number: int) -> str:
    """The layer of the compute instruction before which ``number`` others ended. Raises IndexError beyond the last."""
    compute = [k for k, item in enumerate(program.instructions) if UNITS.get(item.opcode) == COMPUTE]
    return next(span.name for span in program.spans if span.first <= compute[number] < span.last)


class Machine:
    """Buffers, memory and the effect of each instruction.

    Buffers are int64 (depth, side); ``written`` marks the words that hold something. ``memory`` is uint8; ``clamps``:
    None in a machine without an alarm of the clamps; ``range_hits``: parameters that LOADs made zero, without the end
    of the register's count.
    """

    def __init__(self, config: AcceleratorConfig, memory: np.ndarray) -> None:
        self.config = config
        self.memory = memory.copy()
        self.buffers = {name: np.zeros((depth(config, name), config.side), np.int64) for name in BUFFERS}
        self.shifts = np.zeros((config.bias_words, config.side), np.int64)
        self.written = {name: np.zeros(depth(config, name), bool) for name in BUFFERS}
        self.clamps = Clamps() if config.clamp_alarm else None
        self.where = ""
        self.range_hits = 0

    def execute(self, instruction: Instruction, where: str) -> None:
        """Do one instruction. Raises SimulationError for anything the machine could not do."""
        self.where = where
        if instruction.opcode is Opcode.LOAD:
            self._load(instruction)
        elif instruction.opcode is Opcode.GEMM:
            self._gemm(instruction)
        elif instruction.opcode is Opcode.STORE:
            self._store(instruction)
        if self.clamps is not None and UNITS.get(instruction.opcode) == COMPUTE:
            self.clamps.ended += 1

    def _within(self, buffer: str, words: np.ndarray) -> np.ndarray:
        limit = depth(self.config, buffer)
        if words.size == 0 or int(words.max()) >= limit:
            raise SimulationError(f"{self.where}: {buffer} word {words.max(initial=0)} is beyond its {limit} words")
        return words

    def _read(self, buffer: str, words: np.ndarray) -> np.ndarray:
        if not self.written[buffer][self._within(buffer, words)].all():
            raise SimulationError(f"{self.where}: reads a {buffer} word that was never written")
        return self.buffers[buffer][words]

    def _write(self, buffer: str, words: np.ndarray, values: np.ndarray) -> None:
        self.buffers[buffer][self._within(buffer, words)] = values
        self.written[buffer][words] = True

    def _memory_rows(self, addresses: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory as uint8 (words, size) and the row of each address."""
        if (addresses % size).any():
            raise SimulationError(f"{self.where}: a memory address is not aligned to {size} bytes")
        rows = self.memory[: self.memory.size // size * size].reshape(-1, size)
        if int(addresses.max()) + size > self.memory.size:
            raise SimulationError(f"{self.where}: address {addresses.max()} is outside the memory window")
        return rows, addresses // size

    def _load(self, instruction: Instruction) -> None:
        config = self.config
        buffer = BUFFERS[Buffer(instruction["buffer"])]
        size = memory_word_bytes(config, buffer)
        rows, index = self._memory_rows(dma_addresses(instruction, size), size)
        data = rows[index]
        base = instruction["buffer_base"]
        every = np.arange(base, base + load_words(instruction))
        self._write(buffer, every, np.zeros(1, np.int64))
        words = load_rows(instruction)[0]
        if buffer != "bias":
            lanes = data.view(LANE_DTYPES[config.word_bits])[:, : config.side]
            self.buffers[buffer][words] = self._checked(lanes, instruction) if buffer != "activation" else lanes
            return
        biases, self.shifts[words] = bias_lanes(data, config)
        self.buffers[buffer][words] = self._checked(biases, instruction)

    def _checked(self, lanes: np.ndarray, instruction: Instruction) -> np.ndarray:
        """Parameters as the machine's range check lets them through, int64 (words, side)."""
        config = self.config
        if config.parameter_check is RangeCheck.NONE:
            return lanes
        limit = instruction[LIMIT] & config.no_limit
        zeroed = beyond(lanes.astype(np.int64), limit, config.parameter_check is RangeCheck.WORD)
        self.range_hits += int(np.count_nonzero(zeroed))
        return np.where(zeroed, 0, lanes)

    def _store(self, instruction: Instruction) -> None:
        config = self.config
        rows, index = self._memory_rows(dma_addresses(instruction, config.word_bytes), config.word_bytes)
        base = instruction["buffer_base"]
        values = self._read("output", np.arange(base, base + len(index)))
        dtype = LANE_DTYPES[config.word_bits]
        words = np.zeros((len(index), config.word_bytes * 8 // config.word_bits), dtype)
        words[:, : config.side] = values
        rows[index] = words.view(np.uint8)

    def _partial_sums(self, instruction: Instruction, maximum: bool) -> np.ndarray:
        """Sum or maximum of the array's shifted results over all weight tiles: int64 (pixels, side)."""
        config = self.config
        acts = self._read("activation", activation_words(instruction))
        weights = self._read("weight", weight_words(instruction, config.side))
        lshift = np.int64(instruction["lshift"])
        tiles, pixels, side = acts.shape
        if not maximum:
            left = acts.transpose(1, 0, 2).reshape(pixels, tiles * side)
            total = product(left, weights.reshape(tiles * side, side), config.word_bits)
            return wrap(wrap(total, config.acc_bits) << lshift, config.acc_bits)
        results = np.stack([product(acts[t], weights[t], config.word_bits) for t in range(tiles)])
        return wrap(wrap(results, config.acc_bits) << lshift, config.acc_bits).max(axis=0)

    def _gemm(self, instruction: Instruction) -> None:
        config = self.config
        if min(gemm_tiles(instruction), gemm_pixels(instruction)) < 1:
            raise SimulationError(f"{self.where}: a loop count is zero")
        mode = AccMode(instruction["acc_mode"])
        maximum = mode in (AccMode.MAX, AccMode.MAX_OVERWRITE)
        total = self._partial_sums(instruction, maximum)
        base = instruction["acc_base"]
        accumulator = self._within("accumulator", np.arange(base, base + len(total)))
        if mode is AccMode.ADD:
            total = wrap(total + self._read("accumulator", accumulator), config.acc_bits)
        elif mode is AccMode.MAX:
            total = np.maximum(total, self._read("accumulator", accumulator))
        if not instruction["epilogue"]:
            self._write("accumulator", accumulator, total)
            return
        act_mode = ActMode(instruction["act_mode"])
        bias_word = np.array([instruction["bias_base"]])
        bias = self._read("bias", bias_word)
        bound = self._bounds(instruction)
        if len(bound) > 1:
            bound = np.tile(bound, (instruction["images"], 1))
        value = rounded(wrap(total + bias, config.acc_bits), self.shifts[bias_word])
        if self.clamps is not None:
            self.clamps.note(clamp_hits(value, act_mode, bound, config.alarm_margin))
        result = activated(value, act_mode, bound, config.word_bits)
        out = np.arange(instruction["out_base"], instruction["out_base"] + len(total))
        self._write("output", out, wrap(result, config.word_bits))

    def _bounds(self, instruction: Instruction) -> np.ndarray:
        """Bounds int64 (pixels of an image, side), or (1, 1) for a bound of the whole layer."""
        config = self.config
        word = np.array([[instruction["layer_bound"]]], np.int64)
        if not instruction["neuron_bounds"]:
            return wrap(word, config.word_bits)
        words, part = np.divmod(bound_places(instruction, config.bounds), config.bounds_per_lane)
        return decoded_bounds(self._read("bound", words), part, instruction["layer_bound"], config)


class TokenModel:
    """In-order dispatch into bounded queues, units that wait for tokens; one instruction at a time."""

    def __init__(self, program: Program, priority: tuple[int, ...] = DEFAULT_PRIORITY) -> None:
        self.program, self.priority = program, priority
        self.queues: tuple[deque[int], ...] = (deque(), deque(), deque())
        self.tokens = dict.fromkeys(((0, 1), (1, 0), (1, 2), (2, 1)), 0)
        self.position = 0

    def _dispatch(self) -> bool:
        """Fill the queues; False when FINISH has been reached and all queues are empty."""
        instructions = self.program.instructions
        while self.position < len(instructions):
            opcode = instructions[self.position].opcode
            if opcode is Opcode.FINISH:
                return any(self.queues)
            queue = self.queues[UNITS[opcode]]
            if len(queue) >= self.program.config.queue_depth:
                return True
            queue.append(self.position)
            self.position += 1
        raise SimulationError("the program has no FINISH")

    def _needs(self, unit: int, instruction: Instruction, kind: str) -> list[tuple[int, int]]:
        """Token channels (from unit, to unit) that the instruction takes from (pop) or gives to (push)."""
        found = []
        for neighbour, name in ((unit - 1, "prev"), (unit + 1, "next")):
            if instruction[f"{kind}_{name}"]:
                if not LOAD <= neighbour <= STORE:
                    raise SimulationError(f"{instruction.opcode.name} has no {name} unit to {kind} a token")
                found.append((neighbour, unit) if kind == "pop" else (unit, neighbour))
        return found

    def __iter__(self) -> TokenModel:
        return self

    def __next__(self) -> int:
        """Number of the next instruction to execute. Raises SimulationError on deadlock or token overflow."""
        if not self._dispatch():
            raise StopIteration
        for unit in self.priority:
            if not self.queues[unit]:
                continue
            number = self.queues[unit][0]
            instruction = self.program.instructions[number]
            pops = self._needs(unit, instruction, "pop")
            if any(self.tokens[channel] == 0 for channel in pops):
                continue
            self.queues[unit].popleft()
            for channel in pops:
                self.tokens[channel] -= 1
            for channel in self._needs(unit, instruction, "push"):
                self.tokens[channel] += 1
                if self.tokens[channel] > MOST_TOKENS:
                    raise SimulationError(f"instruction {number}: a token counter overflows")
            return number
        heads = [queue[0] for queue in self.queues if queue]
        raise SimulationError(f"deadlock: instructions {heads} wait for tokens that never come")


def run(program: Program, memory: np.ndarray, priority: tuple[int, ...] = DEFAULT_PRIORITY) -> np.ndarray:
    """Execute ``program`` on a copy of ``memory`` (uint8) and return it as it is afterwards; as :func:`executed`."""
    return executed(program, memory, priority).memory


def executed(program: Program, memory: np.ndarray, priority: tuple[int, ...] = DEFAULT_PRIORITY) -> Machine:
    """The machine after ``program`` on a copy of ``memory`` (uint8).

    ``priority`` orders the units that could go on: another order is another legal interleaving.
    Raises SimulationError for a deadlock, an unwritten word that is read, or an address that does not exist.
    """
    machine = Machine(program.config, memory)
    for number in TokenModel(program, priority):
        instruction = program.instructions[number]
        machine.execute(instruction, f"instruction {number} ({instruction.opcode.name})")
    return machine
