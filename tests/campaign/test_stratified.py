"""Stratified campaigns on the tiny machine: the same rows whatever happens, and an estimate that is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.pool import Forks
from fitact_hw.campaign.rounds import Found, Rounds
from fitact_hw.campaign.store import CampaignError, Store, store_path
from fitact_hw.campaign.stratified import GOAL, ROUNDS, StratifiedRun
from fitact_hw.faults import FaultEvent, Sample, Shape, event_at
from fitact_hw.injection.engine import Engine
from fitact_hw.sites import list_sites
from tests.campaign.tiny import OPTIONS, Here, load, rows_of
from tests.sim.machines import TINY

SMALL = replace(OPTIONS, sample=Sample.STRATIFIED, images=6, faults=0)


def run(folder: Path, goal: Goal, options: Any = SMALL, **changes: Any) -> Found:
    given = {"pool": Here(), "load": load, "note": lambda text: None, **changes}
    StratifiedRun(options, folder, given.pop("pool"), goal=goal, **given).work()
    with Store(store_path(folder)) as store:
        return Found(Rounds.from_json(store.facts()[ROUNDS]), store.rows(), options.schemes)


def test_rows_do_not_depend_on_workers_or_interruptions(tmp_path: Path) -> None:
    goal = Goal(faults=700)
    whole = run(tmp_path / "whole", goal)
    assert whole.rounds.total == 700
    rows = rows_of(tmp_path / "whole")
    run(tmp_path / "forks", goal, pool=Forks(2), chunk=50)
    assert rows_of(tmp_path / "forks") == rows
    for tasks in (1, 4, 9):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", goal, pool=Here(tasks))
    run(tmp_path / "broken", goal)
    assert rows_of(tmp_path / "broken") == rows


def test_a_larger_budget_goes_on_with_the_same_sample(tmp_path: Path) -> None:
    first = run(tmp_path, Goal(faults=300))
    rows = rows_of(tmp_path)
    second = run(tmp_path, Goal(faults=900))
    assert second.rounds.total == 900
    assert second.rounds.draws[: len(first.rounds.draws)] == first.rounds.draws
    kept = [row for row in rows_of(tmp_path) if row.number < 300]
    assert kept == rows


def test_margin_is_reached_or_the_budget_used_up(tmp_path: Path) -> None:
    found = run(tmp_path / "margin", Goal(margin=0.009))
    assert Goal().half_width(found) <= 0.009 or Goal(margin=0.009).out_of_reach(found)
    few = run(tmp_path / "both", Goal(margin=0.0001, faults=200))
    assert few.rounds.total == 200
    assert run(tmp_path / "time", Goal(margin=0.0001, minutes=0.02)).rounds.total >= 1
    with Store(store_path(tmp_path / "both")) as store:
        assert store.facts()[GOAL]["faults"] == 200


def test_images_that_differ_end_a_campaign_that_they_cannot_decide(tmp_path: Path) -> None:
    said: list[str] = []
    found = run(tmp_path, Goal(margin=1e-5), note=said.append)
    assert found.rounds.total < 20_000
    assert "cannot be reached on 6 images, which differ: use more" in said[-1]


def test_schemes_get_the_same_upsets_and_images_take_turns(tmp_path: Path) -> None:
    found = run(tmp_path, Goal(faults=600))
    one, other = (found.rows[scheme] for scheme in SMALL.schemes)
    assert [(r.site, r.word, r.bit, r.image) for r in one] == [(r.site, r.word, r.bit, r.image) for r in other]
    strata = found.rounds.population.strata
    of = found.rounds.cells % len(strata)
    for index, stratum in enumerate(strata):
        images = np.bincount([row.image for row, h in zip(one, of, strict=True) if h == index], minlength=6)
        assert images[stratum.images :].sum() == 0
        assert np.ptp(images[: stratum.images]) <= 1
        assert {row.structure for row, h in zip(one, of, strict=True) if h == index} == {stratum.structure}


def test_rate_is_that_of_all_points(tmp_path: Path) -> None:
    """Against a plain sample over all points, judged one by one."""
    options = replace(SMALL, structures=("weight_buffer", "pe_psum"))
    found = run(tmp_path, Goal(faults=4000), options)
    engine = Engine(TINY, note=lambda text: None)
    rng = np.random.default_rng(8)
    sites = [site for site in list_sites(TINY) if site.structure in options.structures]
    bits = np.array([site.bits for site in sites])
    for scheme in options.schemes:
        subject = load(options, scheme)
        fails = total = 0
        for image in range(options.images):
            case = subject.case(image)
            cycles = engine.facts(case).cycles
            events = []
            for place in rng.choice(len(sites), size=400, p=bits / bits.sum()):
                site = sites[place]
                cell = int(rng.integers(site.bits))
                events.append(event_at(site.structure, site, cell, int(rng.integers(cycles))))
            fails += sum(v.outcome.value in ("sdc", "benign") for v in engine.run(case, events))
            total += len(events)
        interval = found.rate(scheme, ("sdc", "benign"))
        plain = fails / total
        error = 3 * np.sqrt(plain * (1 - plain) / total) + 3 * interval.half / 2
        assert abs(plain - interval.value) < error


@pytest.mark.parametrize(("shape", "interleave"), [(Shape.ROWS_2, 1), (Shape.SQUARE, 1), (Shape.COLUMNS_2, 4)])
def test_patterns_of_several_bits(tmp_path: Path, shape: Shape, interleave: int) -> None:
    found = run(tmp_path, Goal(faults=200), replace(SMALL, shape=shape, interleave=interleave))
    rows = found.rows["fitact"]
    assert max(row.bits for row in rows) == shape.rows * shape.cols
    words = {len(FaultEvent.parse(row.event).upsets) for row in rows if row.structure == "weight_buffer"}
    assert words == {shape.rows if interleave == 1 else shape.cols}


def test_too_small_a_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"do not reach each of \d+ strata: --faults \d+ or more"):
        run(tmp_path, Goal(faults=2))


def test_paired_differences_use_the_same_draws(tmp_path: Path) -> None:
    found = run(tmp_path, Goal(faults=900))
    for names in ((), ("weight_buffer",)):
        one, other = (found.rate(scheme, ("sdc",), names).value for scheme in SMALL.schemes)
        between = found.difference("unprotected", "fitact", ("sdc",), names)
        assert between.value == pytest.approx(one - other, abs=1e-12)
        assert between.low <= between.value <= between.high


def test_upsets_are_drawn_for_the_run_of_the_base_scheme(tmp_path: Path) -> None:
    """The first of those that use the bound buffer most, whatever its name; another population is another campaign."""
    options = replace(SMALL, schemes=("clipact", "fitact"), structures=("bound_buffer",))
    made = StratifiedRun(options, tmp_path, Here(), goal=Goal(faults=40), load=load, note=lambda text: None)
    assert made._live
    assert made._live.base.scheme == options.base == "fitact"
    with Store(store_path(tmp_path), create=True) as store:
        rounds = store.facts()[ROUNDS]
        rounds["population"]["points"] += 1
        store.note(**{ROUNDS: rounds})
    with pytest.raises(CampaignError, match="has other strata: choose another folder with --out"):
        StratifiedRun(options, tmp_path, Here(), goal=Goal(faults=40), load=load, note=lambda text: None)
