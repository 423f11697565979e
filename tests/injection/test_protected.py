"""Machines with parity or SECDED in the engine: the same results as plain RTL runs, flag and counters included."""

from __future__ import annotations

import pytest

from fitact_hw.faults import Outcome, Shape
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import compare
from fitact_hw.injection.verdict import Mechanism
from sim.simulator import Simulator
from tests.injection.tiny_machine import draw, make_case
from tests.sim.test_protection import MACHINES

EVENTS = 120


@pytest.mark.parametrize(
    ("kind", "shape"), [("parity", Shape.SINGLE), ("secded", Shape.SINGLE), ("secded", Shape.COLUMNS_2)]
)
def test_engine_equals_plain_rtl(kind: str, shape: Shape) -> None:
    """Upsets everywhere, and many in buffers: detected, corrected and counted words as in plain RTL runs."""
    config = MACHINES[kind]
    engine, simulator = Engine(config), Simulator(config, workers=2)
    case = make_case("neuron", residual=True, config=config)
    cycles = engine.facts(case).cycles
    drawn = draw(16 * EVENTS, cycles, seed=5, shape=shape, config=config)
    buffers = [event for event in drawn if event.structure.endswith("_buffer")]
    live = [
        event for event, verdict in zip(buffers, engine.run(case, buffers), strict=True)
        if verdict.mechanism is not Mechanism.DEAD
    ]  # fmt: skip
    assert len(live) >= 40
    verdicts, differences = compare(engine, simulator, case, [*drawn[: EVENTS // 2], *live[:60]])
    assert not differences, "\n".join(map(str, differences))
    noticed = [verdict for verdict in verdicts[EVENTS // 2 :] if verdict.detected_words or verdict.corrected_words]
    assert len(noticed) >= 30
    if kind == "secded" and shape is Shape.SINGLE:
        assert {verdict.outcome for verdict in noticed} == {Outcome.MASKED}
        assert all(verdict.corrected_words and not verdict.detected for verdict in noticed)
    else:
        assert Outcome.DETECTED in {verdict.outcome for verdict in noticed}
    # counting is no reason to simulate to the end
    assert sum(verdict.mechanism is Mechanism.FULL for verdict in noticed) < len(noticed) // 2
