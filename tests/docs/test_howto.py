"""Every how-to page does what it says: its files are written, its commands run, in an empty folder."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fitact_hw.campaign.store import Store, store_path
from fitact_hw.overhead.compact import PATH as LIBRARY
from tests.docs.pages import DOCS, ROOT, blocks, label

PAGES = sorted((DOCS / "howto").glob("*.md"))


def follow(page: Path, folder: Path) -> str:
    """Write the page's files into ``folder`` and run its `sh` blocks there; returns what they print."""
    (folder / "docs").symlink_to(DOCS)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FITACT_BUILD": os.environ.get("FITACT_BUILD", str(ROOT / "build")),
        "COLUMNS": "160",
    }
    environment.pop("FITACT_CIFAR10", None)
    printed = ""
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text)
        elif block.kind == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, env=environment, text=True, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800,
            )  # fmt: skip
            assert done.returncode == 0, f"{label(page)}: {block.text}\n{done.stdout}"
            printed += done.stdout
    return printed


def own_machine(folder: Path, printed: str) -> None:
    assert "channel" in (folder / "verilog" / "fitact_top.v").read_text()
    assert "| 212,992" in printed.replace("│", "|")  # 4096 words of 4 lanes of (13,8) code words
    result = json.loads((folder / "build" / "alexnet" / "results.json").read_text())
    assert result["config"]["protection"]["weight"] == "secded"
    assert not any(layer["differing"] for layer in result["layers"])


def own_data(folder: Path, printed: str) -> None:
    result = json.loads((folder / "mine" / "results.json").read_text())
    assert "original pixels" in result["image_source"]
    assert len(result["classes"]) == 24
    assert not any(layer["differing"] for layer in result["layers"])


def replay(folder: Path, printed: str) -> None:
    assert "injections added to published" in printed
    assert re.search(r"outcome +(\w+) \(stored: \1\)", printed)
    with (folder / "map.csv").open(newline="") as stream:
        flips = list(csv.DictReader(stream))
    assert {"weight", "bound"} <= {flip["kind"] for flip in flips}
    assert all((int(f["before"]) ^ int(f["after"])) >> int(f["bit"]) & 1 for f in flips if f["kind"] == "weight")


def bit_errors(folder: Path, printed: str) -> None:
    page = (folder / "study" / "resilience.md").read_text()
    assert "2 maps: too few for a verdict" in page
    assert "| FitAct |" in page


def fault_lists(folder: Path, printed: str) -> None:
    """Three faults under two schemes, and the same outcomes when they are judged again."""
    with (folder / "statuses.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    with Store(store_path(folder / "again")) as store:
        again = [(row.scheme, row.event, row.outcome) for row in store.rows()]
    assert again == [(row["scheme"], row["event"], row["outcome"]) for row in rows]
    assert "6 of 6 injections (100%)" in printed


def fmeda(folder: Path, printed: str) -> None:
    """Every figure of the page's table is one that the command prints."""
    assert "combinational logic" in (folder / "analysis" / "fmeda.html").read_text()
    page = (DOCS / "howto" / "fmeda.md").read_text()
    told = re.findall(r"^\| (?:unprotected|FitAct) \| (.+) \|$", page, re.M)
    assert len(told) == 2
    shown = [
        re.findall(r"(?:SPFM|LFM|PMHF|DC) +│ +(\S+ \[\S+ \S+\] \S+)", text) for text in printed.split("upsets: ")[1:]
    ]
    assert [line.split(" | ") for line in told] == shown


def protection(folder: Path, printed: str) -> None:
    assert "fitact_secded_decoder" in (folder / "secded" / "fitact_buffers.v").read_text()
    assert re.search(r"protection\W+\d+", printed), "counters of the protection are fault sites"
    (report,) = (folder / "overhead").glob("*/overhead.md")
    assert "| SECDED | +" in report.read_text()


def parameters(folder: Path, printed: str) -> None:
    assert "fitact_range_check" in (folder / "checked" / "fitact_buffers.v").read_text()
    assert "u_range_count.count_q  1 x 16 bits" in printed


def technology(folder: Path, printed: str) -> None:
    assert "FitAct" in (folder / "lanes.md").read_text()


PROOFS: dict[str, Callable[[Path, str], None]] = {
    "own-machine": own_machine,
    "own-data": own_data,
    "replay-an-upset": replay,
    "fault-lists": fault_lists,
    "fmeda": fmeda,
    "bit-error-study": bit_errors,
    "protect-buffers": protection,
    "protect-parameters": parameters,
    "own-technology": technology,
}

ELSEWHERE = {
    "run-a-campaign": "tests/campaign/test_nothing_lost.py",
    "own-network": "tests/docs/test_examples.py",
    "add-a-scheme": "tests/subjects/test_scheme_files.py",
    "add-a-fault-model": "tests/injection/test_fault_models.py",
    "alarms": "tests/alarms/test_alarms.py",
}
"""Pages whose commands would run for long, and the tests that run them on a tiny machine."""

LONG, SIMULATES = [pytest.mark.slow], [pytest.mark.rtl, pytest.mark.slow]
MARKS = {
    "own-machine": SIMULATES,
    "own-data": SIMULATES,
    "fault-lists": SIMULATES,
    "replay-an-upset": SIMULATES,
    "protect-buffers": LONG,
}


def _page(name: str) -> object:
    return pytest.param(name, marks=MARKS.get(name, []))


@pytest.mark.parametrize("name", [*map(_page, PROOFS)])
def test_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    shutil.copy(LIBRARY, tmp_path / "library.lib")
    PROOFS[name](tmp_path, follow(DOCS / "howto" / f"{name}.md", tmp_path))


def test_every_page_is_proved() -> None:
    assert {page.stem for page in PAGES} == PROOFS.keys() | ELSEWHERE.keys()
    assert all((ROOT / path).is_file() for path in ELSEWHERE.values())
