"""Faulty runs in a simulated machine: until it is the fault-free one again, or to the end.

There are two: the whole machine (RTL), and the same RTL around an array that C++ computes, which is many times as fast
(`sim/engine/array.h`). What does not strike the array may go through either.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import StatusWord, range_hits
from fitact_hw.faults import HANG_FACTOR, Upset, classify, hang_limits
from fitact_hw.injection.case import Case, EngineError
from fitact_hw.injection.collapse import Start
from fitact_hw.injection.facts import PLACE_DTYPE, Facts, Trace
from fitact_hw.injection.memory_map import Handover
from fitact_hw.injection.observed import Observed, observe
from fitact_hw.injection.verdict import Mechanism, Times, Verdict
from fitact_hw.program import Program
from golden.qnetwork import INPUT
from sim.build import ARRAY
from sim.cache import Note
from sim.engine.access import AccessTrace
from sim.engine.library import End, Library, load_library
from sim.engine.strikes import Strike, strike_of
from sim.job import NO_LIMIT_CYCLES, MemoryModel, Status

CHECKPOINT_BYTES = 96 << 20
"""Checkpoints that are kept at a time; more upsets cost another fault-free run."""

Found = tuple[dict[Start, Verdict], dict[Start, Handover]]
"""Verdicts of upsets, and of some what the golden model must finish."""


@dataclass(frozen=True)
class _Recording:
    """The fault-free run that the library holds. ``of``: :attr:`Library.runs` after it, program and hash of its memory;
    ``kept``: cycles with a checkpoint, in order."""

    of: tuple[int, str, bytes]
    kept: tuple[int, ...]


class Simulation:
    """One of the two machines of a configuration, loaded and built when it is first needed."""

    def __init__(self, config: AcceleratorConfig, model: MemoryModel, note: Note, *, behavioural: bool) -> None:
        self._config, self._model, self._note, self._behavioural = config, model, note, behavioural
        self._recording: _Recording | None = None

    @cached_property
    def library(self) -> Library:
        """The machine. Raises SimulationError if it has to be built and cannot be."""
        return load_library(self._config, self._note, behavioural=self._behavioural)

    @property
    def capacity(self) -> int:
        """Upsets for which one fault-free run can keep checkpoints, at least."""
        return max(1, CHECKPOINT_BYTES // self.library.state_bytes)

    def takes(self, start: Start) -> bool:
        """Whether an upset can be judged here: of a behavioural array only what strikes a swap or a load."""
        if not self._behavioural or not any(site.startswith(ARRAY) for site in start.sites):
            return True
        strike = _strike(start)
        return strike is not None and strike.ahead <= start.cycle

    def _entry(self, start: Start) -> int:
        """Cycle in which its simulation begins."""
        strike = _strike(start) if self._behavioural else None
        return start.cycle - (strike.ahead if strike else 0)

    def trace(self, case: Case) -> Trace:
        """What one fault-free run of the program of ``case`` tells about all its runs."""
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

    def prepare(self, facts: Facts, case: Case, clean: Verdict, starts: Sequence[Start], times: Times) -> None:
        """Make the fault-free run that ``starts`` need, if one can serve all of them; ``clean``: of a masked upset."""
        parts = self._parts(starts)
        if len(parts) == 1:
            self._recorded(facts, case, clean, parts[0], times)

    def run(
        self,
        facts: Facts,
        case: Case,
        clean: Verdict,
        starts: Sequence[Start],
        times: Times,
        progress: Callable[[Start], None],
    ) -> Found:
        """Judge ``starts``, in the order of time; ``clean``: verdict of a masked upset; ``progress`` gets each."""
        found: dict[Start, Verdict] = {}
        handovers: dict[Start, Handover] = {}
        for part in self._parts(starts):
            kept = self._recorded(facts, case, clean, part, times)
            checkpoints = {cycle: number for number, cycle in enumerate(kept)}
            for start in part:
                began = time.perf_counter()
                found[start], handover = self._simulate(facts, clean, start, checkpoints[self._entry(start)], times)
                if handover is not None:
                    handovers[start] = handover
                times.faulty += time.perf_counter() - began
                progress(start)
        return found, handovers

    def _parts(self, starts: Iterable[Start]) -> list[list[Start]]:
        """``starts`` in the order of time, in parts for which one fault-free run can keep checkpoints."""
        order = sorted(starts, key=self._entry)
        if not order:
            return []
        return [order[begin : begin + self.capacity] for begin in range(0, len(order), self.capacity)]

    def _recorded(self, facts: Facts, case: Case, clean: Verdict, part: Sequence[Start], times: Times) -> Sequence[int]:
        """The cycles of the checkpoints: of the run at hand, if it has those of ``part``."""
        wanted = {*map(self._entry, part)}
        program, image = facts.program.fingerprint, hashlib.sha256(np.ascontiguousarray(case.memory).data).digest()
        found = self._recording
        if found is None or found.of != (self.library.runs, program, image) or not wanted.issubset(found.kept):
            kept = tuple(sorted(wanted))
            self._record_states(facts, case, clean, kept, times)
            self._recording = found = _Recording((self.library.runs, program, image), kept)
        return found.kept

    def _record_states(self, facts: Facts, case: Case, clean: Verdict, keep: Sequence[int], times: Times) -> None:
        """Fault-free run of one image: state hashes, writes, checkpoints in ``keep``; it must end as ``clean``."""
        began = time.perf_counter()
        library, program = self.library, facts.program
        library.set_points(facts.points, facts.boundary, facts.live)
        library.begin(case.memory, program.program_address, HANG_FACTOR * facts.cycles, self._model)
        library.record(states=True, keep=keep)
        registers = self._finish_fault_free(facts.cycles + 1)[1]
        library.record(keep=keep)
        if not np.array_equal(self._logits(program), clean.logits) or INPUT not in case.trace:
            raise EngineError("fault-free RTL and golden logits differ: pass the trace of the same network and image")
        if registers.get("CLAMP_HITS", 0) != clean.clamp_hits:
            raise EngineError(
                f"fault-free RTL counts {registers['CLAMP_HITS']} clamp hits, the golden model {clean.clamp_hits}: "
                "this is a defect, report it"
            )
        times.states += time.perf_counter() - began

    def _simulate(
        self, facts: Facts, clean: Verdict, start: Start, checkpoint: int, times: Times
    ) -> tuple[Verdict, Handover | None]:
        """One simulation from the checkpoint with this number, and what the golden model must finish."""
        library = self.library
        library.fork(checkpoint)
        strike = _strike(start) if self._behavioural else None
        if strike:
            library.strike(strike)
        else:
            for site, word, mask in start.flips:
                library.flip(Upset(site, word, mask, start.cycle))
        for upset in start.actions:
            library.act(upset)
        found = self._run_faulty(facts, clean, self._entry(start), times)
        library.back()
        return found

    def _run_faulty(self, facts: Facts, clean: Verdict, start: int, times: Times) -> tuple[Verdict, Handover | None]:
        """Run the forked machine until its fate is known, but for what the golden model computes from a handover."""
        library = self.library
        limit = hang_limits(facts.cycles)[1]
        while True:
            end = library.run_faulty(limit)
            spent = library.cycle - start - library.skipped
            if end in (End.INTERRUPT, End.LIMIT):
                times.faulty_cycles += spent
                return self._ended(facts, clean, end, spent), None
            began = time.perf_counter()
            found = self._reconverged(facts, clean, end)
            times.judge += time.perf_counter() - began
            if found is None:
                continue
            observed, handover = found
            times.faulty_cycles += spent
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
        return StatusWord.of(registers["STATUS"], *self._config.register_parts)

    def _logits(self, program: Program) -> np.ndarray:
        placement = program.tensors[program.logits]
        memory = np.zeros(placement.address + placement.size_bytes, np.uint8)
        memory[placement.address :] = self.library.memory(placement.address, placement.size_bytes)
        return placement.read(memory).reshape(1, -1)


def _strike(start: Start) -> Strike | None:
    """An upset of the array's control alone."""
    return strike_of(start.flips[0][0]) if len(start.flips) == 1 else None
