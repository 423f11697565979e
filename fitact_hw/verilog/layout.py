"""Prints a composed module the way a person would write it: aligned, sectioned, with its comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import groupby

from fitact_hw.verilog.ast import Node, node, show
from fitact_hw.verilog.module import Module

INDENT = "    "
LINE = 112
"""Longest line (characters); longer ones are broken between terms, longer comments go above their line."""

_KINDS = {"Wire": "wire", "Reg": "reg"}


def text(module: Module, origin: str) -> str:
    """The source file of ``module``; ``origin`` is the comment line that says how the file was made."""
    tree = module.tree()
    lines = [f"// {line}".rstrip() for line in (*module.header.split("\n"), "", *textwrap.wrap(origin, LINE - 3))]
    lines += [
        "",
        "`default_nettype none",
        "",
        f"module {tree.name}" + (" #(" if tree.paramlist.params else " ("),
    ]
    if tree.paramlist.params:
        lines += [*_parameters(tree.paramlist.params), ") ("]
    lines += [
        *_ports(tree.portlist.ports),
        ");",
        *_items(tree.items, INDENT),
        "",
        "endmodule",
        "",
        "`default_nettype wire",
    ]
    return "\n".join(lines) + "\n"


def _columns(rows: Iterable[tuple[str, ...]], indent: str = "") -> list[str]:
    """Pad every column but the last to its widest cell; the last cell is a comment or empty."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        code = indent + "".join(cell.ljust(size) for cell, size in zip(row, widths, strict=False))
        comment = row[-1]
        if comment and len(code) + len(comment) > LINE:
            lines.append("\n".join(_comment_lines(comment, indent)))
            comment = ""
        lines.append("\n".join(_broken((code + comment).rstrip(), indent)))
    return lines


def _comment_lines(text: str, indent: str) -> list[str]:
    words = text.strip().removeprefix("// ")
    return [f"{indent}// {line}" for line in textwrap.wrap(words, LINE - len(indent) - 3)]


def _broken(line: str, indent: str) -> list[str]:
    """``line`` in pieces that fit, cut behind an operator or a comma."""
    result = []
    while len(line) > LINE and "//" not in line:
        cut = max(line.rfind(mark, len(indent) + 8, LINE - 2) for mark in (" && ", " || ", ", ", " | ", " : "))
        if cut < 0:
            break
        cut = line.index(" ", cut + 1)
        result.append(line[:cut].rstrip())
        line = indent + 2 * INDENT + line[cut:].lstrip()
    return [*result, line]


def _comment(item: Node) -> str:
    return f"  // {item.comment}" if getattr(item, "comment", "") else ""


def _range_text(width: Node | None) -> str:
    return f"{show(width)} " if width is not None else ""


def _parameters(parameters: tuple[Node, ...]) -> list[str]:
    last = parameters[-1]
    rows = [
        (f"parameter {item.name} ", f"= {show(item.value.var)}{'' if item is last else ','}", _comment(item))
        for item in parameters
    ]
    return _columns(rows, INDENT)


def _ports(ports: tuple[Node, ...]) -> list[str]:
    signals = [port for port in ports if isinstance(port, node.Ioport)]
    rows = []
    for port in signals:
        direction = "input  wire " if isinstance(port.first, node.Input) else "output wire "
        comma = "" if port is signals[-1] else ","
        rows.append((direction, _range_text(port.first.width), f"{port.first.name}{comma}", _comment(port)))
    lines = iter(_columns(rows, INDENT))
    result: list[str] = []
    for port in ports:
        if isinstance(port, node.Ioport):
            line = next(lines)
            if line.strip().startswith("//"):
                result.append(line)
                line = next(lines)
            result.append(line)
        else:
            result += [*([""] if result else []), *_comment_lines(port.code, INDENT)]
    return result


def _items(items: Iterable[Node], indent: str) -> list[str]:
    lines: list[str] = []
    previous = ""
    for kind, group in groupby(items, key=_kind):
        for block in _group(kind, list(group), indent):
            if previous != "comment":
                lines.append("")
            lines += block
            previous = kind
    return lines[1:] if lines and indent != INDENT and lines[0] == "" else lines


def _kind(item: Node) -> str:
    if isinstance(item, node.EmbeddedCode):
        return "comment" if item.is_comment else "code"
    if isinstance(item, node.Decl):
        return {"Genvar": "genvar", "Localparam": "constant"}.get(type(item.list[0]).__name__, "declaration")
    return "assign" if isinstance(item, node.Assign) else "block"


def _group(kind: str, group: list[Node], indent: str) -> list[list[str]]:
    """The blocks of consecutive items of one kind; blank lines go between blocks."""
    if kind == "declaration":
        return [_declarations(group, indent)]
    if kind == "constant":
        return [_constants(group, indent)]
    if kind == "genvar":
        return [[f"{indent}genvar {', '.join(item.list[0].name for item in group)};"]]
    if kind == "assign":
        rows = [(f"assign {show(item.left.var)} ", f"= {show(item.right.var)};", _comment(item)) for item in group]
        return [_columns(rows, indent)]
    if kind == "block":
        return [_block(item, indent) for item in group]
    return [[f"{indent}{line}".rstrip() for line in item.code.split("\n")] for item in group]


def _constants(group: list[Node], indent: str) -> list[str]:
    rows = []
    for item in group:
        constant = item.list[0]
        name = f"localparam {_range_text(constant.width)}{constant.name} "
        rows.append((name, f"= {show(constant.value.var)};", _comment(item)))
    return _columns(rows, indent)


def _declarations(group: list[Node], indent: str) -> list[str]:
    rows = []
    for item in group:
        signal = item.list[0]
        value = f"= {show(item.list[1].right.var)}" if len(item.list) > 1 else ""
        kind = f"{_KINDS[type(signal).__name__]} "
        name = f"{signal.name} " if value else f"{signal.name};"
        rows.append((kind, _range_text(signal.width), name, value and f"{value};", _comment(item)))
    return _columns(rows, indent)


def _block(item: Node, indent: str) -> list[str]:
    lines = [f"{indent}// {line}" for line in item.comment.split("\n")] if getattr(item, "comment", "") else []
    if isinstance(item, node.InstanceList):
        return lines + _instance(item, indent)
    if isinstance(item, node.GenerateStatement):
        inner = _block(item.items[0], indent + INDENT)
        return [*lines, f"{indent}generate", *inner, f"{indent}endgenerate"]
    index, block = item.pre.left.var.name, item.statement
    start, step = show(item.pre.right.var), show(item.post.right.var)
    head = f"for ({index} = {start}; {show(item.cond)}; {index} = {step})"
    return [
        *lines,
        f"{indent}{head} begin : {block.scope}",
        *_items(block.statements, indent + INDENT),
        f"{indent}end",
    ]


def _instance(item: Node, indent: str) -> list[str]:
    instance = item.instances[0]
    lines = [f"{indent}{item.module} #("]
    if item.parameterlist:
        lines += _pins(((argument.paramname, argument.argname) for argument in item.parameterlist), indent)
        lines.append(f"{indent}) {instance.name} (")
    else:
        lines = [f"{indent}{item.module} {instance.name} ("]
    lines += _pins(((pin.portname, pin.argname) for pin in instance.portlist), indent)
    return [*lines, f"{indent});"]


def _pins(pins: Iterable[tuple[str, Node | None]], indent: str) -> list[str]:
    rows = [(f".{name} ", f"({show(value) if value is not None else ''})", "") for name, value in pins]
    lines = _columns(rows)
    return [f"{indent}{INDENT}{line}{',' if line is not lines[-1] else ''}" for line in lines]
