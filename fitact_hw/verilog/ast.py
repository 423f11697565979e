"""The thin layer over pyverilog, and its only importer: parse text, print expressions, hand out node classes.

pyverilog keeps no difference between ``a[i +: w]`` and ``a[i:i+w]``: its parser builds the same node and
merely reuses the base expression. :func:`indexed_select` finds that reuse, and the printer restores the text.
Comments and directives are lost on parsing, so `fitact_hw.verilog.module` prints them itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pyverilog.ast_code_generator.codegen import ASTCodeGenerator
from pyverilog.vparser import ast as node
from pyverilog.vparser.parser import ParseError, VerilogParser

from fitact_hw.verilog.errors import GeneratorError

Node = Any
"""A pyverilog node (the package has no types)."""

__all__ = [
    "Node",
    "children",
    "expression",
    "indexed_select",
    "node",
    "parse_module",
    "parse_modules",
    "show",
]


@lru_cache(maxsize=1)
def _parser() -> VerilogParser:
    # Its tables take most of a second to build: one parser per process. They are not worth keeping on disk.
    with tempfile.TemporaryDirectory() as folder:
        return VerilogParser(outputdir=folder, debug=False)


def _parse(text: str, what: str) -> tuple[Node, ...]:
    parser = _parser()
    parser.lexer.reset_lineno()
    try:
        return tuple(parser.parse(text).description.definitions)
    except ParseError as error:
        raise GeneratorError(f"{what} is not Verilog that pyverilog reads: {' '.join(str(error).split())}") from None


@lru_cache(maxsize=512)
def parse_modules(text: str, what: str = "source") -> tuple[Node, ...]:
    """All ``ModuleDef`` nodes of a source text. Raises GeneratorError with the line of a syntax error."""
    return tuple(item for item in _parse(text, what) if isinstance(item, node.ModuleDef))


def parse_module(text: str, what: str = "source") -> Node:
    """The only ``ModuleDef`` of a source text. Raises GeneratorError if there is none or more than one."""
    modules = parse_modules(text, what)
    if len(modules) != 1:
        raise GeneratorError(f"{what} must hold exactly one module, found {len(modules)}")
    return modules[0]


@lru_cache(maxsize=8192)
def expression(text: str) -> Node:
    """The expression node of ``text``, e.g. ``"act[c*DATA_W +: DATA_W]"``. Raises GeneratorError."""
    module = _parse(f"module m; assign y = {text}; endmodule", f"expression {text!r}")[0]
    return module.items[0].right.var


def children(item: Node) -> Iterator[Node]:
    """Every node below ``item``, itself included, in source order."""
    yield item
    for child in item.children() or ():
        if child is not None:
            yield from children(child)


def indexed_select(select: Node) -> tuple[Node, Node] | None:
    """(base, width) of ``a[base +: width]``; None for ``a[msb:lsb]``. Raises GeneratorError for ``-:``."""
    if isinstance(select.lsb, node.Plus) and select.lsb.left is select.msb:
        return select.msb, select.lsb.right
    if isinstance(select.lsb, node.Minus) and select.lsb.left is select.msb:
        raise GeneratorError(f"{show(select.var)}[... -: ...] is not supported: write +:")
    return None


class Printer(ASTCodeGenerator):
    """pyverilog's expression printer with indexed selects restored and the spacing that people use."""

    def _bare(self, item: Node) -> str:
        # The templates put every operator into parentheses; outermost ones say nothing.
        text: str = self.visit(item)
        outer = text.startswith("(") and text.endswith(")") and isinstance(item, node.Operator)
        return text[1:-1] if outer else text

    def _tight(self, item: Node) -> str:
        return self._bare(item).replace(" ", "")

    def visit_Partselect(self, item: Node) -> str:
        indexed = indexed_select(item)
        if indexed:
            return f"{self.visit(item.var)}[{self._tight(indexed[0])} +: {self._tight(indexed[1])}]"
        return f"{self.visit(item.var)}[{self._tight(item.msb)}:{self._tight(item.lsb)}]"

    def visit_Pointer(self, item: Node) -> str:
        return f"{self.visit(item.var)}[{self._tight(item.ptr)}]"

    def visit_Width(self, item: Node) -> str:
        return f"[{self._tight(item.msb)}:{self._tight(item.lsb)}]"

    def visit_Concat(self, item: Node) -> str:
        return "{" + ", ".join(self._bare(part) for part in item.list) + "}"

    def visit_Repeat(self, item: Node) -> str:
        repeated = self.visit(item.value)
        return "{" + self._tight(item.times) + (repeated if repeated.startswith("{") else f"{{{repeated}}}") + "}"

    def visit_Cond(self, item: Node) -> str:
        return f"({self._bare(item.cond)} ? {self._bare(item.true_value)} : {self._bare(item.false_value)})"


@lru_cache(maxsize=1)
def _printer() -> Printer:
    return Printer(indentsize=4)


def show(item: Node) -> str:
    """Verilog text of an expression or a width node."""
    return _printer()._bare(item)
