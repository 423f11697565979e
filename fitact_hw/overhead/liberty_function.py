"""Boolean functions of Liberty files, as the Liberty manual defines them.

``'`` behind and ``!`` before an operand invert it; ``^`` binds tighter than AND (``*``, ``&`` or just a space), which
binds tighter than OR (``+``, ``|``).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping

Value = Callable[[Mapping[str, bool]], bool]

_TOKEN = re.compile(r"\s*([\w.\[\]$]+|[!'*&+|^()])")


class FunctionError(ValueError):
    """A text that is no Liberty function of the given pins."""


def truth_table(function: str, pins: list[str]) -> str | None:
    """Truth table of a Liberty function, first pin slowest; None if it is no function of these pins."""
    try:
        value = _Parser(function, pins).whole()
    except FunctionError:
        return None
    rows = itertools.product((False, True), repeat=len(pins))
    return "".join("1" if value(dict(zip(pins, row, strict=True))) else "0" for row in rows)


class _Parser:
    """Recursive descent, from the loosest operator to the tightest."""

    def __init__(self, function: str, pins: list[str]) -> None:
        self._pins, self._tokens, position = pins, list[str](), 0
        text = function.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise FunctionError(text)
            self._tokens.append(match.group(1))
            position = match.end()

    def whole(self) -> Value:
        value = self._either()
        if self._tokens:
            raise FunctionError(self._tokens[0])
        return value

    def _next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _either(self) -> Value:
        value = self._both()
        while self._next() in ("+", "|"):
            self._tokens.pop(0)
            value = _or(value, self._both())
        return value

    def _both(self) -> Value:
        value = self._differ()
        while self._next() not in ("", ")", "+", "|"):
            if self._next() in ("*", "&"):
                self._tokens.pop(0)
            value = _and(value, self._differ())
        return value

    def _differ(self) -> Value:
        value = self._inverted()
        while self._next() == "^":
            self._tokens.pop(0)
            value = _xor(value, self._inverted())
        return value

    def _inverted(self) -> Value:
        if self._next() == "!":
            self._tokens.pop(0)
            return _not(self._inverted())
        value = self._operand()
        while self._next() == "'":
            self._tokens.pop(0)
            value = _not(value)
        return value

    def _operand(self) -> Value:
        token = self._tokens.pop(0) if self._tokens else ""
        if token == "(":
            value = self._either()
            if self._next() != ")":
                raise FunctionError("a bracket is not closed")
            self._tokens.pop(0)
            return value
        if token in self._pins:
            return lambda row: row[token]
        if token in ("0", "1"):
            return lambda row: token == "1"
        raise FunctionError(token)


def _not(a: Value) -> Value:
    return lambda row: not a(row)


def _and(a: Value, b: Value) -> Value:
    return lambda row: a(row) and b(row)


def _or(a: Value, b: Value) -> Value:
    return lambda row: a(row) or b(row)


def _xor(a: Value, b: Value) -> Value:
    return lambda row: a(row) != b(row)
