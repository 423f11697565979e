"""Whole campaigns on the tiny machine: same rows whatever the tasks, interruptions and repetitions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.campaign.plan import CampaignOptions, bits_of, command_of, structure_storages
from fitact_hw.campaign.pool import Forks
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.snapshot import load_campaign, options_of
from fitact_hw.campaign.store import CampaignError, Store, store_path
from fitact_hw.campaign.subjects import Subject
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Sample, Shape
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.live_sample import is_live, structure_sites
from fitact_hw.reporting.statistics import sample_size
from tests.campaign import tiny
from tests.campaign.tiny import OPTIONS, Here, rows_of, run_campaign
from tests.sim.machines import TINY


def test_rows_do_not_depend_on_tasks_or_interruptions(tmp_path: Path) -> None:
    run_campaign(OPTIONS, tmp_path / "whole")
    whole = rows_of(tmp_path / "whole")
    assert len(whole) == 120
    assert len({row.outcome for row in whole}) >= 2
    run_campaign(OPTIONS, tmp_path / "pieces", chunk=7)
    assert rows_of(tmp_path / "pieces") == whole
    for workers in (1, 3):
        run_campaign(OPTIONS, tmp_path / f"forks-{workers}", pool=Forks(workers), chunk=11)
        assert rows_of(tmp_path / f"forks-{workers}") == whole
    for tasks in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            run_campaign(replace(OPTIONS, faults=50), tmp_path / "broken", chunk=9, pool=Here(tasks))
    run_campaign(OPTIONS, tmp_path / "broken", chunk=9)
    assert rows_of(tmp_path / "broken") == whole


def test_other_options_weights_or_rtl_are_refused(tmp_path: Path) -> None:
    few = replace(OPTIONS, faults=4)
    run_campaign(few, tmp_path)
    with pytest.raises(CampaignError, match="other pictures, seed:"):
        run_campaign(replace(few, seed=2), tmp_path)
    others = {
        "config": {"config": TINY.model_copy(update={"queue_depth": 5})},
        "schemes": {"schemes": ("fitact",)},
        "structures": {"structures": ("pe_psum",)},
        "shape": {"shape": Shape.ROWS_2},
        "model": {"model": "other"},
        "images": {"images": 1},
    }
    for name, change in others.items():
        with pytest.raises(CampaignError, match=name):
            run_campaign(replace(few, **change), tmp_path)  # type: ignore[arg-type]
    assert len(rows_of(tmp_path)) == 8

    def retrained(options: CampaignOptions, scheme: str) -> Subject:
        found = tiny.load(options, scheme)
        changed = found.program.memory.copy()
        changed[found.program.parameters[0].address] ^= 1
        return replace(found, program=replace(found.program, memory=changed))

    with pytest.raises(CampaignError, match="other programs"):
        run_campaign(few, tmp_path, load=retrained)
    with Store(store_path(tmp_path), create=True) as store, store.transaction():
        store.put("campaign", {"machine": "of other RTL"})
    with pytest.raises(CampaignError, match="other machine"):
        run_campaign(few, tmp_path)


def test_schemes_get_the_same_bits(tmp_path: Path) -> None:
    run_campaign(replace(OPTIONS, faults=20), tmp_path)
    rows = rows_of(tmp_path)
    first, second = ([r for r in rows if r.scheme == scheme] for scheme in OPTIONS.schemes)
    for one, other in zip(first, second, strict=True):
        assert (one.site, one.word, one.bit, one.image) == (other.site, other.word, other.bit, other.image)
        assert one.layer == other.layer


def test_every_structure_meets_every_image(tmp_path: Path) -> None:
    """Three structures on three images: taking turns by the same number would tie each structure to one image."""
    run_campaign(replace(OPTIONS, faults=18, images=3, schemes=("fitact",)), tmp_path)
    met = Counter((row.structure, row.image) for row in rows_of(tmp_path))
    assert len(met) == 9
    assert set(met.values()) == {2}


def test_resume_knows_what_was_planned(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_campaign(OPTIONS, tmp_path, chunk=9, pool=Here(1))
    with Store(store_path(tmp_path)) as store:
        assert options_of(store) == OPTIONS
        facts = store.facts()
    assert facts["bits"] == bits_of(structure_storages(OPTIONS))
    assert set(facts["cycles"]) == {OPTIONS.schemes[0]}  # the other was not begun
    run_campaign(replace(OPTIONS, faults=3), tmp_path)  # fewer than planned: the plan stays
    with Store(store_path(tmp_path)) as store:
        assert options_of(store).faults == OPTIONS.faults


def test_margin_becomes_a_number_of_injections(tmp_path: Path) -> None:
    options = replace(OPTIONS, schemes=("fitact",), structures=("pe_psum",))
    run_campaign(options, tmp_path, margin=(0.1, 0.9))
    with Store(store_path(tmp_path)) as store:
        facts = store.facts()
    population = bits_of(structure_storages(options))["pe_psum"] * facts["cycles"]["fitact"]
    assert len(rows_of(tmp_path)) == facts["faults"] == sample_size(population, 0.1, 0.9)
    assert (facts["margin"], facts["confidence"]) == (0.1, 0.9)


def test_the_store_says_where_its_injections_come_from(tmp_path: Path) -> None:
    few = replace(OPTIONS, faults=30)
    run_campaign(few, tmp_path)
    with pytest.raises(KeyboardInterrupt):  # stored nothing: no run
        run_campaign(OPTIONS, tmp_path, pool=Here(0))
    for _ in range(2):  # the second has nothing to do: no run
        run_campaign(OPTIONS, tmp_path)
    with Store(store_path(tmp_path)) as store:
        records, bound = store.facts()["runs"], store.identity()
    assert [record["command"] for record in records] == [command_of(few), command_of(OPTIONS)]
    for record in records:
        assert record["seed"] == OPTIONS.seed
        assert record["seconds"] > 0
        prints = record["fingerprints"]
        assert prints["machine"] == OPTIONS.config.fingerprint
        assert prints["engine"] == bound["machine"]
        assert (prints["programs"], prints["images"]) == (bound["programs"], bound["pictures"])
    assert records[0]["started"] <= records[1]["started"]


def test_a_margin_is_recorded_as_the_number_it_became(tmp_path: Path) -> None:
    options = replace(OPTIONS, schemes=("fitact",), structures=("pe_psum",))
    run_campaign(options, tmp_path, margin=(0.2, 0.9))
    with Store(store_path(tmp_path)) as store:
        facts = store.facts()
    assert f"--faults {facts['faults']} " in facts["runs"][0]["command"]


def test_bad_options_leave_no_store(tmp_path: Path) -> None:
    with pytest.raises(FitActError, match="cache"):
        run_campaign(replace(OPTIONS, structures=("cache",)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


LIVE = replace(OPTIONS, structures=(), faults=70, images=1, sample=Sample.LIVE)


def test_a_live_sample_is_a_campaign_like_any_other(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_campaign(replace(LIVE, faults=30), tmp_path, pool=Here(2), chunk=9)
    run_campaign(LIVE, tmp_path)
    rows = rows_of(tmp_path)
    run_campaign(LIVE, tmp_path / "forks", pool=Forks(2))
    assert rows_of(tmp_path / "forks") == rows
    groups = structure_sites(TINY)
    assert Counter(row.structure for row in rows) == dict.fromkeys(groups, 2 * 10)
    accesses = engine.facts(tiny.load(LIVE, "fitact").case(0)).accesses
    events = [FaultEvent.parse(row.event) for row in rows if row.scheme == "fitact"]
    assert all(is_live(event, accesses) for event in events)  # in the run that uses every buffer, though listed last
    with Store(store_path(tmp_path)) as store:
        options, facts = options_of(store), store.facts()
        assert (options.sample, store.identity()["sample"]) == (Sample.LIVE, "live")
    assert facts["bits"] == bits_of(groups)
    assert all(kept == 10 <= points for kept, points in facts["live"].values())
    assert facts["live"]["pe_registers"] == [10, 10]
    assert set(facts["dead_but_read"]["fitact"].values()) == {0}
    assert facts["dead_but_read"]["unprotected"]["bound_buffer"] == 0
    with pytest.raises(CampaignError, match="live bits only, which a report would weigh wrongly"):
        Analysis(load_campaign(tmp_path))
    with pytest.raises(CampaignError, match="other sample"):
        run_campaign(replace(LIVE, sample=Sample.ALL), tmp_path)


def test_structures_that_nothing_reads_are_left_out_of_a_live_sample(tmp_path: Path) -> None:
    said: list[str] = []
    few = replace(LIVE, schemes=("unprotected",), faults=6)
    run_campaign(few, tmp_path, note=said.append)
    assert "nothing ever reads bound_buffer in a run of unprotected: left out, an upset there is masked" in said
    assert {row.structure for row in rows_of(tmp_path)} == structure_sites(TINY).keys() - {"bound_buffer"}
    named = replace(few, structures=("weight_buffer", "bound_buffer"))
    with pytest.raises(CampaignError, match=r"nothing ever reads bound_buffer .*: leave it out of --structures"):
        run_campaign(named, tmp_path / "named")
