"""The register map as Python values, read from `csr.rdl`: for register block, test bench and documents.

>>> REGISTERS["STATUS"].offset
8
>>> REGISTERS["STATUS"].field("code").extract(0x0000_0304)
3
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

from systemrdl import RDLCompileError, RDLCompiler
from systemrdl.node import FieldNode, RegNode
from systemrdl.rdltypes import AccessType, OnWriteType

from fitact_hw.errors import FitActError
from fitact_hw.interrupts import held_back

SOURCE = Path(__file__).with_name("csr.rdl")

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
class RegisterField:
    """Bits ``lsb + bits - 1 .. lsb`` of a register."""

    name: str
    lsb: int
    bits: int
    reset: int
    kind: FieldKind
    doc: str

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
    return RegisterField(item.inst_name, item.low, item.width, reset, _kind(item), doc)


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


@lru_cache(maxsize=2)
def machine_registers(protection: bool) -> dict[str, Register]:
    """The registers of a machine with or without buffer protection."""
    return load(SOURCE, {"CHECKED": protection})


REGISTERS = machine_registers(True)
