"""The instruction set, defined once: Verilog decoder, compiler and documentation derive from these tables.

An instruction takes `INSTRUCTION_BYTES` in memory, little endian; unused high bits are zero. Every
instruction starts with the header fields. Dependency flags follow TVM VTA: *previous* and *next*
are the neighbours in the chain load -> compute -> store.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from fitact_hw.config import SHIFT_BITS
from fitact_hw.errors import CompileError

INSTRUCTION_BYTES = 64

TOKEN_COUNT_BITS = 8
"""Width of a counter of tokens between two units (bits)."""

MOST_TOKENS = (1 << TOKEN_COUNT_BITS) - 1
"""What it can hold."""


class Opcode(IntEnum):
    """Operation, and with it the queue that executes it."""

    LOAD = 1
    GEMM = 2
    STORE = 3
    SYNC = 4
    FINISH = 5


class Buffer(IntEnum):
    """Target of a LOAD."""

    ACTIVATION = 0
    WEIGHT = 1
    BIAS = 2
    BOUND = 3


class AccMode(IntEnum):
    """What the first weight tile of a GEMM does with the accumulator; later tiles add (or take the maximum)."""

    OVERWRITE = 0
    ADD = 1
    MAX_OVERWRITE = 2
    MAX = 3


class ActMode(IntEnum):
    """Activation of the epilogue."""

    LINEAR = 0
    RELU = 1
    CLIP = 2
    SATURATE = 3


@dataclass(frozen=True)
class Field:
    """One unsigned bit field of an instruction."""

    name: str
    bits: int
    doc: str


HEADER = (
    Field("opcode", 4, "operation"),
    Field("pop_prev", 1, "wait for and take a token from the previous unit before starting"),
    Field("pop_next", 1, "wait for and take a token from the next unit before starting"),
    Field("push_prev", 1, "give a token to the previous unit when finished"),
    Field("push_next", 1, "give a token to the next unit when finished"),
)

LIMIT = "limit"
"""Field of LOAD that only a machine with a range check of parameters has, as wide as its `limit_bits`."""

LOAD_FIELDS = (
    Field("buffer", 2, "target: 0 activation, 1 weight, 2 bias, 3 bound"),
    Field("buffer_base", 16, "first buffer word written"),
    Field("mem_addr", 32, "byte address of the first word; aligned to the word's size in memory"),
    Field("cols", 16, "words read per row (>= 1)"),
    Field("rows", 16, "rows read per plane (>= 1)"),
    Field("planes", 16, "planes (>= 1)"),
    Field("row_stride", 32, "bytes from one row to the next"),
    Field("plane_stride", 32, "bytes from one plane to the next"),
    Field("pad_left", 8, "zero words written before each row"),
    Field("pad_right", 8, "zero words written after each row"),
    Field("pad_top", 8, "zero rows written before each plane"),
    Field("pad_bottom", 8, "zero rows written after each plane"),
    Field(
        LIMIT,
        64,
        "range check of parameters: largest magnitude that passes, or number of magnitude bits (low 6 bits used); "
        "0 and not looked at in a machine without",
    ),
)

GEMM_FIELDS = (
    Field("act_base", 16, "activation word of the first pixel for kernel row 0, column 0, channel tile 0"),
    Field("kernel_row_stride", 16, "activation words from one kernel row to the next"),
    Field("channel_stride", 16, "activation words from one input-channel tile to the next"),
    Field("image_stride", 16, "activation words from one image to the next"),
    Field("row_stride", 16, "activation words from one output row to the next"),
    Field("col_stride", 8, "activation words from one output column to the next"),
    Field("kernel_rows", 8, "kernel rows (>= 1)"),
    Field("kernel_cols", 8, "kernel columns (>= 1); consecutive columns are consecutive words"),
    Field("channel_tiles", 16, "input-channel tiles (>= 1)"),
    Field("images", 8, "images (>= 1)"),
    Field("rows", 16, "output rows (>= 1)"),
    Field("cols", 16, "output columns (>= 1)"),
    Field(
        "weight_base",
        16,
        "first weight word; a weight tile is one word per array row, tiles follow each other",
    ),
    Field(
        "weight_stride",
        16,
        "weight words from one tile to the next; 0 uses one tile for all (pools, residuals)",
    ),
    Field("acc_base", 16, "accumulator word of the first pixel; pixels follow each other"),
    Field("acc_mode", 2, "0 overwrite then add, 1 add, 2 overwrite then maximum, 3 maximum"),
    Field("lshift", SHIFT_BITS, "left shift of every array result before it is accumulated"),
    Field("epilogue", 1, "results of the last weight tile go through the lanes to the output buffer"),
    Field("act_mode", 2, "0 linear, 1 ReLU, 2 clip (zero above the bound), 3 saturate"),
    Field(
        "neuron_bounds",
        1,
        "1: bounds from the bound buffer, for each neuron, patch or channel as the machine has them; 0: layer_bound",
    ),
    Field(
        "layer_bound",
        32,
        "bound of every neuron when neuron_bounds = 0 (signed, low word_bits used); else the base of 4-bit codes",
    ),
    Field(
        "bound_base",
        16,
        "bound of pixel (0, 0), counted within a lane (a word of codes holds several); restarts with every image",
    ),
    Field("bias_base", 16, "bias word (bias and shift of each column)"),
    Field("out_base", 16, "output word of the first pixel; pixels follow each other"),
)

STORE_FIELDS = (
    Field("buffer_base", 16, "first output buffer word read; words are read consecutively"),
    Field("mem_addr", 32, "byte address of the first word; aligned to the word's size in memory"),
    Field("cols", 16, "words written per row (>= 1)"),
    Field("rows", 16, "rows per plane (>= 1)"),
    Field("planes", 16, "planes (>= 1)"),
    Field("row_stride", 32, "bytes from one row to the next"),
    Field("plane_stride", 32, "bytes from one plane to the next"),
)

FIELDS: dict[Opcode, tuple[Field, ...]] = {
    Opcode.LOAD: HEADER + LOAD_FIELDS,
    Opcode.GEMM: HEADER + GEMM_FIELDS,
    Opcode.STORE: HEADER + STORE_FIELDS,
    Opcode.SYNC: HEADER,
    Opcode.FINISH: HEADER,
}

DOCS: dict[Opcode, str] = {
    Opcode.LOAD: "Strided DMA from memory into one buffer, with zero padding; words are written consecutively.",
    Opcode.GEMM: "One output tile: loops over kernel row, kernel column, channel tile (outer) and image, row, column.",
    Opcode.STORE: "Strided DMA from the output buffer to memory.",
    Opcode.SYNC: "Compute-queue instruction without work: passes tokens on (store -> compute -> load).",
    Opcode.FINISH: "Waits until every unit is idle, then raises done.",
}


def offsets(opcode: Opcode) -> dict[str, int]:
    """Bit offset of each field of ``opcode``; fields are packed from bit 0 upwards in table order."""
    result, position = {}, 0
    for item in FIELDS[opcode]:
        result[item.name] = position
        position += item.bits
    return result


def largest(opcode: Opcode, name: str) -> int:
    """The largest value of a field. Raises KeyError if ``opcode`` has no such field."""
    return (1 << {item.name: item.bits for item in FIELDS[opcode]}[name]) - 1


def used_bits(opcode: Opcode) -> int:
    """Bits of ``opcode`` that carry fields (<= 8 * INSTRUCTION_BYTES)."""
    return sum(item.bits for item in FIELDS[opcode])


@dataclass(frozen=True)
class Instruction:
    """One instruction: an opcode and the values of its fields (absent fields are 0)."""

    opcode: Opcode
    fields: dict[str, int]

    def __getitem__(self, name: str) -> int:
        return self.fields.get(name, 0)

    def encode(self) -> bytes:
        """Little-endian memory image. Raises CompileError for an unknown field or a value that does not fit."""
        known = {item.name: item for item in FIELDS[self.opcode]}
        place = offsets(self.opcode)
        value = int(self.opcode)
        for name, number in self.fields.items():
            if name not in known or name == "opcode":
                raise CompileError(f"{self.opcode.name} has no field {name!r}")
            if not 0 <= number < 1 << known[name].bits:
                raise CompileError(f"{self.opcode.name}.{name}={number} does not fit {known[name].bits} bits")
            value |= number << place[name]
        return value.to_bytes(INSTRUCTION_BYTES, "little")

    @staticmethod
    def decode(data: bytes) -> Instruction:
        """Inverse of :meth:`encode`. Raises CompileError for an unknown opcode."""
        value = int.from_bytes(data[:INSTRUCTION_BYTES], "little")
        code = value & 0xF
        if code not in Opcode._value2member_map_:
            raise CompileError(f"unknown opcode {code}")
        opcode = Opcode(code)
        place = offsets(opcode)
        fields = {f.name: value >> place[f.name] & (1 << f.bits) - 1 for f in FIELDS[opcode] if f.name != "opcode"}
        return Instruction(opcode, fields)
