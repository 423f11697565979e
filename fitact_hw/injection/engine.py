"""Exact outcomes of upsets, simulating only what can matter.

1. An upset in a buffer word that is overwritten or never read again is masked: no simulation. So is a surplus token
   that is never asked for.
2. Fault collapsing: upsets of one bit between the same two accesses are the same, simulated once, at the cycle of the
   read.
3. What an unprotected buffer word that is read, or a register of data, changes in its layer's output is computed
   without RTL (:mod:`fitact_hw.injection.functional`). A random share of these upsets goes through RTL all the same.
4. For all others the native engine runs the machine until its state is that of the fault-free run again; what then
   differs is in memory, or in registers that only the host reads.
5. The golden model computes the rest of the network from the layer outputs that differ.
6. A fault that is not over at once (stuck bits, several upsets) is simulated from its first cycle, and compared with
   the fault-free run only when its last one has passed: a permanent one to the end of its run.
A run that does not come back (control flow, errors, hangs) is simulated to its end, as a plain RTL run would be; a
machine in which nothing changes any more is taken to the watchdog's last cycle at once.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import StatusWord, range_hits
from fitact_hw.faults import HANG_FACTOR, FaultEvent, Outcome, Upset, classify, hang_limits
from fitact_hw.injection.case import Case, EngineError
from fitact_hw.injection.collapse import Start, collapse
from fitact_hw.injection.facts import PLACE_DTYPE, Facts, Trace, read_trace, trace_path, write_trace
from fitact_hw.injection.functional.judge import FunctionalImage
from fitact_hw.injection.functional.order import Unsuitable
from fitact_hw.injection.memory_map import Handover
from fitact_hw.injection.observed import Observed, code_of, observe
from fitact_hw.injection.tail import Ending, FaultyRun, Tail
from fitact_hw.injection.verdict import Mechanism, Times, Verdict
from fitact_hw.program import Program
from fitact_hw.registers import ErrorCode
from golden.qnetwork import INPUT
from sim.cache import Note
from sim.engine.access import AccessTrace
from sim.engine.library import End, load_library
from sim.job import NO_LIMIT_CYCLES, MemoryModel, Status

CHECKPOINT_BYTES = 96 << 20
"""Checkpoints that are kept at a time; more upsets cost another fault-free run."""

AUDIT_SHARE = 0.01
"""Of the upsets that are judged without RTL, so many (chosen by their hash) are judged in RTL as well."""


@dataclass(frozen=True)
class _Recording:
    """The fault-free run that the library holds. ``of``: :attr:`Library.runs` after it, program and hash of its memory;
    ``kept``: cycles with a checkpoint, in order; ``clean``: verdict of a masked upset."""

    of: tuple[int, str, bytes]
    kept: tuple[int, ...]
    clean: Verdict


class Engine:
    """The native engine of one configuration; one per process. Building raises SimulationError.

    ``prune``: False simulates every upset in RTL from its own cycle; ``functional``: False judges all that is read in
    RTL; ``audit``: share of the upsets judged without RTL that RTL judges too; a difference raises EngineError.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        model: MemoryModel | None = None,
        prune: bool = True,
        functional: bool = True,
        audit: float = AUDIT_SHARE,
        note: Note = print,
    ) -> None:
        self.config, self._audit, self._note = config, audit, note
        self.library = load_library(config, note)
        self.times = Times()
        self._model = model or MemoryModel()
        self._prune, self._use_functional = prune, prune and functional
        self._facts: dict[str, Facts] = {}
        self._recording: _Recording | None = None
        self._image: tuple[str, FunctionalImage] | None = None
        self._tail: Tail | None = None

    def facts(self, case: Case) -> Facts:
        """The access trace of the program of ``case`` (one fault-free run, then kept in this process and on disk)."""
        program = case.program
        key = program.fingerprint
        if key not in self._facts:
            self.forget()  # one at a time: those of a large network are large
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
        self._image = self._tail = None

    def _trace(self, case: Case) -> Trace:
        library = self.library
        library.begin(case.memory, case.program.program_address, 0, self._model)
        library.record(accesses=True)
        cycles = self._finish_fault_free(NO_LIMIT_CYCLES)[0]
        accesses = AccessTrace.from_records(library.buffers, library.accesses(), cycles)
        library.forget_accesses()
        writes = library.writes()[list(PLACE_DTYPE.names or ())].astype(PLACE_DTYPE)
        return Trace(accesses, library.token_changes(), library.requests(), writes)

    def _finish_fault_free(self, limit: int) -> tuple[int, dict[str, int]]:
        """Run to the end; returns its cycle and the registers then."""
        if not self.library.run(limit):
            raise EngineError("the fault-free run did not finish: this is a defect of the machine")
        cycles = self.library.cycle
        registers = self.library.registers()
        word = None if registers is None else self._status(registers)
        noticed = (registers or {}).get("CORRECTED", 0) or range_hits(registers)
        if word is None or word.error or word.detected or noticed:
            raise EngineError(f"the fault-free run ended with registers {registers}: this is a defect of the machine")
        return cycles, registers or {}

    def run(
        self,
        case: Case,
        events: Sequence[FaultEvent],
        progress: Callable[[int], None] = lambda count: None,
        *,
        audit: bool = True,
    ) -> list[Verdict]:
        """Outcome of every event in ``case``, in the order of ``events``.

        ``progress`` gets the number of events judged so far; ``audit``: False leaves the audit to other images, since
        it needs a fault-free run of this one. Raises FaultError for upsets that do not exist,
        EngineError if the fault-free run and the golden trace differ.
        """
        for event in events:
            for upset in event.upsets:
                self.library.check(upset)
        facts = self.facts(case)
        starts, dead = collapse(facts, events, self._prune)
        functional, rtl = self._divided(facts, starts, audit)
        found = self._judge(facts, case, functional)
        done = Counter({"events": len(dead)})

        def count(start: Start) -> None:
            done["events"] += len(starts[start])
            progress(done["events"])

        simulated = self._in_rtl(facts, case, rtl, count)
        for start in found.keys() & simulated.keys():
            _compare(events[starts[start][0]], found[start], simulated[start])
            self.times.audited += 1
        found |= {start: verdict for start, verdict in simulated.items() if start not in found}
        clean = self._masked(facts, case, case.logits)
        verdicts: dict[int, Verdict] = dict.fromkeys(dead, clean)
        self.times.mechanisms.update({Mechanism.DEAD.value: len(dead)})
        for start, verdict in found.items():
            self._assign(verdicts, starts[start], verdict)
        self.times.note_memory()
        progress(len(events))
        return [verdicts[index] for index in range(len(events))]

    @property
    def capacity(self) -> int:
        """Upsets for which one fault-free run can keep checkpoints, at least."""
        return max(1, CHECKPOINT_BYTES // self.library.state_bytes)

    def ready(self, case: Case) -> None:
        """Make what all images of the program of ``case`` need: processes that are forked then share it."""
        _ = self.facts(case).functional
        self._tail_of(case).ready()

    def prepare(self, case: Case, events: Sequence[FaultEvent], *, audit: bool = True) -> None:
        """Make the fault-free run that :meth:`run` needs for ``events``, or for any of them, ahead of it.

        Processes that are forked then share it. None if RTL judges nothing, or more than one run can serve.
        """
        facts = self.facts(case)
        functional, rtl = self._divided(facts, collapse(facts, events, self._prune)[0], audit)
        if functional:
            self._functional(facts, case)
        self.ready(case)
        parts = self._parts(rtl) if rtl else ()
        if len(parts) == 1:
            self._recorded(facts, case, parts[0])

    def _parts(self, starts: Iterable[Start]) -> list[list[Start]]:
        """``starts`` in the order of time, in parts for which one fault-free run can keep checkpoints."""
        order = sorted(starts, key=lambda item: item.cycle)
        return [order[begin : begin + self.capacity] for begin in range(0, len(order), self.capacity)]

    def _recorded(self, facts: Facts, case: Case, part: Sequence[Start]) -> tuple[Verdict, Sequence[int]]:
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
        registers = self._finish_fault_free(facts.cycles + 1)[1]
        library.record(keep=keep)
        logits = self._logits(program)
        if not np.array_equal(logits, case.logits) or INPUT not in case.trace:
            raise EngineError("fault-free RTL and golden logits differ: pass the trace of the same network and image")
        self.times.states += time.perf_counter() - began
        clean = self._masked(facts, case, logits)
        if registers.get("CLAMP_HITS", 0) != clean.clamp_hits:
            raise EngineError(
                f"fault-free RTL counts {registers['CLAMP_HITS']} clamp hits, the golden model {clean.clamp_hits}: "
                "this is a defect, report it"
            )
        return clean

    def _divided(self, facts: Facts, starts: Iterable[Start], audit: bool) -> tuple[list[Start], list[Start]]:
        """What is judged without RTL and what in RTL; some in both."""
        if not self._use_functional:
            return [], list(starts)
        program = facts.functional
        if isinstance(program, Unsuitable):
            self._note(f"upsets of data go through RTL: {program}")
            return [], list(starts)
        functional, rtl = [], []
        for start in starts:
            treated = not start.actions and (
                code_of(start.flips) is not None or program.treats(start.cycle, start.flips)
            )
            if treated:
                functional.append(start)
            if not treated or (audit and start.lot < self._audit):
                rtl.append(start)
        return functional, rtl

    def _functional(self, facts: Facts, case: Case) -> FunctionalImage:
        """The image of ``case``, for upsets that are judged without RTL: checked, then kept."""
        assert not isinstance(facts.functional, Unsuitable)
        name = hashlib.sha256(facts.program.fingerprint.encode() + np.ascontiguousarray(case.image).data).hexdigest()
        if self._image is None or self._image[0] != name:
            self._image = name, facts.functional.image(case)
        return self._image[1]

    def _judge(self, facts: Facts, case: Case, starts: Sequence[Start]) -> dict[Start, Verdict]:
        """Verdicts of upsets without RTL."""
        if not starts:
            return {}
        began = time.perf_counter()
        clean = replace(self._masked(facts, case, case.logits), mechanism=Mechanism.FUNCTIONAL)
        codes = {start: code for start in starts if (code := code_of(start.flips)) is not None}
        verdicts = {
            start: replace(clean, code=code, outcome=classify(True, code, clean.logits, clean.logits))
            for start, code in codes.items()
        }
        data = [start for start in starts if start not in codes]
        image = self._functional(facts, case) if data else None
        runs = [image.judge(start.cycle, start.flips) for start in data] if image else []
        self.times.functional += time.perf_counter() - began
        for start, end in zip(data, self._finish(case, runs), strict=True):
            outcome = classify(True, ErrorCode.NONE, end.logits, clean.logits)
            hits = clean.clamp_hits + end.clamp_hits
            verdicts[start] = replace(clean, outcome=outcome, logits=end.logits, clamp_hits=hits)
        return verdicts

    def _tail_of(self, case: Case) -> Tail:
        if self._tail is None or self._tail.network is not case.network:
            self._tail = Tail(case.network, self.config.alarm_margin if self.config.clamp_alarm else None)
        return self._tail

    def _finish(self, case: Case, runs: Sequence[FaultyRun]) -> list[Ending]:
        """Logits and clamp hits of runs that differ in layer outputs."""
        began = time.perf_counter()
        ends = self._tail_of(case).ends(case.trace, runs)
        self.times.golden += time.perf_counter() - began
        return ends

    def _masked(self, facts: Facts, case: Case, logits: np.ndarray) -> Verdict:
        """The verdict of an upset that nothing comes of."""
        hits = self._tail_of(case).clamp_hits(case.trace)
        return Verdict(Outcome.MASKED, Status.DONE, 0, facts.cycles, logits, "", Mechanism.DEAD, 0, clamp_hits=hits)

    def _in_rtl(
        self, facts: Facts, case: Case, starts: Sequence[Start], progress: Callable[[Start], None]
    ) -> dict[Start, Verdict]:
        """Verdicts of upsets by RTL; ``progress`` gets each."""
        found: dict[Start, Verdict] = {}
        handovers: dict[Start, Handover] = {}
        for part in self._parts(starts):
            clean, kept = self._recorded(facts, case, part)
            checkpoints = {cycle: number for number, cycle in enumerate(kept)}
            for start in part:
                began = time.perf_counter()
                found[start], handover = self._simulate(facts, clean, start, checkpoints[start.cycle])
                if handover is not None:
                    handovers[start] = handover
                self.times.faulty += time.perf_counter() - began
                progress(start)
        ends = self._finish(case, [handover.run for handover in handovers.values()])
        for start, end in zip(handovers, ends, strict=True):
            outcome = classify(True, found[start].code, end.logits, case.logits, found[start].detected)
            hits = found[start].clamp_hits + end.clamp_hits
            found[start] = replace(found[start], outcome=outcome, logits=end.logits, clamp_hits=hits)
        return found

    def _simulate(self, facts: Facts, clean: Verdict, start: Start, checkpoint: int) -> tuple[Verdict, Handover | None]:
        """One simulation from the checkpoint with this number, and what the golden model must finish."""
        library = self.library
        library.fork(checkpoint)
        for site, word, mask in start.flips:
            library.flip(Upset(site, word, mask, start.cycle))
        for upset in start.actions:
            library.act(upset)
        found = self._run_faulty(facts, clean, start.cycle)
        library.back()
        return found

    def _run_faulty(self, facts: Facts, clean: Verdict, start: int) -> tuple[Verdict, Handover | None]:
        """Run the forked machine until its fate is known, but for what the golden model computes from a handover."""
        library = self.library
        limit = hang_limits(facts.cycles)[1]
        while True:
            end = library.run_faulty(limit)
            spent = library.cycle - start - library.skipped
            if end in (End.INTERRUPT, End.LIMIT):
                return self._ended(facts, clean, end, spent), None
            began = time.perf_counter()
            found = self._reconverged(facts, clean, end)
            self.times.judge += time.perf_counter() - began
            if found is None:
                continue
            observed, handover = found
            self.times.faulty_cycles += spent
            verdict = replace(
                clean, violation=library.violation, simulated_cycles=spent, **vars(observed),
                mechanism=Mechanism.GOLDEN if handover.run.changes else Mechanism.RECONVERGED,
                outcome=classify(True, observed.code, clean.logits, clean.logits, observed.detected),
            )  # fmt: skip
            return verdict, handover if handover.run.changes else None

    def _reconverged(self, facts: Facts, clean: Verdict, end: End) -> tuple[Observed, Handover] | None:
        """The faulty run has the state of the fault-free one: what is left of it, or None if it must go on."""
        library = self.library
        observed = observe(library, facts.reach, facts.cycles, clean.clamp_hits)
        if observed is None:
            return None
        handover = facts.memory.handover(library.cycle, library.diff())
        if handover is None or (handover.run.changes and not facts.countable):
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
            status, observed = Status.TIMEOUT, Observed(cycle)
        else:
            word = self._status(registers)
            status = Status.ERROR if word.error else Status.DONE
            observed = Observed(
                registers["CYCLES_HIGH"] << 32 | registers["CYCLES_LOW"],
                word.code,
                word.detected,
                registers.get("CORRECTED", 0),
                registers.get("DETECTED", 0),
                registers.get("CLAMP_HITS", 0),
                range_hits(registers),
            )
        outcome = classify(status is Status.DONE, observed.code, logits, clean.logits, observed.detected)
        return replace(
            clean, outcome=outcome, status=status, logits=logits, violation=library.violation,
            mechanism=Mechanism.FULL, simulated_cycles=spent, **vars(observed),
        )  # fmt: skip

    def _status(self, registers: Mapping[str, int]) -> StatusWord:
        return StatusWord.of(registers["STATUS"], *self.library.config.register_parts)

    def _logits(self, program: Program) -> np.ndarray:
        placement = program.tensors[program.logits]
        memory = np.zeros(placement.address + placement.size_bytes, np.uint8)
        memory[placement.address :] = self.library.memory(placement.address, placement.size_bytes)
        return placement.read(memory).reshape(1, -1)

    def _assign(self, verdicts: dict[int, Verdict], indices: list[int], found: Verdict) -> None:
        """Give ``found`` to its event and to those that are equivalent to it."""
        for place, index in enumerate(indices):
            verdicts[index] = replace(found, collapsed=True, simulated_cycles=0) if place else found
        self.times.mechanisms.update({found.mechanism.value: len(indices)})


def _compare(event: FaultEvent, functional: Verdict, rtl: Verdict) -> None:
    """Raises EngineError if RTL judges an upset otherwise."""
    names = (
        *("outcome", "status", "code", "cycles", "violation", "detected", "corrected_words", "detected_words"),
        *("clamp_hits", "range_hits"),
    )
    wrong = [name for name in names if getattr(functional, name) != getattr(rtl, name)]
    if not np.array_equal(functional.logits, rtl.logits):
        wrong.append("logits")
    if wrong:
        found = ", ".join(wrong)
        raise EngineError(f"{event.id}: functional simulation and RTL differ in {found}: this is a defect, report it")
