"""Upsets of `fitact sim`: where they strike, that dead means dead, and the sample for cocotb."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fitact_hw.campaign.plan import timing
from fitact_hw.errors import FitActError
from fitact_hw.faults import Shape
from fitact_hw.injection import live_sample as upsets
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.simulate import upsets as struck
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator
from tests.injection.tiny_machine import make_case
from tests.sim.machines import TINY

COUNT = 35


@pytest.fixture(scope="module")
def drawn() -> tuple[upsets.Draw, Engine]:
    """Upsets of a small network."""
    engine, case = Engine(TINY), make_case("neuron")
    facts = engine.facts(case)
    return upsets.draw(upsets.structure_sites(TINY), facts.cycles, facts.accesses, COUNT, seed=3), engine


def test_live_bits_evenly_and_the_same_for_another_scheme(drawn: tuple[upsets.Draw, Engine]) -> None:
    draw, engine = drawn
    facts = engine.facts(make_case("neuron"))
    assert Counter(event.structure for event in draw.events) == dict.fromkeys(upsets.structure_sites(TINY), 5)
    base = timing("fitact", facts)
    slow = Timeline("slow", base.layers, base.ends * 2, base.cycles * 2)  # a scheme that takes twice as long
    for event in draw.events:
        other = moved(event, base, slow)
        assert [(u.site, u.word, u.mask) for u in event.upsets] == [(u.site, u.word, u.mask) for u in other.upsets]
        assert abs(other.cycle - 2 * event.cycle) <= 2
        for upset in event.upsets:
            if upset.site in facts.accesses.names:
                assert facts.accesses.next_read(upset.site, upset.word, upset.cycle) is not None
    assert draw.live["pe_registers"] == (5, 5)
    assert all(kept == 5 <= tried for kept, tried in draw.live.values())


def test_dead_points_change_nothing_in_the_rtl(drawn: tuple[upsets.Draw, Engine]) -> None:
    _, engine = drawn
    case = make_case("neuron")
    facts = engine.facts(case)
    dead = []
    for name, group in upsets.structure_sites(TINY).items():
        events = [
            e for e in upsets.points({name: group}, facts.cycles, seed=4) if not upsets.is_live(e, facts.accesses)
        ]
        dead += events[:12]
    assert len(dead) == 6 * 12  # of every buffer; PE registers count as live
    jobs = [Job(case.program, case.memory, event.upsets, keep=(EVERYTHING,)) for event in dead]
    clean, *results = Simulator(TINY).run([Job(case.program, case.memory, keep=(EVERYTHING,)), *jobs])
    for event, result in zip(dead, results, strict=True):
        assert (result.status, result.cycles) == (Status.DONE, clean.cycles), event.id
        np.testing.assert_array_equal(result.regions[EVERYTHING], clean.regions[EVERYTHING], err_msg=event.id)


def test_too_many_upsets_for_few_live_points(
    drawn: tuple[upsets.Draw, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, engine = drawn
    facts = engine.facts(make_case("neuron"))
    monkeypatch.setattr(upsets, "MOST_DRAWS", 64)
    with pytest.raises(FitActError, match="ask for fewer upsets"):
        upsets.draw(upsets.structure_sites(TINY), facts.cycles, facts.accesses, 7 * 60, 1, Shape.SINGLE)


def test_every_scheme_is_checked_unless_runs_are_long() -> None:
    schemes = ["fitact", "unprotected", "ranger", "clipact"]
    assert struck.checked_schemes(schemes, 300_000, seed=1) == set(schemes)
    some = [struck.checked_schemes(schemes, struck.CHECK_CYCLES // 2, seed) for seed in range(20)]
    assert all(len(chosen) == 2 and "fitact" in chosen for chosen in some)
    assert set().union(*some) == set(schemes)
    assert struck.checked_schemes(schemes, 10 * struck.CHECK_CYCLES, seed=1) == {"fitact"}


def test_cross_check_takes_every_mechanism_and_finds_a_wrong_verdict(
    drawn: tuple[upsets.Draw, Engine], tmp_path: Path
) -> None:
    draw, engine = drawn
    case = make_case("neuron")
    events = draw.events
    verdicts = engine.run(case, events)
    items = [struck.Injection(k, event, v) for k, (event, v) in enumerate(zip(events, verdicts, strict=True))]
    mechanisms = {verdict.mechanism for verdict in verdicts}
    chosen = [struck.choose(items, seed, "fitact") for seed in range(12)]
    assert {item.verdict.mechanism for item in chosen} == mechanisms
    assert len({item.number for item in chosen}) > 6
    timeline = timing("fitact", engine.facts(case))
    checks = [struck.make_check(case, timeline, items, seed) for seed in range(4)]
    simulator, console = Simulator(TINY), Console(quiet=True)
    names = struck.cross_check(console, simulator, checks, tmp_path)
    assert names == [check.name for check in checks]
    wrong = replace(checks[-1].injection, verdict=replace(checks[-1].injection.verdict, logits=case.logits + 1))
    checks[-1] = replace(checks[-1], injection=wrong)
    with pytest.raises(
        FitActError, match=rf"upset {names[-1]} gave another .* fitact replay --results .* --fault {names[-1]}"
    ):
        struck.cross_check(console, simulator, checks, tmp_path)
