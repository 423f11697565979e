"""Campaigns of several computers become one: nothing twice, nothing lost, nothing that contradicts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.campaign.archive import restore, write_archive
from fitact_hw.campaign.merge import Part, merge, read_part
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.snapshot import load_campaign
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from tests.campaign.test_store import ROW
from tests.campaign.tiny import OPTIONS, Here, rows_of, run_campaign


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An undisturbed campaign, one that was stopped, and the first injections of the same, all run anew."""
    root = tmp_path_factory.mktemp("merged")
    run_campaign(OPTIONS, root / "whole", chunk=9)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(OPTIONS, root / "stopped", chunk=9, pool=Here(5))
    run_campaign(replace(OPTIONS, faults=24), root / "few", chunk=7)
    return {name: root / name for name in ("whole", "stopped", "few")}


@pytest.fixture
def copies(folders: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Of :func:`folders`, to be changed."""
    return {name: Path(shutil.copytree(path, tmp_path / name)) for name, path in folders.items()}


def _change(folder: Path, column: str, value: Any) -> Row:
    """Change one row that both other campaigns have."""
    with Store(store_path(folder), create=True) as store, store.transaction():
        store.select(f"UPDATE injection SET {column} = ? WHERE (scheme, number) = ('unprotected', 0)", value)
    return next(row for row in rows_of(folder) if (row.scheme, row.number) == ("unprotected", 0))


@pytest.mark.parametrize("order", [("stopped", "few"), ("few", "stopped")])
def test_parts_become_one_that_goes_on_as_if_undisturbed(copies: dict[str, Path], order: tuple[str, str]) -> None:
    first, second = (copies[name] for name in order)
    before = {name: rows_of(copies[name]) for name in order}
    every = {(row.scheme, row.number) for rows in before.values() for row in rows}
    found = merge([first, second])
    assert found == {
        "folder": first,
        "stored": len(every),
        "added": len(every) - len(before[order[0]]),
        "twice": sum(map(len, before.values())) - len(every),
    }
    assert found["added"] > 0 < found["twice"]
    assert rows_of(second) == before[order[1]]
    whole = rows_of(copies["whole"])
    assert set(rows_of(first)) < set(whole)
    assert merge([first, second])["added"] == 0
    run_campaign(OPTIONS, first)
    assert rows_of(first) == whole
    one, other = (Analysis(load_campaign(folder)) for folder in (first, copies["whole"]))
    assert [entry.estimates for entry in one.machine] == [entry.estimates for entry in other.machine]
    assert one.bound_flips
    assert [entry.estimates for entry in one.bound_flips] == [entry.estimates for entry in other.bound_flips]


def test_all_runs_are_recorded_once(copies: dict[str, Path]) -> None:
    runs = [run for name in ("stopped", "few") for run in read_part(copies[name]).facts["runs"]]
    merge([copies["stopped"], copies["few"]])
    merged = read_part(copies["stopped"]).facts
    assert sorted(merged["runs"], key=str) == sorted(runs, key=str)
    assert merged["faults"] == OPTIONS.faults
    merge([copies["stopped"], copies["few"]])
    assert read_part(copies["stopped"]).facts == merged


def test_into_a_new_folder(copies: dict[str, Path], tmp_path: Path) -> None:
    before = {name: rows_of(path) for name, path in copies.items()}
    found = merge(list(copies.values()), tmp_path / "new")
    assert rows_of(tmp_path / "new") == before["whole"]
    assert found["added"] == len(before["whole"])
    assert {name: rows_of(path) for name, path in copies.items()} == before


@pytest.mark.parametrize(("column", "value"), [("outcome", "bus_error"), ("logits", "[7]"), ("cycle", 1)])
def test_a_contradiction_is_refused_and_nothing_changes(
    copies: dict[str, Path], tmp_path: Path, column: str, value: Any
) -> None:
    _change(copies["few"], column, value)
    before = {name: rows_of(path) for name, path in copies.items()}
    for out in (None, tmp_path / "new", copies["whole"]):
        with pytest.raises(CampaignError, match=rf"differ in unprotected-0 \({column}\), one is wrong"):
            merge([copies["stopped"], copies["few"]], out)
    assert {name: rows_of(path) for name, path in copies.items()} == before
    assert not (tmp_path / "new").exists()


def test_shared_simulations_and_columns_of_old_stores_contradict_nothing(copies: dict[str, Path]) -> None:
    for column, value in (("simulated_cycles", 12345), ("status", None), ("detected", None)):
        _change(copies["few"], column, value)
    assert merge([copies["stopped"], copies["few"]])["twice"]
    with Store(store_path(copies["stopped"])) as store:
        row = store.row("unprotected", 0)
    assert row
    assert row.status


def test_a_contradiction_with_an_archive_is_refused(copies: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_archive(tmp_path / "few.parquet", load_campaign(copies["few"]))
    assert restore(tmp_path / "few.parquet", copies["stopped"]) > 0
    _change(copies["stopped"], "outcome", "bus_error")
    with pytest.raises(CampaignError, match=r"differ in unprotected-0 \(outcome\)"):
        restore(tmp_path / "few.parquet", copies["stopped"])


def test_other_campaigns_are_refused(copies: dict[str, Path], tmp_path: Path) -> None:
    run_campaign(replace(OPTIONS, seed=2, faults=4), tmp_path / "other")
    before = rows_of(copies["few"])
    with pytest.raises(CampaignError, match=r"different campaigns \(other pictures, seed"):
        merge([copies["few"], tmp_path / "other"])
    with pytest.raises(CampaignError, match="belongs to a campaign with other pictures, seed"):
        merge([copies["few"], copies["stopped"]], tmp_path / "other")
    with pytest.raises(CampaignError, match="at least two campaign folders"):
        merge([copies["few"], copies["few"] / ".." / "few"])
    assert rows_of(copies["few"]) == before


def _part(name: str, *draws: list[int], population: str = "p") -> Part:
    rounds = {"population": population, "draws": list(draws)}
    return Part(name, {"model": "x"}, {"faults": sum(map(sum, draws)), "rounds": rounds, "goal": name}, {}, {})


def test_rounds_go_on_where_the_shorter_ones_end() -> None:
    short, long = _part("A", [4, 4]), _part("B", [4, 4], [9, 1])
    for one, other in ((short, long), (long, short)):
        facts = one.joined(other).facts
        assert facts["rounds"] == long.facts["rounds"]
        assert (facts["faults"], facts["goal"]) == (18, "B")


@pytest.mark.parametrize("other", [_part("B", [4, 4], [1, 9]), _part("B", [4, 4], [9, 1], population="q")])
def test_rounds_that_were_drawn_differently_are_refused(other: Part) -> None:
    with pytest.raises(CampaignError, match=r"A and B drew round [12] differently"):
        _part("A", [4, 4], [9, 1]).joined(other)


def test_plain_rtl_runs_come_along(tmp_path: Path) -> None:
    for name, number in (("a", 0), ("b", 1)):
        with Store(store_path(tmp_path / name), create=True) as store:
            store.claim({"model": "alexnet"})
            store.add([replace(ROW, number=number)])
            store.add_rtl({("fitact", number): "" if number else "other logits"})
    merge([tmp_path / "a", tmp_path / "b"])
    with Store(store_path(tmp_path / "a")) as store:
        assert store.rtl() == {("fitact", 0): "other logits", ("fitact", 1): ""}
