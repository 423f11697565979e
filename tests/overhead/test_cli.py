"""The command as a user calls it, as far as it takes no synthesis."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fitact_hw.cli import overhead_commands
from fitact_hw.errors import FitActError
from fitact_hw.overhead import compact
from golden.errors import GoldenError


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
        (["--pareto", "nosuch.csv"], "nosuch.csv: cannot be read"),
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


def test_compare_and_lanes_refuse_bad_input(app: typer.Typer, tmp_path: Path) -> None:
    for arguments in (["overhead-compare", str(tmp_path / "no.json")], ["overhead-lanes", "--liberty", "nosuch.lib"]):
        run = CliRunner().invoke(app, arguments)
        assert isinstance(run.exception, FitActError)
        assert str(run.exception).count("\n") == 0
