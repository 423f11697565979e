"""What the networks of a soak exercise: functional coverage of instructions, tilings, bounds, buses and protection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig, Protection
from fitact_hw.isa import AccMode, ActMode, Buffer, Opcode
from fitact_hw.program import Program

BUSES = (32, 64, 128, 256, 512)
WORDS = (8, 16, 32)
SOURCES = ("layer", "channel word", "channel code4", "patch word", "patch code4", "neuron word", "neuron code4")
"""Where a bound comes from: with the instruction, or from the buffer, by who shares it and how it is stored."""

BOUNDED = (ActMode.CLIP, ActMode.SATURATE)

_CUTS = ("rows cut", "columns cut", "contraction in chunks", "chunks in turn", "several channel tiles", "padded load",
         "several planes a load", "shortcut", "queue of 2")  # fmt: skip


def wanted() -> tuple[str, ...]:
    """Everything that there is to exercise."""
    return (
        *(f"GEMM {mode.name} {act.name}" for mode, act in product((AccMode.OVERWRITE, AccMode.ADD), ActMode)),
        *(f"GEMM {mode.name} {ActMode.LINEAR.name}" for mode in (AccMode.MAX_OVERWRITE, AccMode.MAX)),  # pools
        *(f"{act.name} bound {source}" for act, source in product(BOUNDED, SOURCES)),
        *(f"load {buffer.name}" for buffer in Buffer),
        "SYNC",
        *(f"bus {bus} word {word}" for bus, word in product(BUSES, WORDS)),
        *(f"{name} {kind.value}" for name, kind in product(BUFFER_NAMES, Protection)),
        *_CUTS,
        "alarm",
    )


def _source(config: AcceleratorConfig, from_buffer: int) -> str:
    return f"{config.bounds.value} {config.bound_format.value}" if from_buffer else "layer"


def _instructions(program: Program) -> Iterator[str]:
    config = program.config
    for item in program.instructions:
        if item.opcode is Opcode.GEMM:
            mode, act = AccMode(item["acc_mode"]), ActMode(item["act_mode"])
            if item["epilogue"]:
                yield f"GEMM {mode.name} {act.name}"
                if act in BOUNDED:
                    yield f"{act.name} bound {_source(config, item['neuron_bounds'])}"
            if item["lshift"]:
                yield "shortcut"
        elif item.opcode is Opcode.LOAD:
            yield f"load {Buffer(item['buffer']).name}"
            if any(item[f"pad_{side}"] for side in ("left", "right", "top", "bottom")):
                yield "padded load"
            if item["planes"] > 1:
                yield "several planes a load"
        elif item.opcode is Opcode.SYNC:
            yield "SYNC"


def _tilings(program: Program) -> Iterator[str]:
    for name, placement in program.tensors.items():
        text = program.meta.get(f"tiling:{name}", "")
        if not text:
            continue
        _, rows, cols = placement.shape
        parts = text.replace(",", "").split()
        if int(parts[3]) < rows:
            yield "rows cut"
        if int(parts[6]) < cols:
            yield "columns cut"
        if int(parts[8]) > 1:
            yield "contraction in chunks"
            if "reloaded" in text:
                yield "chunks in turn"
        if placement.tiles > 1:
            yield "several channel tiles"


def exercised(program: Program) -> set[str]:
    """What a program exercises, as :func:`wanted` calls it."""
    config = program.config
    found = {*_instructions(program), *_tilings(program), f"bus {config.bus_bits} word {config.word_bits}"}
    found |= {f"{name} {config.protected.get(name, Protection.NONE).value}" for name in BUFFER_NAMES}
    found |= {"alarm"} if config.clamp_alarm else set()
    return found | ({"queue of 2"} if config.queue_depth == 2 else set())


def missing(covered: Iterable[str]) -> list[str]:
    """What none of them exercised."""
    there = {*covered}
    return [name for name in wanted() if name not in there]


def summary(covered: Mapping[str, int]) -> str:
    """In a line: how much, and what is missing."""
    every, open_ = wanted(), missing(covered)
    text = f"exercised {len(every) - len(open_)} of {len(every)}"
    return text + (f"; not: {', '.join(open_)}" if open_ else "")
