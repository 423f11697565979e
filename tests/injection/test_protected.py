"""Machines with parity or SECDED in the engine: the same results as plain RTL runs, flag and counters included."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.config import BUFFER_NAMES
from fitact_hw.faults import FaultEvent, Outcome, Shape, Upset
from fitact_hw.injection.audit import compare as compare_verdicts
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import compare
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.sites import list_sites
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
        assert {verdict.mechanism for verdict in noticed} == {Mechanism.FUNCTIONAL}
    else:
        assert Outcome.DETECTED in {verdict.outcome for verdict in noticed}
    # counting is no reason to simulate to the end
    assert sum(verdict.mechanism is Mechanism.FULL for verdict in noticed) < len(noticed) // 2


@pytest.mark.parametrize("kind", ["parity", "secded"])
@pytest.mark.parametrize("buffer", BUFFER_NAMES)
def test_judged_without_rtl_as_in_it(kind: str, buffer: str) -> None:
    """Data and check bits of every buffer, corrected, lost and missed; lost lanes of sums are left to RTL."""
    config = MACHINES[kind]
    case = make_case("neuron", residual=True, config=config)
    engine, rtl = Engine(config, audit=0.0), Engine(config, functional=False, behavioural=False)
    facts = engine.facts(case)
    [site] = [item for item in list_sites(config) if item.path == f"u_buffers.u_{buffer}.data_mem"]
    width, checks, lanes = config.buffer_lane_bits(buffer), config.check_bits(buffer), config.side
    assert site.width == lanes * (width + checks)
    live = [(n, c) for c in range(50, facts.cycles, 41) for n in range(site.depth)
            if facts.accesses.next_read(site.path, n, c) is not None]  # fmt: skip
    data, top = lanes * width, 1 << lanes * (width + checks) - 1
    one = [1, 1 << width - 1, 1 << data - 1, 1 << data, top, 1 << width - 1 | 1 << width]
    two = [3, 3 << width, 1 | 1 << data, 3 | 1 << data - 1]
    rng = np.random.default_rng(4)
    events = []
    for mask in 3 * one + 3 * two:
        word, cycle = live[int(rng.integers(len(live)))]
        events.append(FaultEvent(f"{buffer}_buffer", Shape.SINGLE, (Upset(site.path, word, mask, cycle),)))
    found, expected = engine.run(case, events), rtl.run(case, events)
    for event, verdict, plain in zip(events, found, expected, strict=True):
        compare_verdicts(event, verdict, plain)
        single = event.upsets[0].mask in one
        lost = single == (kind == "parity") or event.upsets[0].mask == two[-1]
        assert verdict.detected is lost
        assert bool(verdict.corrected_words) is (single and kind == "secded")
        if not (buffer == "accumulator" and lost):
            assert verdict.mechanism is Mechanism.FUNCTIONAL
    assert len({verdict.logits.tobytes() for verdict in found}) > 1 or (buffer, kind) == ("bound", "secded")
