"""Exact outcomes of upsets through the native engine, simulating only what can matter.

1. An upset in a buffer word that is overwritten or never read again is masked: no simulation. So is a surplus token
   that is never asked for.
2. Fault collapsing: upsets of one bit between the same two accesses are the same, simulated once, at the cycle of the
   read.
3. The machine runs from there until its state is that of the fault-free run again; what then differs is in memory, or
   in registers that only the host reads.
4. The golden model computes the rest of the network from the layer outputs that differ.
A run that does not come back (control flow, errors, hangs) is simulated to its end, as a plain RTL run would be; a
machine in which nothing changes any more is taken to the watchdog's last cycle at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import StatusWord
from fitact_hw.errors import FitActError
from fitact_hw.faults import HANG_FACTOR, FaultEvent, Outcome, Upset, classify, hang_limits
from fitact_hw.injection.case import Case
from fitact_hw.injection.facts import PLACE_DTYPE, Facts, Trace, read_trace, trace_path, write_trace
from fitact_hw.injection.finish import finish
from fitact_hw.injection.memory_map import Handover
from fitact_hw.injection.observed import Observed, observe
from fitact_hw.injection.verdict import Mechanism, Times, Verdict
from fitact_hw.program import Program
from fitact_hw.registers import ErrorCode
from golden import reference
from golden.qnetwork import INPUT
from sim.build import Note
from sim.engine.access import AccessTrace
from sim.engine.library import End, load_library
from sim.job import NO_LIMIT_CYCLES, MemoryModel, Status

CHECKPOINT_BYTES = 96 << 20
"""Checkpoints that are kept at a time; more upsets cost another fault-free run."""


class EngineError(FitActError):
    """The engine and the golden model do not fit together: a defect, or a program of another network."""


@dataclass(frozen=True)
class _Start:
    """A simulation that stands for one or several equivalent events."""

    cycle: int
    flips: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Recording:
    """The fault-free run that the library holds. ``of``: :attr:`Library.runs` after it, program and hash of its memory;
    ``kept``: cycles with a checkpoint, in order; ``clean``: verdict of a masked upset."""

    of: tuple[int, str, bytes]
    kept: tuple[int, ...]
    clean: Verdict


class Engine:
    """The native engine of one configuration; one per process. Building raises SimulationError."""

    def __init__(
        self, config: AcceleratorConfig, *, model: MemoryModel | None = None, prune: bool = True, note: Note = print
    ) -> None:
        self.config = config
        self.library = load_library(config, note)
        self.times = Times()
        self._model = model or MemoryModel()
        self._prune = prune
        self._facts: dict[str, Facts] = {}
        self._recording: _Recording | None = None

    def facts(self, case: Case) -> Facts:
        """The access trace of the program of ``case`` (one fault-free run, then kept in this process and on disk)."""
        program = case.program
        key = program.fingerprint
        if key not in self._facts:
            self._facts.clear()  # one at a time: those of a large network are large
            began = time.perf_counter()
            path = trace_path(self.library, program, self._model)
            trace = read_trace(path, self.library)
            if trace is None:
                trace = self._trace(case)
                write_trace(path, trace)
            self._facts[key] = Facts.of(case.network, program, trace, self.library.tokens)
            self.times.trace += time.perf_counter() - began
        return self._facts[key]

    def forget(self) -> None:
        """Let go of what :meth:`facts` keeps in this process: network, program and trace."""
        self._facts.clear()

    def _trace(self, case: Case) -> Trace:
        library = self.library
        library.begin(case.memory, case.program.program_address, 0, self._model)
        library.record(accesses=True)
        cycles = self._finish_fault_free(NO_LIMIT_CYCLES)
        accesses = AccessTrace.from_records(library.buffers, library.accesses(), cycles)
        library.forget_accesses()
        writes = library.writes()[list(PLACE_DTYPE.names or ())].astype(PLACE_DTYPE)
        return Trace(accesses, library.token_changes(), library.requests(), writes)

    def _finish_fault_free(self, limit: int) -> int:
        """Run to the end; returns its cycle."""
        if not self.library.run(limit):
            raise EngineError("the fault-free run did not finish: this is a defect of the machine")
        cycles = self.library.cycle
        registers = self.library.registers()
        word = None if registers is None else self._status(registers)
        if word is None or word.error or word.detected or (registers or {}).get("CORRECTED", 0):
            raise EngineError(f"the fault-free run ended with registers {registers}: this is a defect of the machine")
        return cycles

    def run(
        self, case: Case, events: Sequence[FaultEvent], progress: Callable[[int], None] = lambda count: None
    ) -> list[Verdict]:
        """Outcome of every event in ``case``, in the order of ``events``.

        ``progress`` gets the number of events judged so far. Raises FaultError for upsets that do not exist,
        EngineError if the fault-free run and the golden trace differ.
        """
        for event in events:
            for upset in event.upsets:
                self.library.check(upset)
        facts = self.facts(case)
        starts, dead = self._starts(facts, events)
        verdicts: list[Verdict | None] = [None] * len(events)
        handovers = []
        for part in self._parts(starts):
            clean, kept = self._recorded(facts, case, part)
            handovers += self._simulate(facts, case.trace, clean, part, kept, starts, verdicts, progress)
        for index in dead:
            verdicts[index] = clean
        self.times.mechanisms.update({Mechanism.DEAD.value: len(dead)})
        began = time.perf_counter()
        results = finish(case.network, case.trace, [handover for _, handover, _ in handovers])
        self.times.golden += time.perf_counter() - began
        for (start, _, found), logits in zip(handovers, results, strict=True):
            outcome = classify(True, ErrorCode.NONE, logits, clean.logits, found.detected)
            self._assign(verdicts, starts[start], replace(found, outcome=outcome, logits=logits))
        self.times.note_memory()
        progress(len(events))
        return [verdict for verdict in verdicts if verdict is not None]

    def prepare(self, case: Case, events: Sequence[FaultEvent]) -> None:
        """Make the fault-free run that :meth:`run` needs for ``events``, or for any of them, ahead of it.

        Processes that are forked then share it. Does nothing for more events than one run can serve.
        """
        facts = self.facts(case)
        parts = self._parts(self._starts(facts, events)[0])
        if len(parts) == 1:
            self._recorded(facts, case, parts[0])

    def _starts(self, facts: Facts, events: Sequence[FaultEvent]) -> tuple[dict[_Start, list[int]], list[int]]:
        """What must be simulated and for which events, and the events that need no simulation."""
        starts: dict[_Start, list[int]] = {}
        dead = []
        for index, event in enumerate(events):
            start = self._start(facts, event)
            if start is None:
                dead.append(index)
            else:
                starts.setdefault(start, []).append(index)
        return starts, dead

    def _parts(self, starts: Iterable[_Start]) -> list[list[_Start]]:
        """``starts`` in the order of time, in parts for which one fault-free run can keep checkpoints; one at least."""
        order = sorted(starts, key=lambda item: item.cycle)
        size = max(1, CHECKPOINT_BYTES // self.library.state_bytes)
        return [order[begin : begin + size] for begin in range(0, max(1, len(order)), size)]

    def _recorded(self, facts: Facts, case: Case, part: Sequence[_Start]) -> tuple[Verdict, Sequence[int]]:
        """The verdict of a masked upset, and the cycles of the checkpoints: from the run at hand, if it has these."""
        wanted = {start.cycle for start in part}
        program, image = facts.program.fingerprint, hashlib.sha256(np.ascontiguousarray(case.memory).data).digest()
        found = self._recording
        if found is None or found.of != (self.library.runs, program, image) or not wanted.issubset(found.kept):
            kept = tuple(sorted(wanted))
            clean = self._record_states(facts, case, kept)
            self._recording = found = _Recording((self.library.runs, program, image), kept, clean)
        return found.clean, found.kept

    def _record_states(self, facts: Facts, case: Case, keep: Sequence[int]) -> Verdict:
        """Fault-free run of one image: state hashes, writes, checkpoints in ``keep``; the verdict of a masked upset."""
        began = time.perf_counter()
        library, program = self.library, facts.program
        library.set_points(facts.points, facts.boundary, facts.live)
        library.begin(case.memory, program.program_address, HANG_FACTOR * facts.cycles, self._model)
        library.record(states=True, keep=keep)
        self._finish_fault_free(facts.cycles + 1)
        library.record(keep=keep)
        logits = self._logits(program)
        if not np.array_equal(logits, case.logits) or INPUT not in case.trace:
            raise EngineError("fault-free RTL and golden logits differ: pass the trace of the same network and image")
        self.times.states += time.perf_counter() - began
        return Verdict(Outcome.MASKED, Status.DONE, 0, facts.cycles, logits, "", Mechanism.DEAD, 0)

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
            mask = upset.mask
            if self._prune and upset.site in facts.accesses.names:
                cycle = facts.accesses.next_read(upset.site, upset.word, upset.cycle)
            elif self._prune and upset.site in facts.tokens.names:
                cycle, mask = facts.tokens.moved(upset.site, upset.mask, upset.cycle) or (None, 0)
            if cycle is not None:
                masks[upset.site, upset.word] = masks.get((upset.site, upset.word), 0) ^ mask
                cycles.append(cycle)
        flips = tuple(sorted((site, word, mask) for (site, word), mask in masks.items() if mask))
        return _Start(min(cycles), flips) if flips else None

    def _simulate(
        self,
        facts: Facts,
        trace: reference.LayerTrace,
        clean: Verdict,
        part: Sequence[_Start],
        checkpoints: Sequence[int],
        starts: dict[_Start, list[int]],
        verdicts: list[Verdict | None],
        progress: Callable[[int], None],
    ) -> list[tuple[_Start, Handover, Verdict]]:
        """The simulations ``part``, in the order of their cycles, from ``checkpoints`` in these cycles.

        Returns what the golden model must finish.
        """
        handovers = []
        library = self.library
        kept = {cycle: number for number, cycle in enumerate(checkpoints)}
        for start in part:
            began = time.perf_counter()
            library.fork(kept[start.cycle])
            for site, word, mask in start.flips:
                library.flip(Upset(site, word, mask, start.cycle))
            found, handover = self._run_faulty(facts, trace, clean, start.cycle)
            library.back()
            if handover is None:
                self._assign(verdicts, starts[start], found)
            else:
                handovers.append((start, handover, found))
            self.times.faulty += time.perf_counter() - began
            progress(sum(verdict is not None for verdict in verdicts))
        return handovers

    def _run_faulty(
        self, facts: Facts, trace: reference.LayerTrace, clean: Verdict, start: int
    ) -> tuple[Verdict, Handover | None]:
        """Run the forked machine until its fate is known, but for what the golden model computes from a handover."""
        library = self.library
        limit = hang_limits(facts.cycles)[1]
        while True:
            end = library.run_faulty(limit)
            spent = library.cycle - start - library.skipped
            if end in (End.INTERRUPT, End.LIMIT):
                return self._ended(facts, clean, end, spent), None
            began = time.perf_counter()
            found = self._reconverged(facts, trace, end)
            self.times.judge += time.perf_counter() - began
            if found is None:
                continue
            observed, handover = found
            self.times.faulty_cycles += spent
            verdict = replace(
                clean, violation=library.violation, simulated_cycles=spent, **vars(observed),
                mechanism=Mechanism.GOLDEN if handover.outputs else Mechanism.RECONVERGED,
                outcome=classify(True, ErrorCode.NONE, clean.logits, clean.logits, observed.detected),
            )  # fmt: skip
            return verdict, handover if handover.outputs else None

    def _reconverged(self, facts: Facts, trace: reference.LayerTrace, end: End) -> tuple[Observed, Handover] | None:
        """The faulty run has the state of the fault-free one: what is left of it, or None if it must go on."""
        library = self.library
        observed = observe(library, facts.reach, facts.cycles)
        if observed is None:
            return None
        handover = facts.memory.handover(library.cycle, library.diff(), trace)
        if handover is None:
            return None
        reconverged = end is End.RECONVERGED and not handover.held
        return (observed, handover) if reconverged or library.buffers_are(handover.held) else None

    def _ended(self, facts: Facts, clean: Verdict, end: End, spent: int) -> Verdict:
        """The machine raised its interrupt or never will: read its registers as a host would."""
        library = self.library
        cycle = library.cycle
        self.times.faulty_cycles += spent
        registers = library.registers() if end is End.INTERRUPT else None
        logits = self._logits(facts.program)
        if registers is None:
            status, code, observed = Status.TIMEOUT, 0, Observed(cycle)
        else:
            word = self._status(registers)
            status, code = Status.ERROR if word.error else Status.DONE, word.code
            observed = Observed(
                registers["CYCLES_HIGH"] << 32 | registers["CYCLES_LOW"],
                word.detected,
                registers.get("CORRECTED", 0),
                registers.get("DETECTED", 0),
            )
        outcome = classify(status is Status.DONE, code, logits, clean.logits, observed.detected)
        return replace(
            clean, outcome=outcome, status=status, code=code, logits=logits, violation=library.violation,
            mechanism=Mechanism.FULL, simulated_cycles=spent, **vars(observed),
        )  # fmt: skip

    def _status(self, registers: Mapping[str, int]) -> StatusWord:
        return StatusWord.of(registers["STATUS"], bool(self.library.config.protected))

    def _logits(self, program: Program) -> np.ndarray:
        placement = program.tensors[program.logits]
        memory = np.zeros(placement.address + placement.size_bytes, np.uint8)
        memory[placement.address :] = self.library.memory(placement.address, placement.size_bytes)
        return placement.read(memory).reshape(1, -1)

    def _assign(self, verdicts: list[Verdict | None], indices: list[int], found: Verdict) -> None:
        """Give ``found`` to its event and to those that are equivalent to it."""
        for place, index in enumerate(indices):
            verdicts[index] = replace(found, collapsed=True, simulated_cycles=0) if place else found
        self.times.mechanisms.update({found.mechanism.value: len(indices)})
