"""The register map as Python values, read from `csr.rdl`: for register block, test bench and documents.

>>> REGISTERS["STATUS"].offset
8
>>> REGISTERS["STATUS"].field("code").extract(0x0000_0304)
3
>>> StatusWord.of(0x0000_0304, False)
StatusWord(busy=False, done=False, error=True, detected=False, code=3, clamped=False, alarm=False)

`fitact_hw/registers.py` holds the same map's error codes and CONTROL bits as Python enumerations.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import lru_cache
from pathlib import Path

from systemrdl import RDLCompileError, RDLCompiler
from systemrdl.node import FieldNode, RegNode
from systemrdl.rdltypes import AccessType, OnWriteType

from fitact_hw.errors import FitActError
from fitact_hw.interrupts import held_back

SOURCE = Path(__file__).with_name("csr.rdl")

CONSTANTS = Path(__file__).with_name("registers.py")
"""Where :func:`constants_py` is kept."""

CONSTANTS_LINE = 120
"""Longest line there."""

REGISTER_BYTES = 4
"""Every register is one 32-bit word."""


class RegisterMapError(FitActError):
    """`csr.rdl` cannot be read or asks for a kind of field that the register block does not know."""


class FieldKind(Enum):
    """What hardware a field needs."""

    CONSTANT = "read only, constant"
    PULSE = "write 1: one-cycle pulse; reads 0"
    STORED = "read and write"
    INPUT = "read only, from hardware"
    STICKY = "set by hardware, write 1 to clear"


@dataclass(frozen=True)
class Encoding:
    """A value of a field that has a name."""

    name: str
    value: int
    doc: str


@dataclass(frozen=True)
class RegisterField:
    """Bits ``lsb + bits - 1 .. lsb`` of a register; ``encoding``: its values, if they have names."""

    name: str
    lsb: int
    bits: int
    reset: int
    kind: FieldKind
    doc: str
    encoding: tuple[Encoding, ...] = ()

    @property
    def mask(self) -> int:
        """Ones at the field's place in its register."""
        return ((1 << self.bits) - 1) << self.lsb

    def extract(self, word: int) -> int:
        """The field's value in the register value ``word``."""
        return (word & self.mask) >> self.lsb

    def insert(self, value: int) -> int:
        """``value`` at the field's place. Raises RegisterMapError if it does not fit."""
        if not 0 <= value < 1 << self.bits:
            raise RegisterMapError(f"{self.name}={value} does not fit {self.bits} bits")
        return value << self.lsb

    def value_of(self, name: str) -> int:
        """The value called ``name``. Raises RegisterMapError, naming the values there are."""
        for item in self.encoding:
            if item.name == name:
                return item.value
        known = ", ".join(item.name for item in self.encoding) or "no named values"
        raise RegisterMapError(f"{self.name} has no value {name!r}: it has {known}")


@dataclass(frozen=True)
class Register:
    """One 32-bit register at byte ``offset``."""

    name: str
    offset: int
    title: str
    doc: str
    fields: tuple[RegisterField, ...]

    def field(self, name: str) -> RegisterField:
        """The field called ``name``. Raises RegisterMapError, naming the fields there are."""
        for item in self.fields:
            if item.name == name:
                return item
        raise RegisterMapError(f"{self.name} has no field {name!r}: it has {', '.join(f.name for f in self.fields)}")


def _kind(item: FieldNode) -> FieldKind:
    software, hardware = item.get_property("sw"), item.get_property("hw")
    if software is AccessType.r:
        return FieldKind.CONSTANT if hardware is AccessType.na else FieldKind.INPUT
    if software is AccessType.w and item.get_property("singlepulse"):
        return FieldKind.PULSE
    if software is AccessType.rw and item.get_property("onwrite") is OnWriteType.woclr:
        return FieldKind.STICKY
    if software is AccessType.rw and item.get_property("onwrite") is None and hardware is AccessType.r:
        return FieldKind.STORED
    raise RegisterMapError(f"csr.rdl: {item.get_path()} is of a kind the register block does not know")


def _field(item: FieldNode) -> RegisterField:
    doc = item.get_property("desc") or ""
    reset = item.get_property("reset") or 0
    if not isinstance(reset, int):
        raise RegisterMapError(f"csr.rdl: {item.get_path()} must have a number as its reset value")
    encoding = tuple(Encoding(e.name, e.value, e.rdl_desc or "") for e in item.get_property("encode") or ())
    return RegisterField(item.inst_name, item.low, item.width, reset, _kind(item), doc, encoding)


def _register(item: RegNode) -> Register:
    fields = tuple(_field(field) for field in item.fields())
    return Register(
        item.inst_name,
        item.absolute_address,
        item.get_property("name"),
        item.get_property("desc") or "",
        fields,
    )


def load(source: Path = SOURCE, parameters: dict[str, bool] | None = None) -> dict[str, Register]:
    """Read a register map with its parameters, in address order. Raises RegisterMapError."""
    compiler = RDLCompiler()
    try:
        with held_back():  # its parser is C++ that builds Python objects: a Ctrl-C in there was lost
            compiler.compile_file(str(source))
        top = compiler.elaborate(parameters={**(parameters or {})}).top
    except (RDLCompileError, OSError) as error:
        raise RegisterMapError(f"{source.name}: {' '.join(str(error).split())}") from None
    registers = [_register(item) for item in top.registers()]
    return {register.name: register for register in registers}


@lru_cache(maxsize=8)
def machine_registers(protection: bool, clamp_alarm: bool = False, range_check: bool = False) -> dict[str, Register]:
    """The registers of a machine with or without each of these parts."""
    return load(SOURCE, {"CHECKED": protection, "ALARM": clamp_alarm, "RANGED": range_check})


REGISTERS = machine_registers(True, True, True)
"""Of a machine that has everything."""


@dataclass(frozen=True)
class StatusWord:
    """The fields of STATUS. ``code``: an ErrorCode of `fitact_hw.registers`, or what an upset made of one."""

    busy: bool
    done: bool
    error: bool
    detected: bool
    code: int
    clamped: bool = False
    alarm: bool = False

    @staticmethod
    def of(word: int, *parts: bool) -> StatusWord:
        """From the register value ``word`` of a machine with ``parts``, as :func:`machine_registers` takes them; a
        field that it lacks is False."""
        values = {item.name: item.extract(word) for item in machine_registers(*parts)["STATUS"].fields}
        flags = {item.name: bool(values.get(item.name, 0)) for item in fields(StatusWord) if item.name != "code"}
        return StatusWord(**flags, code=values["code"])


def clamp_place(word: int) -> tuple[int, int]:
    """Of the register value of CLAMP_FIRST: compute instructions that had retired before, lane."""
    register = REGISTERS["CLAMP_FIRST"]
    return register.field("instruction").extract(word), register.field("lane").extract(word)


def range_hits(registers: Mapping[str, int] | None) -> int:
    """The count of the range check of parameters, from register values by name; 0 where there is none."""
    return REGISTERS["RANGE_HITS"].field("count").extract((registers or {}).get("RANGE_HITS", 0))


def _docstring(doc: str) -> list[str]:
    """Lines of a member's docstring."""
    first, *more = textwrap.wrap(doc, CONSTANTS_LINE - 10)
    return [f'    """{first}"""'] if not more else [f'    """{first}', *(f"    {line}" for line in more), '    """']


def constants_py() -> str:
    """Text of `fitact_hw/registers.py`."""
    control, codes = REGISTERS["CONTROL"], REGISTERS["STATUS"].field("code").encoding
    lines = [
        '"""Constants of the register map. Made from `csr.rdl` by `csr.py` (`make docs`): do not edit."""',
        "",
        "from enum import IntEnum, IntFlag",
        "",
        "",
        "class ErrorCode(IntEnum):",
        '    """STATUS.code: why the machine halted."""',
    ]
    for item in codes:
        lines += ["", f"    {item.name.upper()} = {item.value}", *_docstring(item.doc)]
    lines += ["", "", "class Control(IntFlag):", '    """The bits of CONTROL."""']
    for field in control.fields:
        lines += ["", f"    {field.name.upper()} = {field.mask:#x}", *_docstring(field.doc)]
    return "\n".join(lines) + "\n"
