"""Puts a machine together for every scheme: which blocks, how often, which memories, what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead.design import SRAM_MODULE, Block, Memory, elaborate
from fitact_hw.overhead.mapping import PERTURBATIONS, Mapped, map_all
from fitact_hw.overhead.schemes import SCHEMES, Scheme, clamp_parameters, machine
from fitact_hw.overhead.sram import SramFigures, SramModel
from fitact_hw.overhead.technology import Technology
from fitact_hw.verilog import TOP, generate, leaf_cells, read_cell

PROPOSED = Path(__file__).parent / "rtl"
"""Cells that only this comparison needs: voter, lane and clamp with one mode."""

LANE = "fitact_lane"
CLAMP = "fitact_clamp"
CLAMP_OF_SCHEME = "fitact_clamp_mode"

ARRAY_MODULES = frozenset({"fitact_array", "fitact_pe", "fitact_skew"})
LANE_MODULES = frozenset(
    {"fitact_lanes", LANE, CLAMP, CLAMP_OF_SCHEME, "fitact_bound_code", "fitact_epilogue", "fitact_delay"}
)
CODECS = ("fitact_parity_checker", "fitact_secded_decoder")
"""Modules between the read port of a protected buffer and its user."""

RANGE_CHECK = "fitact_range_check"
"""Between the load unit's word and the write ports of the buffers of parameters."""

PROTECTION_MODULES = frozenset({
    *CODECS, "fitact_parity_encoder", "fitact_secded_encoder", "fitact_word_check", "fitact_protection",
    RANGE_CHECK, "fitact_range_count",
})  # fmt: skip
UNITS = ("array", "lanes", "control", "small buffers", "protection")


@dataclass(frozen=True)
class Use:
    """A block and how often a machine has it, in which part of the machine."""

    unit: str
    count: int
    block: Block


@dataclass(frozen=True)
class BufferCost:
    """One buffer of a machine with its check bits."""

    name: str
    width: int
    check: int
    depth: int
    figures: SramFigures

    @property
    def bits(self) -> int:
        """Bits stored, check bits included."""
        return (self.width + self.check) * self.depth


@dataclass(frozen=True)
class Machine:
    """Everything that a scheme's machine consists of."""

    scheme: Scheme
    uses: tuple[Use, ...]
    buffers: tuple[BufferCost, ...]
    flop_memories: tuple[Memory, ...]


@dataclass(frozen=True)
class Cost:
    """A machine with the mapped figures of its blocks (by block key)."""

    machine: Machine
    mapped: Mapping[str, Mapped]

    def logic(self, unit: str | None = None) -> float:
        """Cell area (um2) of one unit or of all logic."""
        return sum(use.count * self.mapped[use.block.key].area for use in self.machine.uses if unit in (None, use.unit))

    @property
    def memory(self) -> float:
        """Area of all SRAM macros (um2)."""
        return sum(buffer.figures.area for buffer in self.machine.buffers)

    @property
    def total(self) -> float:
        """Cells and macros (um2)."""
        return self.logic() + self.memory

    @property
    def flops(self) -> int:
        """Flip-flops of the machine."""
        return sum(use.count * self.mapped[use.block.key].flops for use in self.machine.uses)

    @property
    def sram_bits(self) -> int:
        """Bits in SRAM macros."""
        return sum(buffer.bits for buffer in self.machine.buffers)

    def block(self, *names: str) -> Mapped:
        """The mapped figures of the first block with one of these names. Raises KeyError."""
        for use in self.machine.uses:
            if use.block.name in names:
                return self.mapped[use.block.key]
        raise KeyError(names)

    def slowest(self) -> Mapped:
        """The block with the longest path; codecs are part of :meth:`sram_path`, voters need a stage of their own."""
        blocks = (self.mapped[use.block.key] for use in self.machine.uses if use.unit != "protection")
        return max(blocks, key=lambda mapped: mapped.delay)

    def sram_path(self) -> float:
        """Longest path that starts with an SRAM access (ns): access time, decoder and the logic behind it."""
        access = max(buffer.figures.access_ns for buffer in self.machine.buffers)
        blocks = [self.mapped[use.block.key] for use in self.machine.uses]
        decoder = max((block.delay for block in blocks if block.name in CODECS), default=0.0)
        return access + decoder + max(block.sram_path for block in blocks)

    def check_path(self) -> float:
        """Longest path from the word that is loaded, or its limit, into a buffer (ns); 0 without a range check."""
        delays = [self.mapped[use.block.key].delay for use in self.machine.uses if use.block.name == RANGE_CHECK]
        return max(delays, default=0.0)

    def logic_error(self, base: Cost, unit: str | None = None) -> float:
        """Standard error (um2) of the difference in logic to ``base``; shared blocks cancel out."""
        counts: dict[str, int] = {}
        for cost, sign in ((self, 1), (base, -1)):
            for use in cost.machine.uses:
                if unit not in (None, use.unit):
                    continue
                counts[use.block.key] = counts.get(use.block.key, 0) + sign * use.count
        mapped = {**base.mapped, **self.mapped}
        return math.sqrt(
            sum((count * mapped[key].mean_error(mapped[key].area_sd)) ** 2 for key, count in counts.items())
        )


def sources(config: AcceleratorConfig) -> dict[str, str]:
    """All Verilog of a machine and of the comparison's own cells: file name -> text."""
    return cells() | generate(config)


def cells() -> dict[str, str]:
    """Leaf cells and the comparison's own cells, complete in themselves: file name -> text."""
    return leaf_cells() | {path.name: read_cell(path) for path in sorted(PROPOSED.glob("fitact_*.v"))}


def unit_of(name: str) -> str:
    """Part of the machine that a module belongs to."""
    if name == SRAM_MODULE:
        return "small buffers"
    parts = {"array": ARRAY_MODULES, "lanes": LANE_MODULES, "protection": PROTECTION_MODULES}
    return next((part for part, names in parts.items() if name in names), "control")


def build(config: AcceleratorConfig, scheme: Scheme, model: SramModel, folder: Path) -> Machine:
    """The blocks and memories of one scheme's machine. Raises SynthesisError, GeneratorError."""
    own = machine(config, scheme)
    files = sources(own)
    design = elaborate(files, TOP, folder)
    uses = []
    for block in design.blocks:
        if block.name in (LANE, CLAMP):
            uses += _lanes(own, scheme, block, files, folder)
        else:
            uses.append(Use(unit_of(block.name), block.count, block))
    buffers = []
    for memory in design.macros:
        check = own.side * own.check_bits(memory.name)
        figures = model.buffer(memory.width, memory.depth)
        buffers.append(BufferCost(memory.name, memory.width - check, check, memory.depth, figures))
    return Machine(scheme, tuple(uses), tuple(buffers), design.flop_memories)


def _leaf(files: dict[str, str], name: str, parameters: dict[str, int], folder: Path) -> Block:
    """One cell of the comparison, flattened. Only hand-written files are read, so all machines share it."""
    wanted = {file: text for file, text in files.items() if file in _LEAF_FILES}
    return elaborate(wanted, name, folder, parameters, flatten=True).blocks[0]


_LEAF_FILES = frozenset({"fitact_clamp.v", "fitact_clamp_mode.v", "fitact_voter.v"})


def _lanes(config: AcceleratorConfig, scheme: Scheme, block: Block, files: dict[str, str], folder: Path) -> list[Use]:
    """Copies of a part of the lane: the body, which all schemes share, or the clamp with its modes."""
    if block.name == CLAMP and scheme.mode is not None:
        count, block = block.count, _leaf(files, CLAMP_OF_SCHEME, clamp_parameters(config, scheme), folder)
        return [Use("lanes", count * scheme.copies, block)]
    uses = [Use("lanes", block.count * scheme.copies, block)]
    if scheme.copies > 1 and block.name == LANE:
        width = {"WIDTH": config.acc_bits + config.word_bits}
        uses.append(Use("protection", block.count, _leaf(files, "fitact_voter", width, folder)))
    return uses


def evaluate(
    config: AcceleratorConfig,
    technology: Technology,
    model: SramModel,
    folder: Path,
    workers: int = 2,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
    schemes: tuple[Scheme, ...] = SCHEMES,
) -> dict[str, Cost]:
    """Area and timing of every scheme (by its key).

    Blocks that all schemes share are mapped once. Those that differ are mapped several times with perturbed scripts,
    so that differences come with their noise: the clamps with every script, the lanes' other blocks with half, all else
    with two; the spread of a block is pooled over its variants. ``progress`` gets a name, how many blocks are done and
    how many there are.
    """
    machines = []
    for index, scheme in enumerate(schemes):
        progress(f"elaborating {scheme.title}", index, len(schemes))
        machines.append(build(config, scheme, model, folder))
    counts: dict[str, list[int]] = {}
    blocks: dict[str, Block] = {}
    for index, built in enumerate(machines):
        for use in built.uses:
            blocks[use.block.key] = use.block
            counts.setdefault(use.block.key, [0] * len(machines))[index] += use.count
    work = [(blocks[key], _scripts(blocks[key], len(set(per)) > 1)) for key, per in counts.items()]
    work.sort(key=lambda item: -len(item[0].rtlil) * len(item[1]))  # long ones first: both workers end together
    done = 0

    def step(name: str) -> None:
        nonlocal done
        done += 1
        progress(f"mapped {name}", done, len(work))

    mapped = pooled(map_all(work, technology, folder, workers, step))
    return {built.scheme.key: Cost(built, mapped) for built in machines}


def _scripts(block: Block, differs: bool) -> list[str]:
    names = list(PERTURBATIONS)
    if not differs:
        return names[:1]
    if block.name in (CLAMP, CLAMP_OF_SCHEME):
        return names
    return names[: len(names) // 2] if block.name in LANE_MODULES else names[:2]


def pooled(mapped: Mapping[str, Mapped]) -> dict[str, Mapped]:
    """Standard deviations pooled (as fractions of the mean) over the variants of each block that ran several times.

    Variants differ in a few widths; that two scripts happen to agree on one says little about its noise.
    """
    result = dict(mapped)
    for name in {block.name for block in mapped.values()}:
        keys = [key for key, block in mapped.items() if block.name == name and block.runs > 1]
        for what in ("area", "delay"):
            spreads = [
                getattr(mapped[key], f"{what}_sd") / getattr(mapped[key], what)
                for key in keys
                if getattr(mapped[key], what)
            ]
            spread = math.sqrt(sum(value**2 for value in spreads) / len(spreads)) if spreads else 0.0
            for key in keys:
                result[key] = replace(result[key], **{f"{what}_sd": spread * getattr(mapped[key], what)})
    return result


def delta(cost: Cost, base: Cost) -> tuple[float, float, float]:
    """Difference of logic, memory and total area to ``base``, as fractions of the total area of ``base``."""
    logic, memory = cost.logic() - base.logic(), cost.memory - base.memory
    return logic / base.total, memory / base.total, (logic + memory) / base.total
