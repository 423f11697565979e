"""One case of a soak: what must agree, and the first thing that does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fitact_hw.faults import FaultEvent
from fitact_hw.fsim import check_hazards
from fitact_hw.fsim import run as functional_run
from fitact_hw.injection.case import EngineError
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import difference, plain_job
from golden.plain_reference import reference_network
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator
from tests.soak.covered import exercised
from tests.soak.draws import Drawn


class Differs(AssertionError):
    """Two implementations do not agree. ``event``: on this fault, empty for the fault-free run."""

    def __init__(self, what: str, event: str = "") -> None:
        super().__init__(what)
        self.what, self.event = what, event


@dataclass
class Done:
    """What has been compared: faults, their outcomes and the ways to these; networks by what they exercise."""

    cases: int = 0
    faults: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        counts = {"cases": self.cases, "faults": self.faults}
        names = ("outcomes", "ways", "covered")
        return counts | {name: dict(sorted(getattr(self, name).items())) for name in names}


def quiet(_: str) -> None:
    """No notes."""


def check_case(drawn: Drawn, simulator: Simulator, events: Sequence[FaultEvent] | int, done: Done) -> None:
    """Raise Differs unless golden model, plain loops, functional simulator, cocotb and engine agree on the fault-free
    run, and engine and plain RTL runs on each of ``events`` (or of so many faults)."""
    engine = Engine(drawn.config, model=drawn.model, audit=0.2, note=quiet)
    _fault_free(drawn, engine, simulator)
    if isinstance(events, int):
        events = drawn.events(events, engine.facts(drawn.case).cycles)
    case, cycles = drawn.case, engine.facts(drawn.case).cycles
    try:
        verdicts = engine.run(case, events)
    except EngineError as error:  # an audit; it names the fault
        named = next((event.id for event in events if event.id in str(error)), "")
        raise Differs(str(error), named) from error
    jobs = [replace(plain_job(case, event, cycles), model=drawn.model) for event in events]
    for event, verdict, result in zip(events, verdicts, simulator.run(jobs), strict=True):
        if found := difference(event, verdict, result, case.logits):
            raise Differs(str(found), event.id)
        done.outcomes[verdict.outcome.value] += 1
        done.ways[verdict.mechanism.value] += 1
    done.faults += len(events)
    done.cases += 1
    done.covered.update(exercised(case.program))


def _fault_free(drawn: Drawn, engine: Engine, simulator: Simulator) -> None:
    case, program = drawn.case, drawn.case.program
    for name, expected in reference_network(case.network, case.image).items():
        if not np.array_equal(case.trace[name], expected):
            raise Differs(f"golden model and plain loops differ in layer {name}")
    check_hazards(program)
    after = functional_run(program, case.memory)
    [plain] = simulator.run([Job(program, case.memory, keep=(EVERYTHING,), model=drawn.model)])
    if plain.status is not Status.DONE or plain.violation:
        raise Differs(f"the fault-free run ends with {plain.status.value}, code {plain.code}: {plain.violation}")
    for layer in case.network.layers:
        for what, found in (
            ("the RTL", plain.tensor(layer.name)), ("the functional simulator", program.tensors[layer.name].read(after))
        ):  # fmt: skip
            if not np.array_equal(found, case.trace[layer.name]):
                raise Differs(f"{what} and the golden model differ in layer {layer.name}")
    library = engine.library
    library.begin(case.memory, program.program_address, 0, drawn.model)
    if not library.run(1 << 40) or library.cycle != plain.cycles or library.violation:
        raise Differs(f"engine {library.cycle} cycles {library.violation!r}, cocotb {plain.cycles}")
    if not np.array_equal(library.memory(0, case.memory.size), plain.regions[EVERYTHING]):
        raise Differs("memory after the fault-free run differs between engine and cocotb")
