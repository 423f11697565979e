"""Printed command lines can be pasted: quoted, and without options that say nothing."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fitact_hw.faults import Shape
from fitact_hw.reporting.command import command_line, here


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"rows": 8, "word": None, "waves": False, "schemes": (), "learned": [], "out": ""}, "--rows 8"),
        ({"waves": True, "faults": 0}, "--waves --faults 0"),
        ({"schemes": ("ranger", "fitact"), "rates": (1e-7, 3e-6)}, "--schemes ranger,fitact --rates 1e-07,3e-06"),
        ({"learned": [Path("a b"), Path("c")]}, "--learned 'a b' --learned c"),
        ({"shape": Shape.SQUARE, "seed": 1}, "--shape 2x2"),
        ({"out": "$HOME; rm x"}, "--out '$HOME; rm x'"),
    ],
)
def test_options_that_say_nothing_are_left_out_and_others_quoted(options: dict[str, object], line: str) -> None:
    assert command_line("sim", options=options, usual={"seed": 1}) == f"fitact sim {line}"


def test_a_shell_reads_what_was_meant(tmp_path: Path) -> None:
    odd = 'it\'s a "name" with $(echo x) & [1]'
    line = command_line("campaign", "status", odd, options={})
    shown = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["fitact", "campaign", "status", odd]


def test_the_program_is_named_as_it_can_be_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = tmp_path / "bin" / "fitact"
    beside.parent.mkdir()
    monkeypatch.setattr(sys, "executable", str(beside.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert shlex.split(here("sim")) == [sys.executable, "-m", "fitact_hw", "sim"]
    beside.touch()
    assert here("sim") == "bin/fitact sim"
    monkeypatch.setenv("PATH", str(beside.parent))
    beside.chmod(0o755)
    assert here("sim") == "fitact sim"
