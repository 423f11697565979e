"""Upsets of `fitact sim`: that dead means dead, the sample for cocotb, and whose store it may replace."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fitact_hw.campaign.plan import timing
from fitact_hw.campaign.pool import Forks
from fitact_hw.campaign.replay import Repeat
from fitact_hw.campaign.run import CampaignRun
from fitact_hw.campaign.store import CampaignError, Store, store_path
from fitact_hw.campaign.subjects import Subjects
from fitact_hw.errors import FitActError
from fitact_hw.faults import Sample, faults
from fitact_hw.injection import live_sample
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.simulate import upsets
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator
from tests.campaign import tiny
from tests.campaign.tiny import rows_of, run_campaign
from tests.injection.tiny_machine import make_case
from tests.sim.machines import TINY

COUNT = 35
OPTIONS = replace(tiny.OPTIONS, structures=(), faults=COUNT, images=1, sample=Sample.LIVE)


@pytest.fixture(scope="module")
def drawn(engine: Engine) -> live_sample.LiveDraw:
    """Upsets of a small network."""
    facts = engine.facts(make_case("neuron"))
    return live_sample.draw(live_sample.structure_sites(TINY), facts.cycles, facts.accesses, COUNT, seed=3)


def test_live_bits_in_turns_and_the_same_for_another_scheme(drawn: live_sample.LiveDraw, engine: Engine) -> None:
    facts = engine.facts(make_case("neuron"))
    structures = live_sample.structure_sites(TINY)
    assert [event.structure for event in drawn.events] == [*structures] * 5
    base = timing("fitact", facts)
    slow = Timeline("slow", base.layers, base.ends * 2, base.cycles * 2)  # a scheme that takes twice as long
    for event in drawn.events:
        other = moved(event, base, slow)
        assert [(u.site, u.word, u.mask) for u in event.upsets] == [(u.site, u.word, u.mask) for u in other.upsets]
        assert abs(other.cycle - 2 * event.cycle) <= 2
        for upset in event.upsets:
            if upset.site in facts.accesses.names:
                assert facts.accesses.next_read(upset.site, upset.word, upset.cycle) is not None
    assert drawn.drawn["pe_registers"] == 5
    assert {name: 5 + len(dead) for name, dead in drawn.dead.items()} == drawn.drawn
    assert set(drawn.read_in(base, base, facts.accesses).values()) == {0}
    fewer = live_sample.draw(structures, facts.cycles, facts.accesses, 10, seed=3)
    assert drawn.events[:10] == fewer.events  # a longer list starts with the shorter one


def test_what_another_scheme_reads_of_the_dead_points_is_counted(drawn: live_sample.LiveDraw, engine: Engine) -> None:
    base_facts, facts = (engine.facts(make_case(bound)) for bound in ("neuron", "none"))
    base, target = timing("fitact", base_facts), timing("unprotected", facts)
    found = drawn.read_in(base, target, facts.accesses)
    assert found["bound_buffer"] == 0  # it has no bounds
    assert sum(found.values()) > 0
    for name, count in found.items():
        events = [moved(event, base, target) for event in drawn.dead[name]]
        assert count == sum(
            facts.accesses.next_read(u.site, u.word, u.cycle) is not None for event in events for u in event.upsets
        )


def test_dead_points_change_nothing_in_the_rtl(engine: Engine, simulator: Simulator) -> None:
    case = make_case("neuron")
    facts = engine.facts(case)
    dead = []
    for name, group in live_sample.structure_sites(TINY).items():
        points = islice(faults({name: group}, facts.cycles, seed=4), 5000)
        dead += list(islice((e for e in points if not live_sample.is_live(e, facts.accesses)), 12))
    assert len(dead) == 6 * 12  # of every buffer; PE registers count as live
    jobs = [Job(case.program, case.memory, event.upsets, keep=(EVERYTHING,)) for event in dead]
    clean, *results = simulator.run([Job(case.program, case.memory, keep=(EVERYTHING,)), *jobs])
    for event, result in zip(dead, results, strict=True):
        assert (result.status, result.cycles) == (Status.DONE, clean.cycles), event.id
        np.testing.assert_array_equal(result.regions[EVERYTHING], clean.regions[EVERYTHING], err_msg=event.id)


def test_too_many_upsets_for_few_live_points(engine: Engine) -> None:
    facts = engine.facts(make_case("neuron"))
    with pytest.raises(FitActError, match="of 64 points are live: ask for fewer upsets"):
        live_sample.draw(live_sample.structure_sites(TINY), facts.cycles, facts.accesses, 7 * 60, 1, most=64)


def test_every_scheme_is_checked_unless_runs_are_long() -> None:
    schemes = ["fitact", "unprotected", "ranger", "clipact"]
    assert upsets.checked_schemes(schemes, 300_000, seed=1) == set(schemes)
    some = [upsets.checked_schemes(schemes, upsets.CHECK_CYCLES // 2, seed) for seed in range(20)]
    assert all(len(chosen) == 2 and "fitact" in chosen for chosen in some)
    assert set().union(*some) == set(schemes)
    assert upsets.checked_schemes(schemes, 10 * upsets.CHECK_CYCLES, seed=1) == {"fitact"}


def test_cross_check_takes_every_mechanism_and_finds_a_wrong_row(tmp_path: Path, simulator: Simulator) -> None:
    run_campaign(OPTIONS, tmp_path)
    rows = rows_of(tmp_path)
    of_scheme = [row for row in rows if row.scheme == "fitact"]
    chosen = [upsets.choose(rows, seed, "fitact") for seed in range(12)]
    assert {row.way for row in chosen} == {row.way for row in of_scheme}
    assert len({row.number for row in chosen}) > 6
    with Store(store_path(tmp_path)) as store:
        cycles = store.facts()["cycles"]
    subjects, console = Subjects(OPTIONS, tiny.load), Console(quiet=True)
    sample = upsets.repeats(OPTIONS, subjects, rows, cycles)
    assert [item.row.scheme for item in sample] == ["fitact", "unprotected"]
    assert upsets.cross_check(console, simulator, sample, tmp_path) == [item.row.id for item in sample]
    with Store(store_path(tmp_path)) as store:
        assert set(store.rtl().values()) == {""}
    wrong = replace(sample[-1].row, logits="[7, 7, 7, 7]")
    sample[-1] = Repeat.of(wrong, OPTIONS, subjects[wrong.scheme], cycles[wrong.scheme])
    with pytest.raises(
        FitActError, match=rf"upset {wrong.id} gave another .*fitact replay --results .* --fault {wrong.id}"
    ):
        upsets.cross_check(console, simulator, sample, tmp_path)
    with Store(store_path(tmp_path)) as store:
        assert Counter(bool(text) for text in store.rtl().values()) == {False: 1, True: 1}


def test_upsets_of_this_command_are_continued_or_replaced_and_others_left_alone(tmp_path: Path) -> None:
    def begin(changes: dict[str, int], folder: Path) -> CampaignRun:
        return upsets.begin(replace(OPTIONS, **changes), folder, Forks(2), said.append, tiny.load)  # type: ignore[arg-type]

    said: list[str] = []
    console, folder = Console(quiet=True), tmp_path / "sim"
    first = upsets.work(console, begin({"faults": 14}, folder), folder)
    more = upsets.work(console, begin({}, folder), folder)
    assert [row for row in more if row.number < 14] == first
    assert upsets.work(console, begin({"faults": 7}, folder), folder) == [row for row in first if row.number < 7]
    other = upsets.work(console, begin({"faults": 7, "seed": 2}, folder), folder)
    assert any("seed changed: the upsets of an earlier run in" in text for text in said)
    assert len(rows_of(folder)) == len(other) == 14
    run_campaign(replace(OPTIONS, seed=3, faults=7), tmp_path / "campaign")
    with pytest.raises(CampaignError, match=r"belongs to a campaign with other .*seed"):
        begin({}, tmp_path / "campaign")
    assert len(rows_of(tmp_path / "campaign")) == 14
