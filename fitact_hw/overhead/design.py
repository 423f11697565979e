"""A design as unique modules with instance counts: what is mapped once and multiplied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fitact_hw.overhead import jobs
from fitact_hw.overhead.jobs import SynthesisError, cached, digest, run_job
from fitact_hw.overhead.worker import BLOCK

SRAM_MODULE = "fitact_sram"
"""Memories of this module become SRAM macros, unless they are shallow; others become flip-flops."""

LEAST_MACRO_WORDS = 8
"""A shallower buffer becomes flip-flops: no memory compiler makes such macros, and they would cost more."""

FLAT_MODULES = ("fitact_secded_encoder", "fitact_secded_decoder")
"""Modules that are mapped together with what they contain: a check matrix, which is a constant."""

MAX_FLOP_MEMORY_BITS = 1 << 14
"""A larger memory outside of `SRAM_MODULE` would become flip-flops by accident: an error."""

_CACHE_FORMAT = 4

_MODULE = re.compile(r"^module (\S+)\n(.*?)^end\n", re.M | re.S)
_ATTRIBUTE = re.compile(r"^ *attribute .*\n|^  parameter .*\n", re.M)
_PRIVATE = re.compile(r"(?<![\w\\$])\$(?!paramod)[^\s$]+\$[^\s]*")


@dataclass(frozen=True)
class Memory:
    """One inferred memory of ``width`` bits x ``depth`` words.

    ``name`` is the instance's name for macros, the memory's name in ``module`` for others; ``path`` its
    instance.
    """

    module: str
    name: str
    path: str
    width: int
    depth: int

    @property
    def bits(self) -> int:
        """Bits that it stores."""
        return self.width * self.depth


@dataclass(frozen=True)
class Block:
    """A unique module without its children, ready to be mapped: RTLIL text with the children as black boxes.

    ``name`` is the module's name in the Verilog source, ``key`` a hash of its content, ``count`` the number
    of instances in the design.
    """

    name: str
    count: int
    rtlil: str
    ports: Mapping[str, tuple[str, int]]

    @property
    def key(self) -> str:
        """Hash of the content: equal blocks of different designs are mapped once."""
        return digest(self.rtlil)


@dataclass(frozen=True)
class Design:
    """An elaborated design: blocks for mapping, memories as macros, memories as flip-flops."""

    top: str
    blocks: tuple[Block, ...]
    macros: tuple[Memory, ...]
    flop_memories: tuple[Memory, ...]


def base_name(module: str) -> str:
    """Source name of an elaborated module: ``$paramod\\fitact_pe\\DATA_W=...`` -> ``fitact_pe``."""
    match = re.match(r"\$paramod(?:\$[0-9a-f]+)?\\([^\\]+)", module)
    return match.group(1) if match else module.lstrip("\\")


def elaborate(
    files: Mapping[str, str],
    top: str,
    folder: Path,
    parameters: Mapping[str, int] | None = None,
    flatten: bool = False,
) -> Design:
    """Elaborate Verilog texts (file name -> text) from module ``top``; raises SynthesisError.

    ``flatten`` makes one block of everything; otherwise every unique module is a block of its own.
    """
    job = {
        "action": "elaborate",
        "files": sorted(files),
        "top": top,
        "parameters": dict(parameters or {}),
        "flatten": flatten,
        "flat_modules": list(FLAT_MODULES),
    }
    key = digest("elaborate", _CACHE_FORMAT, jobs.yosys_version(), job, dict(files))
    raw = cached(folder, key, lambda: run_job(job, dict(files)))
    modules, top = raw["modules"], raw["top"]
    bodies = {match.group(1).removeprefix("\\"): match.group(0) for match in _MODULE.finditer(raw["rtlil"])}
    counts, paths = _walk(modules, top)
    blocks, macros, flops = [], [], []
    for name, count in counts.items():
        base = base_name(name)
        shapes = [(m["name"], m["WIDTH"], m["SIZE"]) for m in modules[name]["memories"]]
        if base == SRAM_MODULE and all(depth >= LEAST_MACRO_WORDS for _, _, depth in shapes):
            macros += [
                Memory(base, path.rpartition("/")[2].removeprefix("u_"), path, width, depth)
                for path in paths.get(name, ())
                for _, width, depth in shapes
            ]
            continue
        flops += [Memory(base, memory, path, *size) for path in paths.get(name, ()) for memory, *size in shapes]
        ports = {port: (direction, width) for port, (direction, width) in modules[name]["ports"].items()}
        text = _with_stubs(_normal(bodies[name], name), {c: modules[c]["ports"] for c in modules[name]["children"]})
        blocks.append(Block(base, count, text, ports))
    for memory in flops:
        if memory.bits > MAX_FLOP_MEMORY_BITS:
            raise SynthesisError(
                f"memory {memory.name} of {memory.module} has {memory.bits} bits and would become "
                f"flip-flops: use {SRAM_MODULE} for it"
            )
    return Design(top, tuple(blocks), tuple(macros), tuple(flops))


def _walk(modules: dict[str, dict], top: str) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Instance counts of each module, and the instance paths of those that hold memories."""
    counts: dict[str, int] = {}
    paths: dict[str, list[str]] = {}

    def visit(name: str, path: str) -> None:
        counts[name] = counts.get(name, 0) + 1
        if modules[name]["memories"]:
            paths.setdefault(name, []).append(path)
        for child, instances in modules[name]["children"].items():
            for instance in instances:
                visit(child, f"{path}/{instance}")

    visit(top, base_name(top))
    return counts, paths


def _with_stubs(body: str, children: Mapping[str, Mapping[str, tuple[str, int]]]) -> str:
    """The module with its children as black boxes that are named by what they look like from outside.

    A child's parameters are in its name, but change nothing here: modules that differ only in them are equal.
    """
    stubs: dict[tuple[str, str], str] = {}
    for child in sorted(children):
        base, look = base_name(child), repr(list(children[child].items()))
        name = stubs.setdefault((base, look), f"{base}_{sum(key[0] == base for key in stubs)}")
        shown = child if child.startswith("$") else f"\\{child}"
        body = body.replace(f"  cell {shown} ", f"  cell \\{name} ")
    made: set[str] = set()
    for child in sorted(children):
        name = stubs[base_name(child), repr(list(children[child].items()))]
        if name not in made:
            made.add(name)
            body += _stub(name, children[child])
    return body


def _stub(name: str, ports: Mapping[str, tuple[str, int]]) -> str:
    wires = "".join(
        f"  wire width {width} {direction} {index} \\{port}\n"
        for index, (port, (direction, width)) in enumerate(ports.items(), 1)
    )
    return f"attribute \\blackbox 1\nmodule \\{name}\n{wires}end\n"


def _normal(body: str, name: str) -> str:
    """The module as `BLOCK`, without source positions and parameters, with its own numbering of generated names.

    Equal modules then have equal text, whatever else their design holds.
    """
    body = _ATTRIBUTE.sub("", body)
    numbers: dict[str, str] = {}
    body = _PRIVATE.sub(lambda m: numbers.setdefault(m.group(0), f"$n${len(numbers)}"), body)
    shown = name if name.startswith("$") else f"\\{name}"
    return body.replace(f"module {shown}\n", f"module \\{BLOCK}\n", 1)
