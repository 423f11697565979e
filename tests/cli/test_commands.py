"""What the program says of itself: version, help in groups, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fitact_hw.cli import application
from fitact_hw.cli.panels import PANELS
from fitact_hw.reporting import provenance
from tests.cli.conftest import Fitact

ROOT = Path(__file__).resolve().parents[2]


def test_version_names_program_commit_and_python(fitact: Fitact) -> None:
    done = fitact("--version")
    assert (done.code, done.err) == (0, "")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == provenance.DISTRIBUTION
    assert done.out.startswith(f"fitact {project['version']}, ")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if head.returncode == 0:  # a checkout
        assert f"commit {head.stdout[:12]}" in done.out
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in done.out


def test_every_command_is_in_a_group_and_says_what_it_does(fitact: Fitact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = fitact("--help")
    assert done.code == 0
    assert re.findall(r"─ ([A-Z][a-z ]+) ─", done.out) == ["Options", *PANELS]
    for command in application().registered_commands:
        assert command.rich_help_panel in PANELS
        assert command.callback is not None
        assert command.callback.__doc__


def test_help_shows_what_stands_in_brackets(fitact: Fitact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "result folder [build/<model>]" in fitact("sim", "--help").out
    assert "fitact,check,fitact+check [the usual ones with stored bounds]" in fitact("resilience", "--help").out


def test_without_a_command_there_is_help(fitact: Fitact) -> None:
    done = fitact()
    assert done.code == 2
    assert "Simulate" in done.out + done.err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fitact resi", ["resilience", "resilience-bench"]),
        ("fitact sim v", ["vgg16"]),
        ("fitact sim --scheme r", ["ranger"]),
        ("fitact campaign run --schemes fitact,cl", ["fitact,clipact"]),
        ("fitact sim --shape 2", ["2x1", "2x2"]),
    ],
)
def test_completion_of_a_shell(words: str, offered: list[str]) -> None:
    count = len(words.split(" ")) - 1
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_FITACT_COMPLETE": "complete_bash"}
    environment |= {"COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = subprocess.run(
        [sys.executable, "-m", "fitact_hw"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered, done.stderr
