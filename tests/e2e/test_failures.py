"""Failures that need the inside of the process: full disk, damaged weights."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path

import pytest

from fitact_hw import cli
from fitact_hw.simulate import run as sim
from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.subjects import find
from golden.subjects.shipped import ShippedSubject


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the command line in this process; returns exit code and the error line."""
    monkeypatch.setattr(sys, "argv", ["fitact", *arguments])
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert isinstance(stop.value.code, int)
    return stop.value.code, lines[0]


def test_full_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "build/alexnet/results.json.tmp")

    monkeypatch.setattr(sim, "run_sim", full)
    code, line = run(["sim", "alexnet"], monkeypatch, capsys)
    assert code == 2
    assert "No space left on device" in line
    assert "OUT=" in line


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_damaged_weights(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS_FOLDER, folder)
    file = folder / "alexnet.npz"
    data = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        file.unlink()
    monkeypatch.setattr(find, "ShippedSubject", lambda name, _: ShippedSubject(name, folder))
    code, line = run(["sim", "alexnet", "--out", str(tmp_path / "out")], monkeypatch, capsys)
    assert code == 2
    assert "alexnet.npz" in line
    assert not (tmp_path / "out").exists()
