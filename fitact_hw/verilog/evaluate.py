"""Numbers and widths of Verilog expressions, for the connection check and the list of fault sites."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from fitact_hw.verilog.ast import Node, indexed_select, node, show
from fitact_hw.verilog.errors import GeneratorError

_BINARY: dict[str, Callable[[int, int], int]] = {
    "Plus": lambda a, b: a + b,
    "Minus": lambda a, b: a - b,
    "Times": lambda a, b: a * b,
    "Divide": lambda a, b: a // b,
    "Mod": lambda a, b: a % b,
    "Power": lambda a, b: a**b,
    "Sll": lambda a, b: a << b,
    "Srl": lambda a, b: a >> b,
    "LessThan": lambda a, b: int(a < b),
    "GreaterThan": lambda a, b: int(a > b),
    "LessEq": lambda a, b: int(a <= b),
    "GreaterEq": lambda a, b: int(a >= b),
    "Eq": lambda a, b: int(a == b),
    "NotEq": lambda a, b: int(a != b),
    "And": lambda a, b: a & b,
    "Or": lambda a, b: a | b,
    "Xor": lambda a, b: a ^ b,
    "Land": lambda a, b: int(bool(a) and bool(b)),
    "Lor": lambda a, b: int(bool(a) or bool(b)),
}
_UNARY: dict[str, Callable[[int], int]] = {
    "Uminus": lambda a: -a,
    "Uplus": lambda a: a,
    "Ulnot": lambda a: int(not a),
    "Unot": lambda a: ~a,
    "Uor": lambda a: int(a != 0),
}
_ONE_BIT = ("LessThan", "GreaterThan", "LessEq", "GreaterEq", "Eq", "NotEq", "Eql", "NotEql", "Land", "Lor")
_ONE_BIT_UNARY = ("Ulnot", "Uand", "Uor", "Uxor", "Unand", "Unor", "Uxnor")
_SHIFTS = ("Sll", "Srl", "Sla", "Sra")
INTEGER_BITS = 32
"""Width of an unsized number or of a parameter without a range."""


@dataclass(frozen=True)
class Signal:
    """A net or register: ``width`` bits per word, ``depth`` words (1 unless it is an array)."""

    width: int
    depth: int = 1


@dataclass
class Scope:
    """Names visible at one place: constants (parameters, genvars) and signals; inner before outer."""

    constants: dict[str, int] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)
    parent: Scope | None = None
    prefix: str = ""
    """Path of the generate blocks around, with a dot at the end."""

    def constant(self, name: str) -> int | None:
        """Value of a parameter or genvar, or None."""
        if name in self.constants:
            return self.constants[name]
        return self.parent.constant(name) if self.parent else None

    def signal(self, name: str) -> Signal | None:
        """The net or register called ``name``, or None."""
        if name in self.signals:
            return self.signals[name]
        return self.parent.signal(name) if self.parent else None

    def home(self, name: str) -> Scope | None:
        """The scope that declares the signal ``name``, or None."""
        if name in self.signals:
            return self
        return self.parent.home(name) if self.parent else None


_NUMBER = re.compile(r"(\d*)'s?([bodhBODH])([0-9a-fA-F_xzXZ]+)$")
_BASES = {"b": 2, "o": 8, "d": 10, "h": 16}


def number(text: str) -> tuple[int, int]:
    """(value, width in bits) of a Verilog number. Raises GeneratorError for one with x or z."""
    match = _NUMBER.match(text.replace(" ", ""))
    try:
        if not match:
            return int(text.replace("_", "")), INTEGER_BITS
        width, base, digits = match.groups()
        return int(digits.replace("_", ""), _BASES[base.lower()]), int(width or INTEGER_BITS)
    except ValueError:
        raise GeneratorError(f"number {text!r} has no plain value") from None


def value(item: Node, scope: Scope) -> int:
    """Value of a constant expression. Raises GeneratorError if it is not one."""
    if isinstance(item, node.Rvalue | node.Lvalue):
        return value(item.var, scope)
    if isinstance(item, node.IntConst):
        return number(item.value)[0]
    if isinstance(item, node.Identifier):
        known = scope.constant(item.name)
        if known is None:
            raise GeneratorError(f"{item.name!r} is not a constant")
        return known
    kind = type(item).__name__
    if isinstance(item, node.Cond):
        return value(item.true_value if value(item.cond, scope) else item.false_value, scope)
    if kind in _UNARY:
        return _UNARY[kind](value(item.right, scope))
    if kind in _BINARY:
        return _BINARY[kind](value(item.left, scope), value(item.right, scope))
    if isinstance(item, node.SystemCall) and item.syscall == "clog2":
        return max(0, value(item.args[0], scope) - 1).bit_length()
    if isinstance(item, node.Partselect):
        low, bits = _select(item, scope)
        return value(item.var, scope) >> low & (1 << bits) - 1
    if isinstance(item, node.Concat | node.Repeat):
        return _joined(item, scope)
    raise GeneratorError(f"{kind} {show(item)!r} is not supported in a constant")


def _joined(item: Node, scope: Scope) -> int:
    parts = [item.value] * value(item.times, scope) if isinstance(item, node.Repeat) else item.list
    result = 0
    for part in parts:
        bits = width(part, scope)
        result = result << bits | value(part, scope) & (1 << bits) - 1
    return result


def _select(item: Node, scope: Scope) -> tuple[int, int]:
    indexed = indexed_select(item)
    if indexed:
        return value(indexed[0], scope), value(indexed[1], scope)
    low = value(item.lsb, scope)
    return low, value(item.msb, scope) - low + 1


def range_bits(item: Node | None, scope: Scope) -> int:
    """Bits (or words) of a ``[msb:lsb]`` node, 1 for None."""
    if item is None:
        return 1
    return abs(value(item.msb, scope) - value(item.lsb, scope)) + 1


def _signal(name: str, scope: Scope) -> Signal:
    signal = scope.signal(name)
    if signal is None:
        raise GeneratorError(f"{name!r} is not declared")
    return signal


def _part_width(item: Node, scope: Scope) -> int:
    indexed = indexed_select(item)
    if indexed:
        bits = value(indexed[1], scope)
        try:
            low = value(indexed[0], scope)
        except GeneratorError:
            return bits  # the place depends on a signal; only its width is known
    else:
        low, bits = _select(item, scope)
    if isinstance(item.var, node.Identifier) and scope.constant(item.var.name) is None:
        whole = _signal(item.var.name, scope).width
        if low < 0 or bits < 1 or low + bits > whole:
            raise GeneratorError(f"{show(item)} takes bits {low + bits - 1}..{low} of {whole}")
    return bits


def _pointer_width(item: Node, scope: Scope) -> int:
    if not isinstance(item.var, node.Identifier) or scope.constant(item.var.name) is not None:
        return 1
    signal = _signal(item.var.name, scope)
    try:
        index = value(item.ptr, scope)
    except GeneratorError:
        index = 0  # a signal as index: always inside as far as we can tell
    entries = signal.depth if signal.depth > 1 else signal.width
    if not 0 <= index < entries:
        raise GeneratorError(f"{show(item)} takes element {index} of {entries}")
    return signal.width if signal.depth > 1 else 1


def width(item: Node, scope: Scope) -> int:
    """Self-determined width of an expression (bits). Raises GeneratorError for a bad name or select."""
    if isinstance(item, node.Rvalue | node.Lvalue):
        return width(item.var, scope)
    if isinstance(item, node.IntConst):
        return number(item.value)[1]
    if isinstance(item, node.Identifier):
        known = scope.signal(item.name)
        if known is not None:
            return known.width
        if scope.constant(item.name) is not None:
            return INTEGER_BITS
        raise GeneratorError(f"{item.name!r} is not declared")
    if isinstance(item, node.Partselect):
        return _part_width(item, scope)
    if isinstance(item, node.Pointer):
        return _pointer_width(item, scope)
    if isinstance(item, node.Concat | node.LConcat):
        return sum(width(part, scope) for part in item.list)
    if isinstance(item, node.Repeat):
        return value(item.times, scope) * width(item.value, scope)
    if isinstance(item, node.Cond):
        return max(width(item.true_value, scope), width(item.false_value, scope))
    return _operator_width(item, scope)


def _operator_width(item: Node, scope: Scope) -> int:
    kind = type(item).__name__
    if kind in _ONE_BIT or kind in _ONE_BIT_UNARY:
        return 1
    if isinstance(item, node.UnaryOperator):
        return width(item.right, scope)
    if kind in _SHIFTS:
        return width(item.left, scope)
    if isinstance(item, node.Operator):
        return max(width(item.left, scope), width(item.right, scope))
    if isinstance(item, node.SystemCall) and item.syscall in ("signed", "unsigned"):
        return width(item.args[0], scope)
    return INTEGER_BITS
