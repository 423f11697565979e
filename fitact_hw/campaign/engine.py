"""Exact outcomes of upsets through the native engine, simulating only what can matter.

1. An upset in a buffer word that is overwritten or never read again is masked: no simulation.
2. Upsets of one bit between the same two accesses are the same: simulated once, at the cycle of the read.
3. The machine runs from there until its state is that of the fault-free run again; what then differs is in memory.
4. The golden model computes the rest of the network from the layer outputs that differ.
A run that does not come back (control flow, errors, hangs) is simulated to its end, as a plain RTL run would be.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from fitact_hw.campaign.finish import finish
from fitact_hw.campaign.memory_map import Handover, MemoryMap
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.faults import HANG_FACTOR, FaultEvent, Outcome, Upset, classify
from fitact_hw.program import Program
from golden import reference
from golden.qnetwork import INPUT, QNetwork
from sim.build import Note
from sim.engine.access import AccessTrace
from sim.engine.library import End, Library
from sim.job import NO_LIMIT_CYCLES, MemoryModel, Status

GRID_CYCLES = 32
"""States are compared this often (cycles); doubled until a run has at most GRID_POINTS comparisons."""

AFTER_LAYER_CYCLES = (0, 3, 6, 9, 12, 16, 20)
"""And so long after the last write of every layer: before the next layer has loaded what differs."""

GRID_POINTS = 8192


class EngineError(FitActError):
    """The engine and the golden model do not fit together: a defect, or a program of another network."""


class Way(str, Enum):
    """How an outcome was found."""

    DEAD = "dead"
    """The upset is never read: nothing was simulated."""
    RECONVERGED = "reconverged"
    """RTL until nothing that matters differed any more."""
    GOLDEN = "golden"
    """RTL until only layer outputs differed, then the golden model."""
    FULL = "full"
    """RTL to the end."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What one upset did: ``status``, ``code``, ``cycles`` and ``logits`` int64 (1, classes) as of a plain RTL run.

    ``way``: how it was found; ``simulated_cycles``: RTL cycles spent on it (0 for the others of merged upsets);
    ``merged``: it is equivalent to another upset of the list, which was simulated.
    """

    outcome: Outcome
    status: Status
    code: int
    cycles: int
    logits: np.ndarray
    violation: str
    way: Way
    simulated_cycles: int
    merged: bool = False


@dataclass
class Times:
    """Where the time goes, in seconds of wall clock."""

    trace: float = 0.0
    states: float = 0.0
    lead: float = 0.0
    chase: float = 0.0
    judge: float = 0.0
    golden: float = 0.0
    faulty_cycles: int = 0
    ways: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Times) -> None:
        """Add the figures of another process."""
        for name in ("trace", "states", "lead", "chase", "judge", "golden", "faulty_cycles"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ways.update(other.ways)


@dataclass(frozen=True, eq=False)
class Facts:
    """What holds for every image of a program."""

    network: QNetwork
    program: Program
    accesses: AccessTrace
    memory: MemoryMap
    points: np.ndarray
    boundary: np.ndarray
    live: np.ndarray
    cycles: int


@dataclass(frozen=True)
class _Start:
    """A simulation that stands for one or several equivalent events."""

    cycle: int
    flips: tuple[tuple[str, int, int], ...]


class Engine:
    """The native engine of one configuration; one per process. Building raises SimulationError."""

    def __init__(
        self, config: AcceleratorConfig, *, model: MemoryModel | None = None, prune: bool = True, note: Note = print
    ) -> None:
        self.config = config
        self.library = Library(config, note)
        self.times = Times()
        self._model = model or MemoryModel()
        self._prune = prune
        self._facts: dict[str, Facts] = {}

    def facts(self, network: QNetwork, program: Program, memory: np.ndarray) -> Facts:
        """The access trace of ``program`` (one fault-free run, then kept)."""
        key = program.fingerprint
        if key not in self._facts:
            began = time.perf_counter()
            self._facts[key] = self._trace(network, program, memory)
            self.times.trace += time.perf_counter() - began
        return self._facts[key]

    def _trace(self, network: QNetwork, program: Program, memory: np.ndarray) -> Facts:
        library = self.library
        library.begin(memory, program.program_address, 0, self._model)
        library.record(accesses=True, states=True)
        cycles = self._finish_fault_free(NO_LIMIT_CYCLES)
        accesses = AccessTrace.from_records(library.buffers, library.accesses(), cycles)
        grid = GRID_CYCLES
        while cycles // grid > GRID_POINTS:
            grid *= 2
        places = MemoryMap(network, program, accesses, library.requests(), library.writes())
        boundary = {end + after for end in places.ends.values() for after in AFTER_LAYER_CYCLES}
        points = np.array(sorted(boundary.union(range(0, cycles, grid))), np.int64)
        flags = np.isin(points, list(boundary))
        return Facts(network, program, accesses, places, points, flags, accesses.live_sets(points), cycles)

    def _finish_fault_free(self, limit: int) -> int:
        """Run to the end; returns its cycle."""
        if not self.library.run(limit):
            raise EngineError("the fault-free run did not finish: this is a defect of the machine")
        cycles = self.library.cycle
        registers = self.library.registers()
        if registers is None or registers[0] >> 2 & 1:
            raise EngineError(f"the fault-free run ended with status {registers}: this is a defect of the machine")
        return cycles

    def run(
        self,
        network: QNetwork,
        program: Program,
        memory: np.ndarray,
        trace: reference.LayerTrace,
        events: Sequence[FaultEvent],
        progress: Callable[[int], None] = lambda count: None,
    ) -> list[Verdict]:
        """Outcome of every event on one image, in the order of ``events``.

        ``memory``: uint8 image of ``program`` with the image in it; ``trace``: golden outputs of that image (batch 1).
        ``progress`` gets the number of events judged so far. Raises FaultError for upsets that do not exist,
        EngineError if the fault-free run and ``trace`` differ.
        """
        for event in events:
            for upset in event.upsets:
                self.library.check(upset)
        facts = self.facts(network, program, memory)
        clean = self._record_states(facts, memory, trace)
        starts: dict[_Start, list[int]] = {}
        verdicts: list[Verdict | None] = [None] * len(events)
        for index, event in enumerate(events):
            start = self._start(facts, event)
            if start is None:
                verdicts[index] = clean
            else:
                starts.setdefault(start, []).append(index)
        self.times.ways.update({Way.DEAD.value: sum(v is not None for v in verdicts)})
        handovers = self._simulate(facts, memory, trace, clean, starts, verdicts, progress)
        began = time.perf_counter()
        results = finish(network, trace, [handover for _, handover, _ in handovers])
        self.times.golden += time.perf_counter() - began
        for (start, _, spent), logits in zip(handovers, results, strict=True):
            outcome = classify(True, 0, logits, clean.logits)
            found = replace(clean, outcome=outcome, logits=logits, way=Way.GOLDEN, simulated_cycles=spent)
            self._assign(verdicts, starts[start], found)
        progress(len(events))
        return [verdict for verdict in verdicts if verdict is not None]

    def _record_states(self, facts: Facts, memory: np.ndarray, trace: reference.LayerTrace) -> Verdict:
        """Fault-free run of one image: state hashes, memory writes, and the verdict of a masked upset."""
        began = time.perf_counter()
        library, program = self.library, facts.program
        library.set_points(facts.points, facts.boundary, facts.live)
        self._begin(facts, memory)
        library.record(states=True)
        self._finish_fault_free(facts.cycles + 1)
        library.record()
        logits = self._logits(program)
        expected = trace[program.logits].reshape(1, -1)
        if not np.array_equal(logits, expected) or INPUT not in trace:
            raise EngineError("fault-free RTL and golden logits differ: pass the trace of the same network and image")
        self.times.states += time.perf_counter() - began
        return Verdict(Outcome.MASKED, Status.DONE, 0, facts.cycles, logits, "", Way.DEAD, 0)

    def _begin(self, facts: Facts, memory: np.ndarray) -> None:
        watchdog = HANG_FACTOR * facts.cycles
        self.library.begin(memory, facts.program.program_address, watchdog, self._model)

    def _start(self, facts: Facts, event: FaultEvent) -> _Start | None:
        """When the event first matters and which bits it flips then; None if it never does."""
        if event.cycle >= facts.cycles:
            return None
        if any(upset.cycle != event.cycle for upset in event.upsets):
            raise EngineError(f"{event.id}: the upsets of one event must strike in the same cycle")
        masks: dict[tuple[str, int], int] = {}
        cycles = []
        for upset in event.upsets:
            cycle: int | None = upset.cycle
            if self._prune and upset.site in facts.accesses.names:
                cycle = facts.accesses.next_read(upset.site, upset.word, upset.cycle)
            if cycle is not None:
                masks[upset.site, upset.word] = masks.get((upset.site, upset.word), 0) ^ upset.mask
                cycles.append(cycle)
        flips = tuple(sorted((site, word, mask) for (site, word), mask in masks.items() if mask))
        return _Start(min(cycles), flips) if flips else None

    def _simulate(
        self,
        facts: Facts,
        memory: np.ndarray,
        trace: reference.LayerTrace,
        clean: Verdict,
        starts: dict[_Start, list[int]],
        verdicts: list[Verdict | None],
        progress: Callable[[int], None],
    ) -> list[tuple[_Start, Handover, int]]:
        """All simulations in the order of their cycles; returns what the golden model must finish."""
        handovers = []
        self._begin(facts, memory)
        library, times = self.library, self.times
        judged = sum(verdict is not None for verdict in verdicts)
        for start in sorted(starts, key=lambda item: item.cycle):
            began = time.perf_counter()
            if library.run(start.cycle):
                raise EngineError(
                    f"the fault-free run ended before cycle {start.cycle}: this is a defect of the engine"
                )
            forked = time.perf_counter()
            library.fork()
            for site, word, mask in start.flips:
                library.flip(Upset(site, word, mask, start.cycle))
            found = self._chase(facts, trace, clean, start.cycle)
            library.back()
            if isinstance(found, Verdict):
                self._assign(verdicts, starts[start], found)
            else:
                handovers.append((start, *found))
            times.lead += forked - began
            times.chase += time.perf_counter() - forked
            judged += len(starts[start])
            progress(judged)
        return handovers

    def _chase(
        self, facts: Facts, trace: reference.LayerTrace, clean: Verdict, start: int
    ) -> Verdict | tuple[Handover, int]:
        """Run the forked machine until its fate is known."""
        library = self.library
        watchdog = HANG_FACTOR * facts.cycles
        limit = watchdog + watchdog // 2
        while True:
            end = library.chase(limit)
            spent = library.cycle - start
            if end in (End.INTERRUPT, End.LIMIT):
                return self._ended(facts, clean, end, spent)
            began = time.perf_counter()
            difference = library.diff()
            handover = facts.memory.handover(library.cycle, difference, trace)
            fits = handover is not None and (
                (end is End.RECONVERGED and not handover.held) or library.buffers_are(handover.held)
            )
            self.times.judge += time.perf_counter() - began
            if handover is None or not fits:
                continue
            self.times.faulty_cycles += spent
            if handover.outputs:
                return handover, spent
            return replace(clean, way=Way.RECONVERGED, simulated_cycles=spent, violation=library.violation)

    def _ended(self, facts: Facts, clean: Verdict, end: End, spent: int) -> Verdict:
        """The machine raised its interrupt or never will: read its registers as a host would."""
        library = self.library
        cycle = library.cycle
        self.times.faulty_cycles += spent
        registers = library.registers() if end is End.INTERRUPT else None
        logits = self._logits(facts.program)
        if registers is None:
            status, code, cycles = Status.TIMEOUT, 0, cycle
        else:
            code = registers[0] >> 8 & 0xF
            status = Status.ERROR if registers[0] >> 2 & 1 else Status.DONE
            cycles = registers[2] << 32 | registers[1]
        outcome = classify(status is Status.DONE, code, logits, clean.logits)
        return Verdict(outcome, status, code, cycles, logits, library.violation, Way.FULL, spent)

    def _logits(self, program: Program) -> np.ndarray:
        placement = program.tensors[program.logits]
        memory = np.zeros(placement.address + placement.size_bytes, np.uint8)
        memory[placement.address :] = self.library.memory(placement.address, placement.size_bytes)
        return placement.read(memory).reshape(1, -1)

    def _assign(self, verdicts: list[Verdict | None], indices: list[int], found: Verdict) -> None:
        """Give ``found`` to its event and to those that are equivalent to it."""
        for place, index in enumerate(indices):
            merged = replace(found, merged=True, simulated_cycles=0)
            verdicts[index] = merged if place else found
        self.times.ways.update({found.way.value: len(indices)})
