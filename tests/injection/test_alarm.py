"""Machines with an alarm of the clamps in the engine: outcomes and clamp hits as in plain RTL runs, by every way."""

from __future__ import annotations

from collections import Counter

import pytest

from fitact_hw.faults import FaultEvent
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import compare
from fitact_hw.injection.verdict import Mechanism
from sim.simulator import Simulator
from tests.injection.tiny_machine import draw, make_case
from tests.sim.test_alarm import ALARMED

CONFIG = ALARMED[0]


def live(engine: Engine, case: Case, seed: int, count: int) -> list[FaultEvent]:
    """So many random events that are read."""
    drawn = draw(40 * count, engine.facts(case).cycles, seed=seed, config=CONFIG)
    verdicts = engine.run(case, drawn, audit=False)
    found = [e for e, v in zip(drawn, verdicts, strict=True) if v.mechanism is not Mechanism.DEAD]
    assert len(found) >= count
    return found[:count]


@pytest.mark.parametrize("residual", [False, True])
def test_engine_counts_as_plain_rtl(residual: bool) -> None:
    """With a shortcut, padding lanes are handed on: then RTL counts to the end, and says so."""
    notes: list[str] = []
    engine, simulator = Engine(CONFIG, note=notes.append), Simulator(CONFIG, workers=2)
    case = make_case("neuron", residual=residual, config=CONFIG)
    assert engine.facts(case).countable is not residual
    drawn = draw(60, engine.facts(case).cycles, seed=3, config=CONFIG)
    more = draw(3000, engine.facts(case).cycles, seed=9, config=CONFIG)
    alarm = [event for event in more if event.structure == "alarm"][:30]
    events = [*drawn, *live(engine, case, 5, 70), *alarm]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    clean = verdicts[0].clamp_hits
    ways = Counter(verdict.mechanism for verdict in verdicts if verdict.clamp_hits != clean)
    assert any("padding lanes" in note for note in notes) is residual
    if residual:
        assert set(ways) <= {Mechanism.FULL, Mechanism.RECONVERGED}
    else:
        assert ways[Mechanism.FUNCTIONAL] > 5


def test_every_buffer_and_register_of_data_counts_without_rtl() -> None:
    """What is judged without RTL is all audited: the same counts by RTL, upset by upset."""
    engine = Engine(CONFIG, audit=1.0)
    case = make_case("neuron", config=CONFIG)
    events = live(engine, case, 11, 150)
    verdicts = engine.run(case, events)
    functional = [verdict for verdict in verdicts if verdict.mechanism is Mechanism.FUNCTIONAL]
    assert engine.times.audited == len({v for v in verdicts if not v.collapsed})  # none needs the whole machine
    assert len({v for v in functional if not v.collapsed}) > 50
    counts = Counter(verdict.clamp_hits for verdict in functional)
    assert len(counts) >= 4
