"""The machine around an array that C++ computes is the whole machine, cycle by cycle, with and without upsets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Shape, Upset
from fitact_hw.injection.case import Case, EngineError
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.verdict import Mechanism, Verdict
from fitact_hw.sites import list_sites
from sim.engine.library import Library
from sim.engine.strikes import strike_of
from sim.job import MemoryModel
from tests.injection.tiny_machine import draw, make_case
from tests.sim.machines import TINY

WIDE = AcceleratorConfig.create(**TINY.model_dump(exclude={"word_bits", "acc_bits"}), word_bits=32)
"""The same machine for Q15.16."""

EVENTS = 500


def same(one: Verdict, other: Verdict) -> bool:
    """All that a host sees."""
    names = ("outcome", "status", "code", "cycles", "violation", "detected", "corrected_words", "detected_words")
    return all(getattr(one, name) == getattr(other, name) for name in names) and np.array_equal(
        one.logits, other.logits
    )


def end_of(library: Library, case: Case, model: MemoryModel) -> tuple[int, dict[str, int] | None, bytes]:
    """Cycles, registers and memory after a fault-free run."""
    library.begin(case.memory, case.program.program_address, 0, model)
    assert library.run(1 << 40)
    cycles = library.cycle
    return cycles, library.registers(), library.memory(0, case.memory.size).tobytes()


@pytest.mark.parametrize("config", [TINY, WIDE], ids=["int8", "Q15.16"])
def test_fault_free_runs_are_the_same(config: AcceleratorConfig) -> None:
    case, engine = make_case("neuron", residual=True, config=config), Engine(config)
    assert engine.behavioural
    for model in (MemoryModel(), MemoryModel(stall_ar=80, stall_r=90, stall_w=70, stall_b=60, reorder=True, seed=5)):
        one, other = (end_of(item.library, case, model) for item in (engine.whole, engine.behavioural))
        assert one == other
    trace, again = engine.whole.trace(case), engine.behavioural.trace(case)
    assert trace.accesses.cycles == again.accesses.cycles
    assert all(map(np.array_equal, trace.accesses.keys, again.accesses.keys))
    assert all(np.array_equal(getattr(trace, name), getattr(again, name)) for name in ("tokens", "requests", "writes"))


@pytest.mark.parametrize("config", [TINY, WIDE], ids=["int8", "Q15.16"])
@pytest.mark.parametrize(("bound", "shape"), [("neuron", Shape.SINGLE), ("none", Shape.ROWS_3)])
def test_upsets_end_as_in_the_whole_machine(config: AcceleratorConfig, bound: str, shape: Shape) -> None:
    """All structures, each upset from its own cycle there, and here until the run is the fault-free one again."""
    case = make_case(bound, residual=bound == "none", config=config)
    here, whole = Engine(config, functional=False, audit=0), Engine(config, prune=False)
    events = draw(EVENTS, here.facts(case).cycles, seed=len(bound), shape=shape, config=config)
    found, expected = here.run(case, events), whole.run(case, events)
    wrong = [event.id for event, one, other in zip(events, found, expected, strict=True) if not same(one, other)]
    assert not wrong
    assert len({verdict.outcome for verdict in found}) >= 4


@pytest.mark.parametrize("config", [TINY, WIDE], ids=["int8", "Q15.16"])
def test_swaps_and_loads_on_their_way(config: AcceleratorConfig) -> None:
    """Every register that carries one, from the first cycles on, with and without a signal in it."""
    case = make_case("layer", config=config)
    here, whole = Engine(config, audit=0), Engine(config, prune=False)
    cycles, rng = here.facts(case).cycles, np.random.default_rng(3)
    sites = [site.path for site in list_sites(config) if strike_of(site.path)]
    side = config.side
    assert len(sites) == 2 * side**2 + side * (side - 1) // 2
    moments = [*range(12), *rng.integers(cycles, size=28).tolist(), cycles - 1]
    events = [
        FaultEvent("pe_control", Shape.SINGLE, (Upset(site, 0, 1, moment),))
        for number, site in enumerate(sites)
        for moment in moments[number % 2 :: 2]
    ]
    runs = here.library.runs
    found = here.run(case, events)
    assert here.library.runs <= runs + 1, "all but those of the first cycles are judged without the array's registers"
    expected = whole.run(case, events)
    wrong = [event.id for event, one, other in zip(events, found, expected, strict=True) if not same(one, other)]
    assert not wrong
    late = [event for event in events if event.cycle >= side]
    assert len(late) > len(events) // 2
    assert sum(not np.array_equal(verdict.logits, case.logits) for verdict in found) > 20


def test_an_audit_finds_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are judged in both machines, and alike; then the one with the behavioural array is wrong."""
    case, engine = make_case("neuron"), Engine(TINY, audit=1)
    site = next(site for site in list_sites(TINY) if site.path == "u_load_to_compute.count_q")
    event = FaultEvent(site.structure, Shape.SINGLE, (Upset(site.path, 0, 0b100, 300),))
    [verdict] = engine.run(case, [event])
    assert engine.times.audited == 1
    assert verdict.mechanism is not Mechanism.DEAD
    assert engine.behavioural
    simulate = engine.behavioural.run

    def wrong(*arguments: Any) -> Any:
        found, handovers = simulate(*arguments)
        return {start: replace(item, cycles=item.cycles + 1) for start, item in found.items()}, handovers

    monkeypatch.setattr(engine.behavioural, "run", wrong)
    with pytest.raises(EngineError, match="behavioural array and RTL differ in cycles"):
        engine.run(case, [event])
