"""Exact outcomes of upsets, simulating only what can matter.

1. An upset in a buffer word that is overwritten or never read again is masked: no simulation. So is a surplus token
   that is never asked for.
2. Fault collapsing: upsets of one bit between the same two accesses are the same, simulated once, at the cycle of the
   read.
3. What an unprotected buffer word that is read, or a register of data, changes in its layer's output is computed
   without RTL (:mod:`fitact_hw.injection.functional`); what parity or SECDED see of it is counted.
4. For all others the native engine runs the machine until its state is that of the fault-free run again; what then
   differs is in memory, or in registers that only the host reads. Unless the array itself is struck, C++ computes what
   the array does (:mod:`fitact_hw.injection.simulation`).
5. The golden model computes the rest of the network from the layer outputs that differ.
6. A fault that is not over at once (stuck bits, several upsets) is simulated from its first cycle, and compared with
   the fault-free run only when its last one has passed: a permanent one to the end of its run.
A run that does not come back (control flow, errors, hangs) is simulated to its end, as a plain RTL run would be; a
machine in which nothing changes any more is taken to the watchdog's last cycle at once. A random share of what 3 and 4
judge without the whole machine goes through it all the same.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Outcome, classify
from fitact_hw.injection.audit import AUDIT_SHARE, compare
from fitact_hw.injection.case import Case
from fitact_hw.injection.collapse import Start, collapse
from fitact_hw.injection.facts import Facts, read_trace, trace_path, write_trace
from fitact_hw.injection.functional.judge import FunctionalImage, FunctionalProgram
from fitact_hw.injection.functional.order import Unsuitable
from fitact_hw.injection.observed import code_of
from fitact_hw.injection.simulation import Simulation
from fitact_hw.injection.tail import Ending, FaultyRun, Tail
from fitact_hw.injection.verdict import Mechanism, Times, Verdict
from fitact_hw.registers import ErrorCode
from fitact_hw.sites import list_sites
from sim.cache import Note
from sim.engine.library import Library, check_upset
from sim.job import MemoryModel, Status


@dataclass
class _Divided:
    """Who judges an upset. ``audited``: also the whole machine, beside one of the first two."""

    functional: list[Start] = field(default_factory=list)
    behavioural: list[Start] = field(default_factory=list)
    whole: list[Start] = field(default_factory=list)
    audited: list[Start] = field(default_factory=list)


class Engine:
    """The native engine of one configuration; one per process. Building raises SimulationError.

    ``prune``: False simulates every upset in RTL from its own cycle, the whole machine; ``functional``: False judges
    all that is read in a simulation, ``behavioural``: False in that of the whole machine; ``audit``: share of the
    upsets judged without the whole machine that it judges too; a difference raises EngineError.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        model: MemoryModel | None = None,
        prune: bool = True,
        functional: bool = True,
        behavioural: bool = True,
        audit: float = AUDIT_SHARE,
        note: Note = print,
    ) -> None:
        self.config, self._audit, self._note = config, audit, note
        self.times = Times()
        self._model = model or MemoryModel()
        self._prune, self._use_functional = prune, prune and functional
        self.whole = Simulation(config, self._model, note, behavioural=False)
        self.behavioural = Simulation(config, self._model, note, behavioural=True) if prune and behavioural else None
        self._sites = {site.path: site for site in list_sites(config)}
        self._facts: dict[str, Facts] = {}
        self._image: tuple[str, FunctionalImage] | None = None
        self._tail: Tail | None = None

    @property
    def library(self) -> Library:
        """The whole machine."""
        return self.whole.library

    @property
    def main(self) -> Simulation:
        """What simulates unless there is a reason."""
        return self.behavioural or self.whole

    def facts(self, case: Case) -> Facts:
        """The access trace of the program of ``case`` (one fault-free run, then kept in this process and on disk)."""
        program = case.program
        key = program.fingerprint
        if key not in self._facts:
            self.forget()  # one at a time: those of a large network are large
            began, library = time.perf_counter(), self.main.library
            path = trace_path(library, program, self._model)
            trace = read_trace(path, library)
            if trace is None:
                trace = self.main.trace(case)
                write_trace(path, trace)
            self._facts[key] = Facts.of(case.network, program, trace, library.tokens)
            self.times.trace += time.perf_counter() - began
        return self._facts[key]

    def forget(self) -> None:
        """Let go of what :meth:`facts` keeps in this process: network, program and trace."""
        self._facts.clear()
        self._image = self._tail = None

    def run(
        self,
        case: Case,
        events: Sequence[FaultEvent],
        progress: Callable[[int], None] = lambda count: None,
        *,
        audit: float | None = None,
    ) -> list[Verdict]:
        """Outcome of every event in ``case``, in the order of ``events``.

        ``progress`` gets the number of events judged so far; ``audit``: another share for this image, since it needs a
        fault-free run of the whole machine. Raises FaultError for upsets that do not exist, EngineError if the
        fault-free run and the golden trace differ.
        """
        for event in events:
            for upset in event.upsets:
                check_upset(self._sites, upset)
        facts = self.facts(case)
        starts, dead = collapse(facts, events, self._prune)
        divided = self._divided(facts, starts, audit)
        found = self._judge(facts, case, divided.functional)
        done = Counter({"events": len(dead)})

        def count(start: Start) -> None:
            done["events"] += len(starts[start])
            progress(done["events"])

        if self.behavioural:
            found |= self._simulate(self.behavioural, facts, case, divided.behavioural, count)
        audited = {*divided.audited}

        def count_whole(start: Start) -> None:
            if start not in audited:
                count(start)

        again = self._simulate(self.whole, facts, case, [*divided.whole, *divided.audited], count_whole)
        for start in divided.audited:
            compare(events[starts[start][0]], found[start], again[start])
            self.times.audited += 1
        found = again | found
        clean = self._masked(facts, case)
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
        return self.main.capacity

    def ready(self, case: Case) -> None:
        """Make what all images of the program of ``case`` need: processes that are forked then share it."""
        _ = self.facts(case).functional
        self._tail_of(case).ready()

    def prepare(self, case: Case, events: Sequence[FaultEvent], *, audit: float | None = None) -> None:
        """Make the fault-free runs that :meth:`run` needs for ``events``, or for any of them, ahead of it.

        Processes that are forked then share them. None where nothing is simulated, or more than one run can serve.
        """
        facts = self.facts(case)
        divided = self._divided(facts, collapse(facts, events, self._prune)[0], audit)
        if divided.functional:
            self._functional(facts, case)
        self.ready(case)
        if self.behavioural and divided.behavioural:
            self.behavioural.prepare(facts, case, self._masked(facts, case), divided.behavioural, self.times)
        if whole := [*divided.whole, *divided.audited]:
            self.whole.prepare(facts, case, self._masked(facts, case), whole, self.times)

    def _divided(self, facts: Facts, starts: Iterable[Start], audit: float | None) -> _Divided:
        """Who judges what."""
        share = self._audit if audit is None else audit
        found = _Divided()
        program = facts.functional if self._use_functional else None
        if isinstance(program, Unsuitable):
            self._note(f"upsets of data go through RTL: {program}")
            program = None
        for start in starts:
            if program and not start.actions and _without_rtl(program, start):
                found.functional.append(start)
            elif self.behavioural and self.behavioural.takes(start):
                found.behavioural.append(start)
            else:
                found.whole.append(start)
                continue
            if start.lot < share:
                found.audited.append(start)
        return found

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
        clean = replace(self._masked(facts, case), mechanism=Mechanism.FUNCTIONAL)
        codes = {start: code for start in starts if (code := code_of(start.flips)) is not None}
        verdicts = {
            start: replace(clean, code=code, outcome=classify(True, code, clean.logits, clean.logits))
            for start, code in codes.items()
        }
        assert not isinstance(facts.functional, Unsuitable)
        counted: dict[Start, Verdict] = {}
        for start in starts:
            if found := facts.functional.decoded(start.cycle, start.flips):
                counted[start] = replace(
                    clean,
                    detected=found.detected > 0,
                    corrected_words=found.corrected,
                    detected_words=found.detected,
                )
                if not found.flips:
                    outcome = Outcome.DETECTED if found.detected else clean.outcome
                    verdicts[start] = replace(counted[start], outcome=outcome)
        data = [start for start in starts if start not in verdicts]
        image = self._functional(facts, case) if data else None
        runs = [image.judge(start.cycle, start.flips) for start in data] if image else []
        self.times.functional += time.perf_counter() - began
        for start, end in zip(data, self._finish(case, runs), strict=True):
            seen = counted.get(start, clean)
            outcome = classify(True, ErrorCode.NONE, end.logits, clean.logits, seen.detected)
            hits = clean.clamp_hits + end.clamp_hits
            verdicts[start] = replace(seen, outcome=outcome, logits=end.logits, clamp_hits=hits)
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

    def _masked(self, facts: Facts, case: Case) -> Verdict:
        """The verdict of an upset that nothing comes of."""
        hits = self._tail_of(case).clamp_hits(case.trace)
        return Verdict(
            Outcome.MASKED, Status.DONE, 0, facts.cycles, case.logits, "", Mechanism.DEAD, 0, clamp_hits=hits
        )

    def _simulate(
        self,
        simulation: Simulation,
        facts: Facts,
        case: Case,
        starts: Sequence[Start],
        progress: Callable[[Start], None],
    ) -> dict[Start, Verdict]:
        """Verdicts of upsets by simulation; ``progress`` gets each."""
        if not starts:
            return {}
        found, handovers = simulation.run(facts, case, self._masked(facts, case), starts, self.times, progress)
        ends = self._finish(case, [handover.run for handover in handovers.values()])
        for start, end in zip(handovers, ends, strict=True):
            outcome = classify(True, found[start].code, end.logits, case.logits, found[start].detected)
            hits = found[start].clamp_hits + end.clamp_hits
            found[start] = replace(found[start], outcome=outcome, logits=end.logits, clamp_hits=hits)
        return found

    def _assign(self, verdicts: dict[int, Verdict], indices: list[int], found: Verdict) -> None:
        """Give ``found`` to its event and to those that are equivalent to it."""
        for place, index in enumerate(indices):
            verdicts[index] = replace(found, collapsed=True, simulated_cycles=0) if place else found
        self.times.mechanisms.update({found.mechanism.value: len(indices)})


def _without_rtl(program: FunctionalProgram, start: Start) -> bool:
    """Whether ``start`` is judged without any simulation of the machine."""
    return code_of(start.flips) is not None or program.treats(start.cycle, start.flips)
