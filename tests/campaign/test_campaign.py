"""Whole campaigns on the tiny machine: same rows whatever the tasks, interruptions and repetitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.campaign import plan, run
from fitact_hw.campaign.plan import CampaignOptions, Subject
from fitact_hw.campaign.run import run_campaign
from fitact_hw.campaign.snapshot import options_of
from fitact_hw.campaign.store import CampaignError, Store, store_path
from fitact_hw.errors import FitActError
from fitact_hw.faults import Shape
from fitact_hw.injection.engine import Engine
from fitact_hw.reporting.statistics import sample_size
from tests.campaign import tiny
from tests.campaign.tiny import OPTIONS, rows_of, subjects
from tests.sim.machines import TINY


class Immediate(Executor):
    """Runs tasks at once, in this process; optionally dies after some."""

    def __init__(self, tasks: int | None = None) -> None:
        self.left = tasks

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        """As in Executor."""
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    tiny.use(monkeypatch, engine)
    use_executor(monkeypatch, Immediate())


def use_executor(monkeypatch: pytest.MonkeyPatch, executor: Executor) -> None:
    """Give all tasks to ``executor``."""

    @contextmanager
    def given(workers: int, scheduler: str | None) -> Iterator[Executor]:
        yield executor

    monkeypatch.setattr(run, "executor", given)


def test_rows_do_not_depend_on_tasks_or_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_campaign(OPTIONS, tmp_path / "whole")
    whole = rows_of(tmp_path / "whole")
    assert len(whole) == 120
    assert len({row.outcome for row in whole}) >= 2
    run_campaign(OPTIONS, tmp_path / "pieces", chunk=7)
    assert rows_of(tmp_path / "pieces") == whole
    for tasks in (1, 2, 3):
        use_executor(monkeypatch, Immediate(tasks))
        with pytest.raises(KeyboardInterrupt):
            run_campaign(replace(OPTIONS, faults=50), tmp_path / "broken", chunk=9)
    use_executor(monkeypatch, Immediate())
    run_campaign(OPTIONS, tmp_path / "broken", chunk=9)
    assert rows_of(tmp_path / "broken") == whole


def test_other_options_weights_or_rtl_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with monkeypatch.context() as patch:
        patch.setattr(run, "source_fingerprint", lambda config: "other RTL")
        with pytest.raises(CampaignError, match="other machine"):
            run_campaign(few, tmp_path)

    def retrained(options: CampaignOptions) -> dict[str, Subject]:
        found = subjects(options)
        program = found["fitact"].program
        changed = program.memory.copy()
        changed[program.parameters[0].address] ^= 1
        found["fitact"] = replace(found["fitact"], program=replace(program, memory=changed))
        return found

    monkeypatch.setattr(run, "load_subjects", retrained)
    with pytest.raises(CampaignError, match="other programs"):
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


def test_resume_knows_what_was_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_executor(monkeypatch, Immediate(1))
    with pytest.raises(KeyboardInterrupt):
        run_campaign(OPTIONS, tmp_path, chunk=9)
    with Store(store_path(tmp_path)) as store:
        assert options_of(store) == OPTIONS
        facts = store.facts()
    assert facts["bits"] == plan.structure_bits(OPTIONS)
    assert set(facts["cycles"]) == set(OPTIONS.schemes)
    use_executor(monkeypatch, Immediate())
    run_campaign(replace(OPTIONS, faults=3), tmp_path)  # fewer than planned: the plan stays
    with Store(store_path(tmp_path)) as store:
        assert options_of(store).faults == OPTIONS.faults


def test_margin_becomes_a_number_of_injections(tmp_path: Path) -> None:
    options = replace(OPTIONS, schemes=("fitact",), structures=("pe_psum",))
    run_campaign(options, tmp_path, margin=(0.1, 0.9))
    with Store(store_path(tmp_path)) as store:
        facts = store.facts()
    population = plan.structure_bits(options)["pe_psum"] * facts["cycles"]["fitact"]
    assert len(rows_of(tmp_path)) == facts["faults"] == sample_size(population, 0.1, 0.9)
    assert (facts["margin"], facts["confidence"]) == (0.1, 0.9)


def test_the_store_says_where_its_injections_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(OPTIONS, faults=30)
    run_campaign(few, tmp_path)
    use_executor(monkeypatch, Immediate(0))
    with pytest.raises(KeyboardInterrupt):  # stored nothing: no run
        run_campaign(OPTIONS, tmp_path)
    use_executor(monkeypatch, Immediate())
    for _ in range(2):  # the second has nothing to do: no run
        run_campaign(OPTIONS, tmp_path)
    with Store(store_path(tmp_path)) as store:
        records, bound = store.facts()["runs"], store.identity()
    assert [record["command"] for record in records] == [plan.command_of(few), plan.command_of(OPTIONS)]
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
