"""The command as a user calls it, as far as it takes no synthesis, and where its results come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fitact_hw.cli import overhead_commands
from fitact_hw.errors import FitActError
from fitact_hw.overhead import compact, lane_check
from fitact_hw.overhead.design import Block
from fitact_hw.overhead.mapping import Mapped
from golden.errors import GoldenError
from tests.overhead.test_crosscheck import run_file


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    result = typer.Typer(pretty_exceptions_enable=False)
    overhead_commands.register(result)
    return result


def test_lists_libraries(app: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LIBERTY", "PDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    shown = CliRunner().invoke(app, ["overhead", "--list-pdks"])
    assert shown.exit_code == 0
    assert str(compact.PATH) in shown.output
    assert "ciel enable" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nosuchnet"], "nosuchnet"),
        (["--rows", "1", "--cols", "1"], "2 to 32"),
        (["--liberty", "nosuch.lib"], "no such file"),
        (["--node", "3"], "3 nm"),
        (["--schemes", "ranger,nosuch"], "unknown scheme 'nosuch': there are unprotected, ranger"),
        (["--pareto", __file__], "not a CSV file of `make resilience`"),
    ],
)
def test_bad_input_is_one_clear_line(app: typer.Typer, tmp_path: Path, arguments: list[str], message: str) -> None:
    run = CliRunner().invoke(app, ["overhead", *arguments, "--out", str(tmp_path)])
    assert isinstance(run.exception, FitActError | GoldenError)
    assert message in str(run.exception)
    assert "\n" not in str(run.exception)
    assert not list(tmp_path.rglob("overhead.json"))


def test_a_protected_machine_is_no_baseline(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "machine.toml"
    file.write_text('[protection]\nweight = "secded"\nbias = "parity"\n')
    run = CliRunner().invoke(app, ["overhead", "--config", str(file), "--out", str(tmp_path / "out")])
    assert isinstance(run.exception, FitActError)
    assert "protection of the weight, bias buffer" in str(run.exception)


def test_a_machine_with_a_range_check_is_no_baseline(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "machine.toml"
    file.write_text('parameter_check = "bitcheck"\n')
    run = CliRunner().invoke(app, ["overhead", "--config", str(file), "--out", str(tmp_path / "out")])
    assert isinstance(run.exception, FitActError)
    assert str(run.exception).startswith("parameter_check=bitcheck: ")


def test_compare_and_lanes_refuse_bad_input(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    for arguments in (["overhead-compare", str(file)], ["overhead-lanes", "--liberty", "nosuch.lib"]):
        run = CliRunner().invoke(app, arguments)
        assert isinstance(run.exception, FitActError)
        assert str(run.exception).count("\n") == 0


def test_lanes_say_where_they_come_from(app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mapped(block: Block, *_: Any) -> Mapped:
        return Mapped(block.name, 4, 1.0, 0.0, 0.0, 0, 1.0, 1.0, 0.0, 1.0, 0.0)

    monkeypatch.setattr(lane_check, "map_block", mapped)
    page = tmp_path / "lanes.md"
    run = CliRunner().invoke(app, ["overhead-lanes", "--word", "16", "--out", str(page), "--json"])
    assert run.exit_code == 0, run.exception
    found = json.loads(run.stdout)
    record = found["provenance"]
    assert record["command"] == "fitact overhead-lanes --word 16"
    assert set(record["fingerprints"]) == {"machine", "rtl", "engine", "libraries"}
    [(name, digest)] = record["fingerprints"]["libraries"].items()
    assert set(found["libraries"]) == {name}
    assert digest
    assert page.read_text().startswith("# One lane in 1 technologies\n")
    assert json.loads((tmp_path / "lanes.md.json").read_text()) == found


def test_a_comparison_names_its_files(app: typer.Typer, tmp_path: Path) -> None:
    files = [run_file(tmp_path, "one", 2.0, 5.0), run_file(tmp_path, "two", 0.1, 50.0)]
    page = tmp_path / "page.md"
    run = CliRunner().invoke(app, ["overhead-compare", *map(str, files), "--out", str(page), "--json"])
    assert run.exit_code == 0, run.exception
    found = json.loads(run.stdout)
    assert set(found["libraries"]) == {"one", "two"}
    prints = found["provenance"]["fingerprints"]["files"]
    assert set(prints) == {"one.json", "two.json"}
    assert "* two: FitAct < Ranger" in page.read_text()
    assert json.loads((tmp_path / "page.md.json").read_text()) == found
