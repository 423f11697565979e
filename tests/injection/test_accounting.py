"""What `fitact campaign bench` says about where time goes, from a real run and from figures that are known."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest

from fitact_hw.bench.injection import _agree
from fitact_hw.errors import FitActError
from fitact_hw.faults import Outcome
from fitact_hw.injection.accounting import Accounting, Work
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import plain_job
from fitact_hw.injection.verdict import Times
from fitact_hw.reporting.formats import agreement
from sim.simulator import Simulator
from tests.injection.tiny_machine import draw, make_case
from tests.sim.machines import TINY


def test_figures_by_hand() -> None:
    """1 000 upsets in 4 s, 200 of them live, 50 of these in RTL: 1 s and 30 000 cycles; a plain cycle takes 1 ms."""
    found = Counter({"dead": 800, "functional": 150, "full": 50})
    times = Times(states=1.0, faulty=1.5, judge=0.5, faulty_cycles=30_000, mechanisms=found)
    account = Accounting.of(times, 4.0, 1e-3)
    assert account == Accounting(0.2, 0.75, 150.0, 15.0, 0.25)
    assert str(account).startswith("p_live 20.0% (75.0% of them judged without RTL), L 150 cycles, h 15 cycles (25% ")
    assert Accounting.of(Times(mechanisms=Counter(dead=3)), 1.0, 1e-3) is None


def test_work_of_two_runs_by_hand() -> None:
    """As above; RTL is simulated at 30 000 cycles a second, and software needs 8 ms: twice as long."""
    found = Counter({"dead": 800, "functional": 150, "full": 50})
    times = Times(states=1.0, faulty=1.5, judge=0.5, functional=1.0, golden=0.5, faulty_cycles=30_000, audited=20,
                  peak_bytes=2**30, mechanisms=found)  # fmt: skip
    records = [{"work": Work(times, 8e-3).record()}, {}, {"work": Work(times, 16e-3).record()}]
    whole = Work.of_runs(records)
    assert whole is not None
    assert (whole.times.seconds, whole.times.audited, whole.times.peak_bytes) == (8.0, 40, 2**30)
    assert whole.software == pytest.approx(12e-3)
    text = str(whole)
    assert text.startswith("p_live 20.0% (75.0% of them judged without RTL), L 150 cycles, h 450 cycles (25% ")
    assert "250 injections per second and core, 3.0 times as many as by software only (83.3)" in text
    assert Work.of_runs([{}, {}]) is None
    assert str(Work(Times(mechanisms=Counter(dead=3)), None)) == "no upset was live"
    assert "software" not in str(Work(times, None))


def test_of_a_real_run() -> None:
    """L and h together are the time that was measured, as plain RTL cycles, if these are as fast as the engine's."""
    case, engine = make_case("neuron"), Engine(TINY)
    events = draw(400, engine.facts(case).cycles, seed=3)
    engine.times = Times()
    began = time.perf_counter()
    verdicts = engine.run(case, events)
    seconds = time.perf_counter() - began
    cycle = (engine.times.faulty - engine.times.judge) / engine.times.faulty_cycles
    account = Accounting.of(engine.times, seconds, cycle)
    assert account is not None
    assert account.simulated * account.p_live * len(events) == pytest.approx(engine.times.faulty_cycles)
    assert sum(v.simulated_cycles for v in verdicts) <= engine.times.faulty_cycles  # audited ones count as well
    assert account.p_live * len(events) * (account.simulated + account.rest) * cycle == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("compared", "text"),
    [(0, "x: none"), (2, "x: 2, differing: 0 (at most 100.0 % "), (300, "x: 300, differing: 0 (at most 1.00 % ")],
)
def test_what_follows_from_no_difference(compared: int, text: str) -> None:
    assert agreement(compared, "x").startswith(text)


def test_a_difference_to_plain_rtl_stops_the_bench(simulator: Simulator) -> None:
    case, engine = make_case("layer"), Engine(TINY)
    cycles = engine.facts(case).cycles
    events = draw(12, cycles, seed=3)
    verdicts = engine.run(case, events)
    results = simulator.run([plain_job(case, event, cycles) for event in events[:6]])
    _agree(events, verdicts, results, case.logits)
    verdicts[4] = replace(verdicts[4], outcome=next(one for one in Outcome if one is not verdicts[4].outcome))
    with pytest.raises(FitActError, match="engine and plain RTL differ"):
        _agree(events, verdicts, results, case.logits)
