"""What C++ and Python share: packed keys, records, enumerations and constants, defined here once.

:func:`header` is written as `fitact_layout.h` among the sources of a build.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from itertools import accumulate
from typing import Any

import numpy as np

from fitact_hw.config import AcceleratorConfig
from sim import clock
from sim.job import OPTIONS_DTYPE, TRACE_DTYPE

HEADER = "fitact_layout.h"

SIZES = "fitact_sizes.h"


class Key:
    """Fields of a 64-bit number, the most significant first. ``name``: of the C++ function that packs one."""

    def __init__(self, name: str, **widths: int) -> None:
        if sum(widths.values()) > 64:
            raise ValueError(f"{name} has {sum(widths.values())} bits")
        self.name, self.widths = name, widths
        lower = accumulate(list(widths.values())[:0:-1], initial=0)
        self.shifts = dict(zip(widths, list(lower)[::-1], strict=True))

    def pack(self, **values: Any) -> Any:
        """A key (int), or keys (uint64 arrays), of a value for every field; that values fit is not checked."""
        if values.keys() != self.widths.keys():
            raise ValueError(f"{self.name} takes {', '.join(self.widths)}")
        result = 0
        for field, shift in self.shifts.items():
            result = result | values[field] << shift
        return result

    def get(self, key: Any, field: str) -> Any:
        """One field of a key (int) or of keys (int64 or uint64), of the same type. Raises KeyError."""
        return key >> self.shifts[field] & (1 << self.widths[field]) - 1

    def get_bytes(self, keys: np.ndarray, field: str) -> np.ndarray:
        """A field of at most 8 bits as uint8: of tens of millions of keys, without 8 bytes more for each."""
        mask = np.uint8((1 << self.widths[field]) - 1)
        return (keys >> np.uint64(self.shifts[field])).astype(np.uint8) & mask

    def header(self) -> str:
        """The C++ function."""
        arguments = ", ".join(f"uint64_t {field}" for field in self.widths)
        packed = " | ".join(f"{field} << {shift}" for field, shift in self.shifts.items())
        return f"constexpr uint64_t {self.name}({arguments}) {{ return {packed}; }}"


ACCESS = Key("access_key", cycle=40, word=20, buffer=3, is_write=1)
"""An access of a buffer, as the engine records it."""

TOKEN_CHANGE = Key("token_key", cycle=40, counter=8, count=15, waits=1)
"""A new value of a token counter, or of whether its gate waits for a token."""

BLOCK_BYTES = 64
"""Unit of memory in the write log and in differences: the widest bus."""

WRITE_DTYPE = np.dtype(
    [
        ("cycle", np.uint64),
        ("address", np.uint64),
        ("block", np.uint64),
        ("before", np.uint8, BLOCK_BYTES),
        ("after", np.uint8, BLOCK_BYTES),
    ]
)
"""A beat written to memory: its address, and the aligned block around it before and after."""

REQUEST_DTYPE = np.dtype([("cycle", np.uint64), ("address", np.uint64), ("bytes", np.uint64)])
"""A burst of reads, accepted in ``cycle``."""


class Role(IntEnum):
    """What a register means when states are compared."""

    STATE = 0
    """Must be equal for states to be equal."""
    OBSERVER = 1
    """Nothing depends on it but what the host reads at the end."""
    PASSING = 2
    """The first group of registers that matter only while data pass through them; the next numbers are more groups."""


class End(IntEnum):
    """Why a faulty run was stopped (`fe_run_faulty`)."""

    RECONVERGED = 0
    """Its state is that of the fault-free run."""
    INTERRUPT = 1
    LIMIT = 2
    NEARLY = 3
    """Only buffers, PASSING registers and memory differ; buffers only at a boundary point."""


class Record(IntFlag):
    """What a fault-free run records beside its writes (`fe_record`)."""

    ACCESSES = 1
    """Accesses of buffers and memory, changes of token counters."""
    STATES = 2
    """Hashes of its states."""


_CONSTANTS = {
    "BLOCK_BYTES": BLOCK_BYTES,
    "HALF_PERIOD": clock.HALF_PERIOD,
    "PERIOD": clock.PERIOD,
    "RESET_CYCLES": clock.RESET_CYCLES,
    "CSR_LIMIT": clock.CSR_LIMIT,
}

_TYPES = {np.dtype(np.uint8): "uint8_t", np.dtype(np.int64): "int64_t", np.dtype(np.uint64): "uint64_t"}


def _struct(name: str, dtype: np.dtype) -> str:
    """The C++ struct of a dtype without padding."""
    fields = []
    for field in dtype.names or ():
        base, shape = dtype[field].base, dtype[field].shape
        fields.append(f"    {_TYPES[base]} {field}{''.join(f'[{size}]' for size in shape)};")
    size = f"static_assert(sizeof({name}) == {dtype.itemsize});"
    return "\n".join([f"struct {name} {{", *fields, "};", size])


def _enum(kind: type[IntEnum | IntFlag]) -> str:
    """The C++ enumeration of a Python one, with the same name and values."""
    return f"enum {kind.__name__} : int {{ {', '.join(f'{item.name} = {item.value}' for item in kind)} }};"


def header() -> str:
    """Text of the C++ header."""
    parts = [
        "// Generated by sim/engine/layout.py, where everything here is explained.",
        "#pragma once\n\n#include <cstdint>\n\nnamespace {\n",
        *(f"constexpr int {name} = {value};" for name, value in _CONSTANTS.items()),
        "",
        *(key.header() for key in (ACCESS, TOKEN_CHANGE)),
        "",
        *(_enum(kind) for kind in (Role, End, Record)),
        "",
        _struct("Write", WRITE_DTYPE),
        _struct("Request", REQUEST_DTYPE),
        _struct("Options", OPTIONS_DTYPE),
        _struct("TraceEvent", TRACE_DTYPE),
        "\n}  // namespace\n",
    ]
    return "\n".join(parts)


def sizes(config: AcceleratorConfig, *, behavioural: bool) -> str:
    """Text of the header SIZES: the array of a machine, and whether C++ computes what it does."""
    numbers = {"SIDE": config.side, "DATA_W": config.word_bits, "ACC_W": config.acc_bits}
    lines = [
        "// Generated by sim/engine/layout.py.",
        "#pragma once\n\n#include <cstdint>\n\nnamespace {\n",
        *(f"constexpr uint32_t {name} = {number};" for name, number in numbers.items()),
        f"constexpr bool BEHAVIOURAL = {str(behavioural).lower()};",
        "\n}  // namespace\n",
    ]
    return "\n".join(lines)
