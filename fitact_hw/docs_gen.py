"""Writes the documents that are derived from one definition: registers, instructions, cells, configuration.

In `docs/reference/`: `registers.md` comes from `csr.rdl`, `instructions.md` from `isa.py`, `cells.md` from the header
comments, parameters and ports of `rtl/*.v`, `configuration.md` from the fields of `AcceleratorConfig`. A test compares
the files with what this module makes. `fitact_hw.cli.reference` adds the command line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fitact_hw import csr, isa
from fitact_hw.config import RANGES, AcceleratorConfig, BufferProtection
from fitact_hw.verilog import design, generate, leaf_cells
from fitact_hw.verilog.ast import parse_module
from fitact_hw.verilog.elaborate import ports
from fitact_hw.verilog.includes import includes

DOCS = Path(__file__).resolve().parents[1] / "docs"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a Markdown table."""
    names = list(header)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]


def _bits(lsb: int, bits: int) -> str:
    return str(lsb) if bits == 1 else f"{lsb + bits - 1}:{lsb}"


def registers_md() -> str:
    """Register map, for readers of the driver and of the test bench."""
    lines = [
        "# Registers",
        "",
        "Made from `fitact_hw/csr.rdl` by `fitact_hw/docs_gen.py`. 32-bit registers on AXI4-Lite",
        "(`s_axil_*`); an address without a register is answered with SLVERR. In Python:",
        "`fitact_hw.csr.REGISTERS`, with named values in `fitact_hw.registers`.",
        "",
        *table(("offset", "register", "what it is"), (
            (f"`{r.offset:#04x}`", f"[{r.name}](#{r.name.lower()})", r.doc) for r in csr.REGISTERS.values()
        )),
    ]  # fmt: skip
    for register in csr.REGISTERS.values():
        rows = (
            (_bits(f.lsb, f.bits), f"`{f.name}`", f.kind.value, f"`{f.reset:#x}`", f.doc or register.doc)
            for f in register.fields
        )
        lines += [
            "",
            f"## {register.name}",
            "",
            f"{register.title}, offset `{register.offset:#04x}`. {register.doc}",
            "",
        ]
        lines += table(("bits", "field", "access", "reset", "meaning"), rows)
        for names, encoding in _encodings(register):
            lines += ["", f"Values of {names}:", ""]
            lines += table(("value", "name", "meaning"), ((str(e.value), f"`{e.name}`", e.doc) for e in encoding))
    return "\n".join(lines) + "\n"


def _encodings(register: csr.Register) -> list[tuple[str, tuple[csr.Encoding, ...]]]:
    """Fields with named values, those with the same ones together."""
    names: dict[tuple[csr.Encoding, ...], list[str]] = {}
    for field in register.fields:
        if field.encoding:
            names.setdefault(field.encoding, []).append(f"`{field.name}`")
    return [(", ".join(fields), encoding) for encoding, fields in names.items()]


def instructions_md() -> str:
    """Instruction set with the place of every field."""
    lines = [
        "# Instructions",
        "",
        "Made from `fitact_hw/isa.py` by `fitact_hw/docs_gen.py`. An instruction takes "
        f"{isa.INSTRUCTION_BYTES} bytes in memory,",
        "little endian, at an address that is a multiple of that; bits above the last field are",
        "reserved and zero. All fields are unsigned unless said otherwise. Which of them stop the machine",
        "when they are wrong: `rtl/generated/fitact_decode.v`.",
        "",
        *table(("code", "operation", "what it does"), (
            (str(int(op)), f"[{op.name}](#{op.name.lower()})", isa.DOCS[op]) for op in isa.Opcode
        )),
        "",
        "## Every instruction",
        "",
        *table(("bits", "field", "meaning"), _field_rows(isa.Opcode.FINISH, isa.HEADER)),
    ]  # fmt: skip
    for opcode in isa.Opcode:
        own = isa.FIELDS[opcode][len(isa.HEADER) :]
        lines += ["", f"## {opcode.name}", "", isa.DOCS[opcode], ""]
        lines += table(("bits", "field", "meaning"), _field_rows(opcode, own)) if own else ["No further fields."]
    return "\n".join(lines) + "\n"


def _field_rows(opcode: isa.Opcode, fields: Iterable[isa.Field]) -> list[tuple[str, str, str]]:
    place = isa.offsets(opcode)
    return [(_bits(place[f.name], f.bits), f"`{f.name}`", f.doc) for f in fields]


def _header(source: str) -> str:
    """First paragraph of a file's header comment, as one line."""
    words: list[str] = []
    for line in source.splitlines():
        text = line.removeprefix("//").strip()
        if not line.startswith("//") or not text:
            break
        words.append(text)
    return " ".join(words)


def cells_md() -> str:
    """Table of the hand-written cells and of the composed modules."""
    rows = []
    for file, source in leaf_cells().items():
        module = parse_module(source, file)
        given = module.paramlist.params if module.paramlist else ()
        names = [item.name for declaration in given for item in declaration.list]
        count = sum(1 for _ in ports(module))
        rows.append((f"`{module.name}`", _header(source), " ".join(f"`{name}`" for name in names), str(count)))
    composed = generate(AcceleratorConfig())
    lines = [
        "# Cells",
        "",
        "Made by `fitact_hw/docs_gen.py`. `rtl/fitact_*.v` are hand-written and parameterised;",
        "`rtl/generated/` holds what `fitact_hw.verilog` composes from them for the default configuration.",
        "How they fit together: [machine.md](machine.md).",
        "",
        "## Leaf cells",
        "",
        *table(("cell", "what it is for", "parameters", "ports"), rows),
        "",
        "## Includes",
        "",
        "What several cells share, each made from one definition; tools need `rtl/` in their include path.",
        "",
        *table(("file", "what it holds"), ((f"`{name}`", _header(text)) for name, text in includes().items())),
        "",
        "## Composed modules",
        "",
    ]
    machine = design(AcceleratorConfig())
    composed_rows = []
    for name, source in sorted(composed.items()):
        module = name.removesuffix(".v")
        parts = Counter(instance.module for instance in machine.body(module).instances)
        contents = ", ".join(f"{count} `{cell}`" for cell, count in sorted(parts.items()))
        composed_rows.append((f"`{module}`", _header(source), contents or "logic only"))
    lines += table(("module", "what it is for", "made of"), composed_rows)
    return "\n".join(lines) + "\n"


def configuration_md() -> str:
    """Every field of a machine's TOML file, with its values and default."""
    lines = [
        "# Configuration",
        "",
        "Made from `fitact_hw/config.py` by `fitact_hw/docs_gen.py`: the fields of a machine's TOML file (`--config`,",
        "with make `CONFIG=`; [how to use it](../howto/own-machine.md)). Widths are in bits, depths in words.",
        "What cannot work is refused with the field and the reason.",
        "",
        *table(("field", "values", "default", "meaning"), _config_rows(AcceleratorConfig)),
        "",
        "## `protection`",
        "",
        'One word, e.g. `protection = "secded"`, means all buffers; a table `[protection]` names some:',
        "",
        *table(("buffer", "values", "default"), (row[:3] for row in _config_rows(BufferProtection))),
    ]
    return "\n".join(lines) + "\n"


def _config_rows(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    return [
        (f"`{name}`", _values(name, field), _default(field.default), field.description or "")
        for name, field in model.model_fields.items()
    ]


def _values(name: str, field: FieldInfo) -> str:
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{item.value}`" for item in kind)
    if kind is bool:
        return "`true`, `false`"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"[table or word](#{name})"
    return ", ".join(f"`{value}`" for value in get_args(kind)) or RANGES[name]


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def documents() -> dict[str, str]:
    """Path in `docs/` -> text of every document that this module makes."""
    made = {
        "registers": registers_md(), "instructions": instructions_md(), "cells": cells_md(),
        "configuration": configuration_md(),
    }  # fmt: skip
    return {f"reference/{name}.md": text for name, text in made.items()}


def write_docs(pages: Mapping[str, str], folder: Path = DOCS) -> list[Path]:
    """Write generated documents, path in ``folder`` -> text; returns their paths."""
    paths = []
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        paths.append(folder / name)
    return paths
