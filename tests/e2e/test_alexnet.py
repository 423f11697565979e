"""AlexNet through the RTL with a reduced number of upsets: what `make sim MODEL=alexnet` does, and replay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.campaign.store import Row, Store, store_path
from fitact_hw.faults import Outcome
from golden.bounds.schemes import COMPARED, DEFAULT, UNPROTECTED
from tests.e2e.command import fitact

IMAGES, FAULTS = 4, 28


@dataclass(frozen=True)
class Run:
    """What `fitact sim` left and said."""

    folder: Path
    said: str
    record: dict[str, Any]
    rows: list[Row]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the command, for all tests."""
    folder = tmp_path_factory.mktemp("alexnet")
    done = fitact("sim", "alexnet", "--images", str(IMAGES), "--faults", str(FAULTS), "--out", str(folder))
    assert done.returncode == 0, done.stderr + done.stdout
    with Store(store_path(folder)) as store:
        return Run(folder, done.stdout, json.loads((folder / "results.json").read_text()), store.rows())


def test_whole_network_is_bit_exact_and_struck(run: Run) -> None:
    layers = run.record["layers"]
    assert [row["name"] for row in layers][:3] == ["conv1", "pool1", "conv2"]
    assert len(layers) == 11
    assert all(row["differing"] == 0 and row["elements"] > 0 for row in layers)
    assert sum(row["macs"] for row in layers) > 80e6  # full size, not a reduced network
    assert run.record["config"]["word_bits"] == 32
    assert run.record["utilisation"] >= 0.65  # batch 4; words of 32 bits take four times the DMA of int8
    assert [row["rtl"] for row in run.record["classes"]] == [row["golden"] for row in run.record["classes"]]
    assert (run.folder / "upsets.png").stat().st_size > 10_000
    schemes = {row.scheme for row in run.rows}
    assert schemes == set(COMPARED)
    assert len(run.rows) == FAULTS * len(schemes)
    assert {row.outcome for row in run.rows} <= {outcome.value for outcome in Outcome}
    assert all(row.violation == "" for row in run.rows)
    assert "bit-exact" in run.said
    checked = run.record["upsets"]["checked"]
    assert {name.rsplit("-", 1)[0] for name in checked} == schemes  # of every scheme some went through cocotb too
    assert set(checked) <= {row.id for row in run.rows}
    assert {"dead", "functional"} <= {row.way for row in run.rows}
    assert "all the same" in run.said


def test_it_ends_with_a_verdict_in_two_sentences(run: Run) -> None:
    compared = sum(row["elements"] for row in run.record["layers"])
    exact, upsets = run.record["verdict"]["exactness"], run.record["verdict"]["upsets"]
    assert exact == f"The RTL equals the golden model on all {compared:,} values of 11 layers for {IMAGES} images."
    failing = [row.scheme for row in run.rows if row.outcome == Outcome.SDC.value]
    bare, own = (failing.count(scheme.name) for scheme in (UNPROTECTED, DEFAULT))
    assert upsets.startswith(
        f"Of {FAULTS} upsets in live bits {bare} changed the class without protection, {own} with {DEFAULT.title}: "
    )
    assert f"{exact} {upsets}" in run.said.splitlines()


def test_its_results_say_where_they_come_from(run: Run) -> None:
    record = run.record["provenance"]
    assert (record["seed"], record["command"]) == (
        1, f"fitact sim alexnet --images {IMAGES} --faults {FAULTS} --out {run.folder}",
    )  # fmt: skip
    with Store(store_path(run.folder)) as store:
        [stored], bound = store.facts()["runs"], store.identity()
    assert record["fingerprints"]["engine"] == bound["machine"]
    assert stored["fingerprints"]["programs"] == bound["programs"]
    assert record["fingerprints"]["rtl"] == stored["fingerprints"]["rtl"]
    assert stored["seconds"] <= record["seconds"]


def test_every_scheme_gets_the_same_bits(run: Run) -> None:
    places: dict[int, set[tuple[str, int, int]]] = {}
    for row in run.rows:
        places.setdefault(row.number, set()).add((row.site, row.word, row.bit))
        assert row.cycle < run.record["upsets"]["cycles"][row.scheme]
    assert len(places) == FAULTS
    assert all(len(hit) == 1 for hit in places.values())


def test_its_upsets_are_a_campaign(run: Run) -> None:
    """A second run finds them all there; both replay commands repeat one; the campaign's report weighs them."""
    again = fitact("sim", "alexnet", "--images", "1", "--faults", str(FAULTS), "--out", str(run.folder))
    assert again.returncode == 0, again.stderr
    total = FAULTS * len(COMPARED)
    assert f"{total} of {total} upsets are those of an earlier run" in again.stdout
    row = next((row for row in run.rows if row.outcome != "masked"), run.rows[0])
    for words in (
        ("replay", "--results", str(run.folder), "--fault", row.id),
        ("campaign", "replay", str(run.folder), row.id),
    ):
        done = fitact(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        assert f"(stored: {row.outcome})" in done.stdout


def test_rtl_and_golden_agree_under_upsets() -> None:
    done = fitact("validate", "alexnet", "--injections", "6")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "all 6 agree" in done.stdout


def test_engine_and_plain_rtl_agree_and_a_stopped_comparison_goes_on(tmp_path: Path) -> None:
    command = ("campaign", "validate", "alexnet", "--schemes", "fitact", "--out", str(tmp_path), "--injections")
    done = fitact(*command, "2")
    assert done.returncode == 0, done.stderr + done.stdout
    with Store(store_path(tmp_path), create=True) as store, store.transaction():
        store.select("DELETE FROM rtl WHERE number = 1")  # as a process leaves it that was killed before
    done = fitact(*command, "3")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "fitact: 3 upsets, 0 differ" in done.stdout
    with Store(store_path(tmp_path)) as store:
        assert store.rtl() == {("fitact", number): "" for number in range(3)}
    done = fitact(*command, "3", "--seed", "2")
    assert done.returncode == 2
    assert "choose another folder with --out" in " ".join(done.stderr.split())


def test_models_are_listed_with_their_accuracy() -> None:
    done = fitact("models")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(lines) == {"alexnet", "vgg16", "resnet50"}
    assert "% on the 10 000 test images" in lines["alexnet"]
