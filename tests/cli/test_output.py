"""`--json` and `--quiet`: what goes to standard output and what to standard error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.store import Store, store_path
from fitact_hw.cli import _command, command
from fitact_hw.cli.command import plain
from fitact_hw.faults import Shape
from fitact_hw.reporting.terminal import details, noter, terminal
from golden.support.output import Output, output, speaking
from tests.cli.conftest import Fitact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A campaign that was started."""
    identity = CampaignOptions(schemes=("ranger", "fitact")).to_json()
    del identity["faults"]
    with Store(store_path(tmp_path / "one"), create=True) as store:
        store.claim(identity)
        store.note(faults=60)
    return tmp_path / "one"


def test_json_has_standard_output_to_itself(fitact: Fitact, folder: Path) -> None:
    plainly = fitact("campaign", "status", str(folder))
    assert "0 of 120 injections" in " ".join(plainly.out.split())
    assert (plainly.code, plainly.err) == (0, "")
    done = fitact("campaign", "status", str(folder), "--json")
    status = json.loads(done.out)
    assert (status["stored"], status["planned"], status["outcomes"]) == (0, 120, {"ranger": {}, "fitact": {}})
    assert done.err == plainly.out
    assert json.loads(fitact("campaign", "list", "--root", str(folder.parent), "--json").out) == [status]
    quiet = fitact("campaign", "status", str(folder), "--json", "--quiet")
    assert (quiet.out, quiet.err) == (done.out, "")


def test_json_of_commands_about_the_installation(fitact: Fitact) -> None:
    sites = json.loads(fitact("sites", "--rows", "4", "--cols", "4", "--json").out)
    assert sites["bits"] == sum(sites["structures"].values()) > 0
    one = json.loads(fitact("sites", "--rows", "4", "--cols", "4", "--structure", "weight_buffer", "--json").out)
    assert sum(site["width"] * site["depth"] for site in one) == sites["structures"]["weight_buffer"]
    models = json.loads(fitact("models", "--json").out)
    assert [line["name"] for line in models] == ["alexnet", "vgg16", "resnet50"]


def test_an_error_leaves_standard_output_empty(fitact: Fitact, tmp_path: Path) -> None:
    done = fitact("campaign", "status", str(tmp_path), "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


def test_every_command_has_both_options() -> None:
    def commands(group: Any) -> list[Any]:
        return [c for one in group.commands.values() for c in (commands(one) if hasattr(one, "commands") else [one])]

    found = commands(_command())
    assert len(found) > 30
    for one in found:
        options = {name for parameter in one.params for name in parameter.opts}
        assert {"--json", "--quiet"} <= options, one.name


def test_notes_and_diagnostics_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def say() -> None:
        noter(terminal())("a [note]")
        details(terminal()).print("a diagnosis")
        terminal().print("a result")

    for mode, out in (
        (Output(), "a [note]\na result\n"),
        (Output(quiet=True), "a result\n"),
        (Output(verbose=True), "a [note]\na diagnosis\na result\n"),
    ):
        with speaking(mode):
            say()
        assert capsys.readouterr() == (out, "")
    with speaking(Output(json=True)):
        say()
    assert capsys.readouterr() == ("", "a [note]\na result\n")
    assert output() == Output()


def test_the_mode_ends_with_the_command(fitact: Fitact, monkeypatch: pytest.MonkeyPatch) -> None:
    fitact("sim", "nosuch", "--quiet")
    assert output() == Output()
    app = typer.Typer()

    def failing() -> None:
        """Fail."""
        assert output().quiet
        raise ValueError

    command.add(app, "x", failing)
    with pytest.raises(ValueError):  # noqa: PT011
        typer.main.get_command(app)(["--quiet"], standalone_mode=False)
    assert output() == Output()


def test_results_become_plain_values() -> None:
    @dataclass(frozen=True)
    class Result:
        shape: Shape
        values: np.ndarray
        place: Path
        parts: dict[tuple[int, int] | Shape, float]

    result = Result(Shape.SINGLE, np.array([[1, 2]]), Path("a") / "b", {Shape.SQUARE: float("nan")})
    assert plain(result) == {"shape": "1x1", "values": [[1, 2]], "place": "a/b", "parts": {"2x2": None}}
    assert json.dumps(plain({1: np.float64(0.5), "x": {2, 1}, "y": (None, True)}))
