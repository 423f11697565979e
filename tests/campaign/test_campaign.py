"""Whole campaigns on the tiny machine: same rows whatever the tasks, interruptions and repetitions."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from fitact_hw.campaign import plan, run, work
from fitact_hw.campaign.engine import Engine
from fitact_hw.campaign.plan import CampaignOptions, Subject
from fitact_hw.campaign.report import export_parquet, options_of, overall, paired, print_report
from fitact_hw.campaign.run import run_campaign, store_path
from fitact_hw.campaign.store import CampaignError, Row, Store
from tests.campaign.conftest import make_case
from tests.sim.machines import TINY

OPTIONS = CampaignOptions(
    "tiny", TINY, ("unprotected", "fitact"), ("weight_buffer", "bound_buffer", "pe_psum"), faults=60, images=2
)


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


def subjects(options: CampaignOptions) -> dict[str, Subject]:
    """Stand-ins for the trained networks."""
    rng = np.random.default_rng(options.seed)
    found = {}
    for scheme, bound in (("unprotected", "none"), ("fitact", "neuron")):
        case = make_case(bound)
        images = rng.integers(-128, 128, (options.images, 3, 6, 6), np.int64)
        found[scheme] = Subject(replace(case.network, scheme=scheme), case.program, images)
    return found


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(run, "load_subjects", subjects)
    monkeypatch.setattr(work, "process_subject", lambda options, scheme: subjects(options)[scheme])
    monkeypatch.setattr(work, "process_engine", lambda config: engine)
    monkeypatch.setattr(run, "Engine", lambda config, note: engine)
    _use(monkeypatch, Immediate())


def _use(monkeypatch: pytest.MonkeyPatch, executor: Executor) -> None:
    @contextmanager
    def given(workers: int, scheduler: str | None) -> Iterator[Executor]:
        yield executor

    monkeypatch.setattr(run, "_executor", given)


def rows_of(folder: Path) -> list[Row]:
    """What matters: who shared a simulation with whom depends on the tasks."""
    rows = Store(store_path(folder)).rows()
    return [replace(row, simulated_cycles=0) for row in rows]


def test_rows_do_not_depend_on_tasks_or_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_campaign(OPTIONS, tmp_path / "whole")
    whole = rows_of(tmp_path / "whole")
    assert len(whole) == 120
    assert len({row.outcome for row in whole}) >= 2
    run_campaign(OPTIONS, tmp_path / "pieces", chunk=7)
    assert rows_of(tmp_path / "pieces") == whole
    for tasks in (1, 2, 3):
        _use(monkeypatch, Immediate(tasks))
        with pytest.raises(KeyboardInterrupt):
            run_campaign(replace(OPTIONS, faults=50), tmp_path / "broken", chunk=9)
    _use(monkeypatch, Immediate())
    run_campaign(OPTIONS, tmp_path / "broken", chunk=9)
    assert rows_of(tmp_path / "broken") == whole


def test_other_options_weights_or_rtl_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(OPTIONS, faults=4)
    run_campaign(few, tmp_path)
    with pytest.raises(CampaignError, match="other pictures, seed:"):
        run_campaign(replace(few, seed=2), tmp_path)
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


def test_report_and_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet

    run_campaign(OPTIONS, tmp_path)
    store = Store(store_path(tmp_path))
    assert options_of(store) == OPTIONS
    console = Console(width=200, record=True, file=(tmp_path / "out.txt").open("w"))
    print_report(console, store, 1000.0)
    text = console.export_text()
    assert "weight_buffer" in text
    assert "whole machine" in text
    rows = store.rows()
    values = overall(rows, plan.structure_bits(OPTIONS), ("sdc",))
    assert set(values) == set(OPTIONS.schemes)
    assert all(value.low <= value.value <= value.high for value in values.values())
    only_one, only_other, p = paired(rows, "unprotected", "fitact")
    assert 0 <= only_one + only_other <= 60
    assert 0 < p <= 1
    table = pyarrow.parquet.read_table(export_parquet(rows, tmp_path / "x.parquet")).to_pylist()
    assert len(table) == len(rows)
    assert table[5]["event"] == rows[5].event
