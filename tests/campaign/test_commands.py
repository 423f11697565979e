"""The campaign commands: percent syntax, and one clear line with exit code 2 for every store that cannot be used."""

from __future__ import annotations

import io
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from fitact_hw.campaign import terminal
from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.replay import run_replay
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.campaign.subjects import Loader, Subject
from fitact_hw.campaign.terminal import print_times
from fitact_hw.cli import main
from fitact_hw.cli.options import fraction, names
from fitact_hw.errors import FitActError
from fitact_hw.faults import Outcome
from fitact_hw.injection.verdict import Times
from fitact_hw.reporting.formats import percent
from tests.campaign import tiny
from tests.sim.machines import TINY

ROOT = Path(__file__).resolve().parents[2]

Text = pytest.CaptureFixture[str]


def fitact(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["fitact", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def make_store(folder: Path, kind: str) -> Path:
    """A store that cannot be used."""
    path = store_path(folder)
    folder.mkdir(parents=True)
    if kind == "missing":
        return folder
    if kind == "empty":
        path.touch()
    elif kind == "damaged":
        path.write_bytes(b"this was a store once, long ago" * 300)
    else:
        if kind == "newer":
            Store(path, create=True).close()
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE other (a)" if kind == "foreign" else "PRAGMA user_version=7")
        database.commit()
        database.close()
    return folder


SAYS = {
    "missing": "does not exist: start a campaign",
    "empty": "is empty: start a campaign",
    "foreign": "no campaign store",
    "damaged": "damaged",
    "newer": "table version 7",
}


@pytest.mark.parametrize("kind", SAYS)
@pytest.mark.parametrize("command", ["status", "resume", "report", "publish", "replay"])
def test_unusable_store_is_one_line_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text, command: str, kind: str
) -> None:
    folder = make_store(tmp_path / "campaign", kind)
    before = sorted(path.name for path in folder.iterdir())
    extra = {"replay": ["fitact-1"], "publish": ["--out", str(tmp_path / "out")]}.get(command, [])
    assert fitact(monkeypatch, "campaign", command, str(folder), *extra) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error:")
    assert SAYS[kind] in lines[0]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_list_shows_what_can_be_read_and_names_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    for kind in ("foreign", "newer"):
        make_store(tmp_path / kind, kind)
    with Store(store_path(tmp_path / "good"), create=True) as store:
        identity = tiny.OPTIONS.to_json()
        del identity["faults"]
        store.claim(identity)
        store.note(faults=60)
    assert fitact(monkeypatch, "campaign", "list", "--root", str(tmp_path)) == 2
    output = capsys.readouterr()
    assert "0 of 120 injections (0%)" in " ".join(output.out.split())
    assert "2 of 3 cannot be read" in output.err
    assert len(output.err.strip().splitlines()) == 1
    assert fitact(monkeypatch, "campaign", "list", "--root", str(tmp_path / "nowhere")) == 0
    assert "start one with" in capsys.readouterr().out


def test_percent_or_fraction() -> None:
    assert fraction("1%", "--margin") == fraction("0.01", "--margin") == 0.01
    assert fraction("95%", "--confidence") == 0.95
    for text in ("1", "0", "100%", "-1%", "abc", "%", "nan"):
        with pytest.raises(FitActError, match=r"--margin .*: write it as 1% or 0\.01"):
            fraction(text, "--margin")
    assert names("fitact, ranger,,fitact") == ("fitact", "ranger")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--margin", "1"], "--margin 1: write it as 1% or 0.01"),
        (["--margin", "2%", "--confidence", "120%"], "--confidence 120%"),
        (["--structures", "cache"], "weight_buffer"),
        (["--rows", "8"], "square"),
    ],
)
def test_bad_options_of_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Text, arguments: list[str], says: str
) -> None:
    machine = tmp_path / "machine.toml"
    machine.write_text("".join(f"{k} = {v}\n" for k, v in TINY.model_dump().items() if type(v) is int))
    command = ["campaign", "run", "alexnet", "--config", str(machine), "--schemes", "fitact", *arguments]
    assert fitact(monkeypatch, *command, "--out", str(tmp_path / "new")) == 2
    assert says in capsys.readouterr().err


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small stored campaign, to be copied."""
    folder = tmp_path_factory.mktemp("stored")
    tiny.run_campaign(tiny.OPTIONS, folder)
    return folder


@pytest.fixture
def campaign(stored: Path, tmp_path: Path) -> Path:
    """A small stored campaign."""
    return Path(shutil.copytree(stored, tmp_path / "tiny"))


def change_row(folder: Path, row: Row, **values: Any) -> None:
    """Damage a stored row."""
    names = ", ".join(f"{name} = ?" for name in values)
    with Store(store_path(folder), create=True) as store, store.transaction():
        store.select(
            f"UPDATE injection SET {names} WHERE (scheme, number) = (?, ?)", *values.values(), row.scheme, row.number
        )


def replay(folder: Path, fault: str, load: Loader = tiny.load) -> str:
    """What a replay prints."""
    console = Console(record=True, width=300, file=io.StringIO())
    run_replay(console, folder, fault, None, folder, load)
    return " ".join(console.export_text().split())


def test_replay_gives_the_stored_result_or_says_why_not(campaign: Path) -> None:
    rows = tiny.rows_of(campaign)
    row = next(row for row in rows if row.outcome not in (Outcome.MASKED.value, Outcome.HANG.value))
    for name in (row.id, f"{row.scheme}-{row.number:04d}"):
        output = replay(campaign, name)
        assert row.event in output
        assert f"outcome {row.outcome} (stored: {row.outcome})" in output
    for name in ("fitact-9999", "fitact", "3"):
        with pytest.raises(CampaignError, match="names are like fitact-17"):
            replay(campaign, name)

    def other(options: CampaignOptions, scheme: str) -> Subject:
        found = tiny.load(options, scheme)
        return replace(found, images=np.zeros_like(found.images))

    with pytest.raises(CampaignError, match="pictures changed since"):
        replay(campaign, row.id, other)
    changes: list[dict[str, Any]] = [{"logits": "[0]"}, {"corrected_words": 3}, {"detected": 1}, {"status": "error"}]
    for change in changes:
        change_row(campaign, row, **change)
        with pytest.raises(CampaignError, match="another result than stored: this is a defect"):
            replay(campaign, row.id)
        change_row(campaign, row, **{name: getattr(row, name) for name in change})
    assert row.event in replay(campaign, row.id)


def test_replay_of_a_row_from_before_everything_was_stored(campaign: Path) -> None:
    row = tiny.rows_of(campaign)[0]
    change_row(campaign, row, status=None, detected=None, corrected_words=None, detected_words=None)
    assert f"(stored: {row.outcome})" in replay(campaign, row.id)


def test_progress_counts_what_was_stored_before(campaign: Path) -> None:
    rows = tiny.rows_of(campaign)
    progress = terminal.Progress(campaign)
    progress.begin()
    line = progress.add(len(rows), 2 * len(rows), rows[:10])
    assert line.startswith("120 of 240, ")
    assert "/s, " in line
    assert "left: " in line
    share = (sum(row.outcome == "masked" for row in rows) + sum(row.outcome == "masked" for row in rows[:10])) / 130
    assert f"masked {percent(share)} [" in line
    assert progress.fresh == 10
    assert [progress.due() for _ in range(3)] == [True, False, False]  # not a line for every task


MEMORY_OF_A_CHILD = """
from fitact_hw.injection.verdict import Times
from fitact_hw.reporting.formats import percent
times = Times()
times.note_memory()
print(times.peak_bytes)
"""


def test_memory_is_that_of_the_worker_alone() -> None:
    """The kernel starts a new process's `ru_maxrss` with that of its parent."""
    large = np.ones(500 << 17)  # 500 MiB
    child = subprocess.run([sys.executable, "-c", MEMORY_OF_A_CHILD], cwd=ROOT, capture_output=True, text=True)
    assert large.nbytes == 500 << 20
    assert 10 << 20 < int(child.stdout) < 400 << 20, child.stderr


def test_the_largest_worker_is_told(capsys: Text) -> None:
    here, other = Times(trace=1.0, audited=2), Times(trace=2.0, audited=4, peak_bytes=3 * 2**40)
    here.note_memory()
    assert 10 * 2**20 < here.peak_bytes < 2**40
    here.merge(other)
    print_times(Console(), here, 3)
    told = capsys.readouterr().out
    assert "worker time 3.0 s, 1000.0 ms per injection" in told
    assert "largest worker: 3072.00 GiB" in told
    assert "as an audit, in RTL: 6, differing: 0 (at most 50.0 % with 95 % confidence)" in " ".join(told.split())
