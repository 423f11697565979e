"""AlexNet through the RTL with a reduced number of upsets: what `make sim MODEL=alexnet` does, and replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.faults import Outcome
from fitact_hw.networks import SCHEMES
from tests.e2e.conftest import Run

IMAGES, FAULTS = 4, 28


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alexnet")


def load(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = [json.loads(line) for line in (folder / "faults.jsonl").read_text().splitlines()]
    return json.loads((folder / "results.json").read_text()), rows


def test_whole_network_is_bit_exact_and_struck(fitact: Run, folder: Path) -> None:
    done = fitact("sim", "alexnet", "--images", str(IMAGES), "--faults", str(FAULTS), "--out", str(folder))
    assert done.returncode == 0, done.stderr + done.stdout
    record, rows = load(folder)
    layers = record["layers"]
    assert [row["name"] for row in layers][:3] == ["conv1", "pool1", "conv2"]
    assert len(layers) == 11
    assert all(row["differing"] == 0 and row["elements"] > 0 for row in layers)
    assert sum(row["macs"] for row in layers) > 80e6  # full size, not a reduced network
    assert record["utilisation"] >= 0.75  # the target at batch 4
    assert [row["rtl"] for row in record["classes"]] == [row["golden"] for row in record["classes"]]
    assert (folder / "upsets.png").stat().st_size > 10_000
    schemes = {row["scheme"] for row in rows}
    assert schemes == set(SCHEMES)
    assert len(rows) == FAULTS * len(schemes)
    assert {row["outcome"] for row in rows} <= {outcome.value for outcome in Outcome}
    assert all(row["violation"] == "" for row in rows)
    assert "bit-exact" in done.stdout
    checked = record["upsets"]["checked"]
    assert {name.rsplit("-", 1)[0] for name in checked} == schemes  # of every scheme some went through cocotb too
    assert set(checked) <= {row["id"] for row in rows}
    assert {"reconverged", "golden"} <= {row["way"] for row in rows}
    assert "all the same" in done.stdout


def test_every_scheme_gets_the_same_bits(folder: Path) -> None:
    _, rows = load(folder)
    places: dict[str, set[tuple[str, int, str]]] = {}
    for row in rows:
        number = row["id"].rsplit("-", 1)[1]
        upset = row["event"]["upsets"][0]
        places.setdefault(number, set()).add((upset["site"], upset["word"], upset["mask"]))
        assert row["event"]["upsets"][0]["cycle"] < row["fault_free_cycles"]
    assert len(places) == FAULTS
    assert all(len(hit) == 1 for hit in places.values())


def test_replay_gives_the_recorded_result(fitact: Run, folder: Path) -> None:
    _, rows = load(folder)
    row = next((row for row in rows if row["outcome"] != "masked"), rows[0])
    done = fitact("replay", "--results", str(folder), "--fault", row["id"])
    assert done.returncode == 0, done.stderr + done.stdout
    assert row["outcome"] in done.stdout


def test_replay_notices_another_result(fitact: Run, folder: Path, tmp_path: Path) -> None:
    record, rows = load(folder)
    rows[0]["logits"][0] += 1
    (tmp_path / "results.json").write_text(json.dumps(record))
    (tmp_path / "faults.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = fitact("replay", "--results", str(tmp_path), "--fault", rows[0]["id"])
    assert done.returncode == 2
    assert "another result than recorded" in " ".join(done.stderr.split())


def test_rtl_and_golden_agree_under_upsets(fitact: Run) -> None:
    done = fitact("validate", "alexnet", "--injections", "6")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "all 6 agree" in done.stdout


def test_engine_and_plain_rtl_agree_and_a_killed_comparison_goes_on(fitact: Run, tmp_path: Path) -> None:
    path = tmp_path / "validation.jsonl"
    command = ("campaign", "validate", "alexnet", "--schemes", "fitact", "--out", str(tmp_path), "--injections")
    done = fitact(*command, "2")
    assert done.returncode == 0, done.stderr + done.stdout
    head, first, second = path.read_text().splitlines()
    path.write_text("\n".join((head, first, second[:20])))  # as a killed process leaves it
    done = fitact(*command, "3")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "fitact: 3 upsets, 0 differ" in done.stdout
    rows = path.read_text().splitlines()
    assert rows[:2] == [head, first]
    assert [json.loads(row)["number"] for row in rows[1:]] == [0, 1, 2]
    path.write_text(first + "\n")
    done = fitact(*command, "3")
    assert done.returncode == 2
    assert "remove it or choose another --out" in " ".join(done.stderr.split())


def test_models_are_listed_with_their_accuracy(fitact: Run) -> None:
    done = fitact("models")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(lines) == {"alexnet", "vgg16", "resnet50"}
    assert "% on the 10 000 test images" in lines["alexnet"]
