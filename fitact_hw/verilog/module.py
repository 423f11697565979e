"""Builds a composed module as a pyverilog tree, piece by piece, and keeps the comments beside it.

Everything a caller writes as text (widths, connections, right sides) is parsed at once, so a typing error
is reported where it was made. `fitact_hw.verilog.layout` prints the result.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fitact_hw.verilog.ast import Node, expression, node
from fitact_hw.verilog.errors import GeneratorError


class Module:
    """A Verilog module under construction.

    ``header`` is the comment that says what the module is for. Widths are texts like ``"ROWS*DATA_W"``
    (printed as ``[ROWS*DATA_W-1:0]``); None means one bit without a range.
    """

    def __init__(self, name: str, header: str) -> None:
        self.name = name
        self.header = textwrap.dedent(header).strip()
        self.parameters: list[Node] = []
        self.ports: list[Node] = []
        self.items: list[Node] = []
        self._open = self.items
        self._genvars: list[str] = []

    # Interface

    def parameter(self, name: str, value: int | str, comment: str = "") -> None:
        """Add a parameter with its default."""
        self.parameters.append(_noted(node.Parameter(name, node.Rvalue(expression(str(value)))), comment))

    def port_section(self, title: str) -> None:
        """Start a group of ports with a comment line."""
        self.ports.append(node.EmbeddedCode(f"// {title}"))

    def input(self, name: str, bits: str | int | None = None, comment: str = "") -> None:
        """Add an input net."""
        self._port(node.Input, name, bits, comment)

    def output(self, name: str, bits: str | int | None = None, comment: str = "") -> None:
        """Add an output net."""
        self._port(node.Output, name, bits, comment)

    def _port(self, kind: type[Node], name: str, bits: str | int | None, comment: str) -> None:
        if any(isinstance(port, node.Ioport) and port.first.name == name for port in self.ports):
            raise GeneratorError(f"{self.name}: port {name} is declared twice")
        port = node.Ioport(kind(name, width=_range(bits)), node.Wire(name, width=_range(bits)))
        self.ports.append(_noted(port, comment))

    # Body

    def section(self, title: str) -> None:
        """A blank line and a comment line."""
        item = node.EmbeddedCode("\n".join(f"// {line}" for line in textwrap.dedent(title).split("\n")))
        item.is_comment = True
        self._open.append(item)

    def localparam(self, name: str, value: int | str, comment: str = "", bits: str | int | None = None) -> None:
        """Add a local constant."""
        item = node.Localparam(name, node.Rvalue(expression(str(value))), width=_range(bits))
        self._open.append(_noted(node.Decl((item,)), comment))

    def wire(self, name: str, bits: str | int | None = None, comment: str = "", value: str = "") -> None:
        """Declare a net, driven by the expression ``value`` if that is given."""
        parts = [node.Wire(name, width=_range(bits))]
        if value:
            parts.append(node.Assign(node.Lvalue(node.Identifier(name)), node.Rvalue(expression(value))))
        self._open.append(_noted(node.Decl(tuple(parts)), comment))

    def unused(self, reason: str, *signals: str) -> None:
        """Say that nothing reads ``signals`` and why; the lint skips a net of this name."""
        self.section(reason)
        self.wire("unused", value="&{1'b0, " + ", ".join(signals) + "}")

    def register(self, name: str, bits: str | int | None = None, comment: str = "") -> None:
        """Declare a register; its behaviour comes with :meth:`code`."""
        self._open.append(_noted(node.Decl((node.Reg(name, width=_range(bits)),)), comment))

    def assign(self, target: str, source: str, comment: str = "") -> None:
        """Add a continuous assignment."""
        item = node.Assign(node.Lvalue(expression(target)), node.Rvalue(expression(source)))
        self._open.append(_noted(item, comment))

    def code(self, text: str) -> None:
        """Add behaviour (``always`` blocks) as written; it is parsed together with the finished module."""
        item = node.EmbeddedCode(textwrap.dedent(text).strip("\n"))
        item.is_comment = False
        self._open.append(item)

    def instance(
        self,
        module: str,
        name: str,
        parameters: Mapping[str, str],
        connections: Mapping[str, str | None],
        comment: str = "",
    ) -> None:
        """Instantiate ``module``; connections by name, None leaves an output open."""
        arguments = tuple(node.ParamArg(key, expression(text)) for key, text in parameters.items())
        pins = tuple(node.PortArg(key, expression(text) if text else None) for key, text in connections.items())
        item = node.InstanceList(module, arguments, (node.Instance(module, name, pins, arguments),))
        self._open.append(_noted(item, comment))

    @contextmanager
    def loop(self, variable: str, count: str, label: str, comment: str = "") -> Iterator[None]:
        """Everything added inside is generated for ``variable`` = 0 .. ``count`` - 1 in block ``label``.

        pyverilog and readers alike want one generate region for each outer loop.
        """
        outer, inner = self._open, []  # type: ignore[var-annotated]
        if variable not in self._genvars:
            self._genvars.append(variable)
        self._open = inner
        yield
        self._open = outer
        index = node.Identifier(variable)
        block = node.ForStatement(
            node.BlockingSubstitution(node.Lvalue(index), node.Rvalue(expression("0"))),
            expression(f"{variable} < {count}"),
            node.BlockingSubstitution(node.Lvalue(index), node.Rvalue(expression(f"{variable} + 1"))),
            node.Block(tuple(inner), label),
        )
        item = block if outer is not self.items else node.GenerateStatement((block,))
        self._open.append(_noted(item, comment))

    def tree(self) -> Node:
        """The finished module as a pyverilog ``ModuleDef``."""
        genvars = tuple(node.Decl((node.Genvar(name),)) for name in self._genvars)
        return node.ModuleDef(
            self.name,
            node.Paramlist(tuple(self.parameters)),
            node.Portlist(tuple(self.ports)),
            (*genvars, *self.items),
        )


def same(*names: str) -> dict[str, str]:
    """Connections of ports to nets of the same names."""
    return {name: name for name in names}


def _noted(item: Node, comment: str) -> Node:
    item.comment = comment
    return item


def _range(bits: str | int | None) -> Node | None:
    """``[bits-1:0]``, written as people do: ``[7:0]`` for 8, ``[COLS:0]`` for COLS+1."""
    if bits is None:
        return None
    text = str(bits - 1) if isinstance(bits, int) else f"{bits}-1"
    high = text.removesuffix("+1-1") if text.endswith("+1-1") else text
    return node.Width(expression(high), node.IntConst("0"))
