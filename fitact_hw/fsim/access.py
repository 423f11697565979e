"""Which words of which memory every instruction reads and writes, straight from its fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fitact_hw.config import AcceleratorConfig, Granularity
from fitact_hw.errors import FitActError
from fitact_hw.isa import AccMode, Buffer, Instruction, Opcode
from fitact_hw.program import Program
from golden.bounds.granularity import PATCH_SIDE

LOAD, COMPUTE, STORE = range(3)
"""Units, in the order of the token chain load -> compute -> store."""

UNITS = {Opcode.LOAD: LOAD, Opcode.GEMM: COMPUTE, Opcode.SYNC: COMPUTE, Opcode.STORE: STORE}

MEMORY = "memory"
BUFFERS = ("activation", "weight", "bias", "bound", "accumulator", "output")
"""Names of the on-chip buffers; LOAD's `buffer` field counts through the first four."""


NO_ADDRESS = -1
"""In place of a memory address: padding."""


class SimulationError(FitActError):
    """A program that does what the machine cannot do."""


def depth(config: AcceleratorConfig, buffer: str) -> int:
    """Words of an on-chip buffer."""
    return int(getattr(config, f"{buffer}_words"))


def memory_word_bytes(config: AcceleratorConfig, buffer: str) -> int:
    """Bytes in memory of one word of ``buffer``."""
    return config.bias_word_bytes if buffer == "bias" else config.word_bytes


def load_rows(instruction: Instruction) -> tuple[np.ndarray, np.ndarray]:
    """(buffer word, address of its row's first word) of every real word of a LOAD, int64 (words,) each."""
    field = instruction
    width = field["pad_left"] + field["cols"] + field["pad_right"]
    height = field["pad_top"] + field["rows"] + field["pad_bottom"]
    plane = np.arange(field["planes"], dtype=np.int64)[:, None, None]
    row = np.arange(field["rows"], dtype=np.int64)[None, :, None]
    col = np.arange(field["cols"], dtype=np.int64)[None, None, :]
    words = (plane * height + field["pad_top"] + row) * width + field["pad_left"] + col
    rows = np.repeat(row_addresses(instruction).reshape(-1), field["cols"])
    return (field["buffer_base"] + words).reshape(-1), rows


def load_words(instruction: Instruction) -> int:
    """Buffer words that a LOAD writes, zeros included."""
    field = instruction
    width = field["pad_left"] + field["cols"] + field["pad_right"]
    return width * (field["pad_top"] + field["rows"] + field["pad_bottom"]) * field["planes"]


def load_sources(instruction: Instruction, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Buffer word and byte address in memory (NO_ADDRESS: a zero) of everything that a LOAD of words of ``size`` bytes
    writes, in order: int64 (words,) each."""
    base, count = instruction["buffer_base"], load_words(instruction)
    addresses = np.full(count, NO_ADDRESS, np.int64)
    addresses[load_rows(instruction)[0] - base] = dma_addresses(instruction, size)
    return np.arange(base, base + count), addresses


def row_addresses(instruction: Instruction) -> np.ndarray:
    """Byte address of the first word of every row of a LOAD or STORE, int64 (planes, rows)."""
    plane = np.arange(instruction["planes"], dtype=np.int64)[:, None]
    row = np.arange(instruction["rows"], dtype=np.int64)[None, :]
    return instruction["mem_addr"] + plane * instruction["plane_stride"] + row * instruction["row_stride"]


def dma_addresses(instruction: Instruction, word_bytes: int) -> np.ndarray:
    """Byte address of every word that a LOAD reads or a STORE writes, in order: int64 (words,)."""
    col = np.arange(instruction["cols"], dtype=np.int64) * word_bytes
    return (row_addresses(instruction)[:, :, None] + col).reshape(-1)


def gemm_pixels(instruction: Instruction) -> int:
    """Pixels of a GEMM: accumulator words that it uses."""
    return instruction["images"] * instruction["rows"] * instruction["cols"]


def gemm_tiles(instruction: Instruction) -> int:
    """Weight tiles of a GEMM."""
    return instruction["kernel_rows"] * instruction["kernel_cols"] * instruction["channel_tiles"]


def activation_words(instruction: Instruction) -> np.ndarray:
    """Activation word of every weight tile and pixel: int64 (tiles, pixels), in the order of the loops."""
    f = instruction
    row = np.arange(f["kernel_rows"], dtype=np.int64)[:, None, None] * f["kernel_row_stride"]
    col = np.arange(f["kernel_cols"], dtype=np.int64)[None, :, None]
    tile = np.arange(f["channel_tiles"], dtype=np.int64)[None, None, :] * f["channel_stride"]
    image = np.arange(f["images"], dtype=np.int64)[:, None, None] * f["image_stride"]
    out_row = np.arange(f["rows"], dtype=np.int64)[None, :, None] * f["row_stride"]
    out_col = np.arange(f["cols"], dtype=np.int64)[None, None, :] * f["col_stride"]
    offsets = (row + col + tile).reshape(-1, 1) + (image + out_row + out_col).reshape(1, -1)
    return f["act_base"] + offsets


def bound_places(instruction: Instruction, granularity: Granularity) -> np.ndarray:
    """Bound (counted within a lane of the buffer) of every pixel of one image: int64 (rows * cols,)."""
    rows, cols = instruction["rows"], instruction["cols"]
    row, col = np.divmod(np.arange(rows * cols, dtype=np.int64), cols)
    return instruction["bound_base"] + bound_offset(row, col, cols, granularity)


def bound_offset(row: np.ndarray, col: np.ndarray, cols: np.ndarray | int, granularity: Granularity) -> np.ndarray:
    """Bound of a tile's pixels at (``row``, ``col``) of ``cols`` in a row, from the tile's first one; int64."""
    if granularity is Granularity.CHANNEL:
        return np.zeros_like(row)
    if granularity is Granularity.PATCH:
        row, col, cols = row // PATCH_SIDE, col // PATCH_SIDE, (cols - 1) // PATCH_SIDE + 1
    return np.asarray(row * cols + col)


def weight_words(instruction: Instruction, side: int) -> np.ndarray:
    """Weight word of every tile and array row: int64 (tiles, side)."""
    first = np.arange(gemm_tiles(instruction), dtype=np.int64) * instruction["weight_stride"]
    return instruction["weight_base"] + first[:, None] + np.arange(side, dtype=np.int64)


@dataclass(frozen=True)
class Access:
    """Words of one buffer (or of memory, word size each) that an instruction touches: sorted, different."""

    space: str
    words: np.ndarray
    write: bool

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The words as ``[start, stop)`` ranges."""
        breaks = np.flatnonzero(np.diff(self.words) != 1) + 1
        starts, stops = np.append(0, breaks), np.append(breaks, len(self.words))
        return tuple((int(self.words[a]), int(self.words[b - 1]) + 1) for a, b in zip(starts, stops, strict=True))


@dataclass(frozen=True)
class InstructionAccess:
    """All accesses of instruction ``number``, done by ``unit`` (None for FINISH)."""

    number: int
    unit: int | None
    accesses: tuple[Access, ...]


def _run(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.int64)


def _used(words: np.ndarray, limit: int, where: str) -> np.ndarray:
    """Sorted different values; refuses those at or beyond ``limit``."""
    top = int(words.max())
    if top >= limit or int(words.min()) < 0:
        raise SimulationError(f"{where}: word {top} is outside the {limit} words there are")
    mask = np.zeros(top + 1, bool)
    mask[words.reshape(-1)] = True
    return np.flatnonzero(mask)


def instruction_accesses(
    instruction: Instruction, config: AcceleratorConfig, memory_bytes: int, where: str
) -> tuple[Access, ...]:
    """The accesses of one instruction. Raises SimulationError for a word that does not exist."""
    found: list[tuple[str, np.ndarray, bool]] = []
    opcode = instruction.opcode
    if opcode is Opcode.LOAD:
        buffer = BUFFERS[Buffer(instruction["buffer"])]
        size = memory_word_bytes(config, buffer)
        addresses = dma_addresses(instruction, size)
        found.append((MEMORY, memory_words(addresses, size, config, where), False))
        found.append((buffer, _run(instruction["buffer_base"], load_words(instruction)), True))
    elif opcode is Opcode.STORE:
        size = config.word_bytes
        addresses = dma_addresses(instruction, size)
        found.append(("output", _run(instruction["buffer_base"], len(addresses)), False))
        found.append((MEMORY, memory_words(addresses, size, config, where), True))
    elif opcode is Opcode.GEMM:
        found.extend(_gemm_accesses(instruction, config))
    limits = {MEMORY: memory_bytes // config.word_bytes, **{name: depth(config, name) for name in BUFFERS}}
    return tuple(
        Access(space, _used(words, limits[space], f"{where}, {space}"), write) for space, words, write in found
    )


def memory_words(addresses: np.ndarray, size: int, config: AcceleratorConfig, where: str) -> np.ndarray:
    """Memory words of ``config.word_bytes`` that words of ``size`` bytes at ``addresses`` cover."""
    if (addresses % size).any():
        raise SimulationError(f"{where}: a memory address is not aligned to {size} bytes")
    first = addresses // config.word_bytes
    count = -(-size // config.word_bytes)
    return (first[:, None] + np.arange(count)).reshape(-1)


def _gemm_accesses(instruction: Instruction, config: AcceleratorConfig) -> list[tuple[str, np.ndarray, bool]]:
    pixels = gemm_pixels(instruction)
    accumulator = _run(instruction["acc_base"], pixels)
    last, first_mode = instruction["epilogue"], AccMode(instruction["acc_mode"])
    several = gemm_tiles(instruction) > 1
    found = [
        ("activation", activation_words(instruction), False),
        ("weight", weight_words(instruction, config.side), False),
    ]
    if several or first_mode in (AccMode.ADD, AccMode.MAX):
        found.append(("accumulator", accumulator, False))
    if several or not last:
        found.append(("accumulator", accumulator, True))
    if last:
        found.append(("bias", _run(instruction["bias_base"], 1), False))
        found.append(("output", _run(instruction["out_base"], pixels), True))
        if instruction["neuron_bounds"]:
            words = bound_places(instruction, config.bounds) // config.bounds_per_lane
            found.append(("bound", words, False))
    return found


def layer_schedule(program: Program) -> Iterator[InstructionAccess]:
    """For every instruction of ``program``, in order, which words it reads and writes."""
    for number, instruction in enumerate(program.instructions):
        where = f"instruction {number} ({instruction.opcode.name})"
        accesses = instruction_accesses(instruction, program.config, program.memory_bytes, where)
        yield InstructionAccess(number, UNITS.get(instruction.opcode), accesses)
