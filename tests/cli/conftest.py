"""Running the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from fitact_hw.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Fitact = Callable[..., Done]


@pytest.fixture
def fitact(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fitact:
    """Run `fitact` with arguments in this process."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["fitact", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return Done(int(stop.value.code or 0), said.out, said.err)

    return run
