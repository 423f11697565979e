"""The proof that no shortcut changes a result: the same upsets through the engine and as plain RTL runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fitact_hw.faults import FaultEvent, Outcome, classify, hang_limits
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.verdict import Verdict
from sim.job import Job, RunResult, Status
from sim.simulator import Progress, Simulator


@dataclass(frozen=True, eq=False)
class Difference:
    """An upset whose plain RTL run ended otherwise than the engine said."""

    event: FaultEvent
    verdict: Verdict
    outcome: Outcome
    result: RunResult

    def __str__(self) -> str:
        v, r = self.verdict, self.result
        return (
            f"{self.event.id} ({self.event.structure}): engine {v.outcome.value} code {v.code} cycles {v.cycles} "
            f"({v.mechanism.value}), RTL {self.outcome.value} code {r.code} cycles {r.cycles}"
        )


def plain_job(case: Case, event: FaultEvent, cycles: int) -> Job:
    """The plain RTL run of ``event``; ``cycles``: of the fault-free run."""
    watchdog, limit = hang_limits(cycles)
    return Job(case.program, case.memory, event.upsets, watchdog=watchdog, limit_cycles=limit)


def judge(result: RunResult, fault_free: np.ndarray) -> tuple[Outcome, np.ndarray]:
    """Outcome class and logits, int64 (1, classes), of a plain RTL run; ``fault_free``: logits without the upset."""
    logits = result.tensor(result.job.program.logits).reshape(1, -1)
    finished = result.status is Status.DONE
    return classify(finished, result.code, logits, fault_free, result.detected), logits


def difference(event: FaultEvent, verdict: Verdict, result: RunResult, fault_free: np.ndarray) -> Difference | None:
    """What status, code, cycles, logits, protocol or protection of the plain RTL run say against ``verdict``."""
    outcome, logits = judge(result, fault_free)
    noticed = ("detected", "corrected_words", "detected_words", "clamp_hits", "range_hits")
    names = ("status", "code", "cycles", "violation", *noticed)
    same = all(getattr(verdict, name) == getattr(result, name) for name in names)
    if same and verdict.outcome is outcome and np.array_equal(verdict.logits, logits):
        return None
    return Difference(event, verdict, outcome, result)


def compare(
    engine: Engine,
    simulator: Simulator,
    case: Case,
    events: Sequence[FaultEvent],
    progress: Progress | None = None,
) -> tuple[list[Verdict], list[Difference]]:
    """Verdicts of the engine, and every event whose plain RTL run says otherwise (see :func:`difference`)."""
    verdicts = engine.run(case, events)
    cycles = engine.facts(case).cycles
    jobs = [plain_job(case, event, cycles) for event in events]
    results = simulator.run(jobs, progress=progress)
    found = [difference(*item, case.logits) for item in zip(events, verdicts, results, strict=True)]
    return verdicts, [item for item in found if item is not None]
