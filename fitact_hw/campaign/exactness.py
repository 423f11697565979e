"""The proof that no shortcut changes a result: the same upsets through the engine and as plain RTL runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fitact_hw.campaign.engine import Engine, Verdict
from fitact_hw.faults import HANG_FACTOR, FaultEvent, Outcome, classify
from fitact_hw.program import Program
from golden import reference
from golden.qnetwork import QNetwork
from sim.bench import Progress, Simulator
from sim.job import Job, RunResult, Status


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
            f"({v.way.value}), RTL {self.outcome.value} code {r.code} cycles {r.cycles}"
        )


def compare(
    engine: Engine,
    simulator: Simulator,
    network: QNetwork,
    program: Program,
    memory: np.ndarray,
    trace: reference.LayerTrace,
    events: Sequence[FaultEvent],
    progress: Progress | None = None,
) -> tuple[list[Verdict], list[Difference]]:
    """Verdicts of the engine, and every event for which status, code, cycles, logits or protocol differ from the RTL.

    Arguments as for :meth:`Engine.run`.
    """
    verdicts = engine.run(network, program, memory, trace, events)
    watchdog = HANG_FACTOR * engine.facts(network, program, memory).cycles
    jobs = [
        Job(program, memory, event.upsets, watchdog=watchdog, limit_cycles=watchdog + watchdog // 2) for event in events
    ]
    fault_free = trace[program.logits].reshape(1, -1)
    differences = []
    for event, verdict, result in zip(events, verdicts, simulator.run(jobs, progress=progress), strict=True):
        logits = result.tensor(program.logits).reshape(1, -1)
        outcome = classify(result.status is Status.DONE, result.code, logits, fault_free)
        one = (verdict.outcome, verdict.status, verdict.code, verdict.cycles, verdict.violation)
        other = (outcome, result.status, result.code, result.cycles, result.violation)
        if one != other or not np.array_equal(verdict.logits, logits):
            differences.append(Difference(event, verdict, outcome, result))
    return verdicts, differences
