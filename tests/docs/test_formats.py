"""The page on file formats names every column there is, and its examples read the files."""

from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
import sys
from dataclasses import fields

import pytest
from pyarrow import parquet

from fitact_hw.alarms import clean, curve, struck
from fitact_hw.campaign.fault_list import tables
from fitact_hw.campaign.fault_list.text import text_faults
from fitact_hw.campaign.store import Row
from fitact_hw.fmeda.page import FIT_HEADER, METRICS_HEADER
from tests.docs.evidence import DATA
from tests.docs.pages import DOCS, ROOT, Block, blocks

PAGE = DOCS / "reference" / "formats.md"


def documented(heading: str) -> set[str]:
    """Columns in the table of a section."""
    section = PAGE.read_text().split(f"## {heading}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.M)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_column_of_an_injection_is_explained() -> None:
    known = documented("Every injection of a campaign: Parquet")
    assert known == {field.name for field in fields(Row)}
    for path in DATA.glob("campaign_*.parquet"):
        assert set(parquet.read_schema(path).names) <= known


@pytest.mark.parametrize(
    ("heading", "files"),
    [
        ("Aggregates of a campaign: CSV", "campaign_*.csv"),
        ("Bit-error studies: CSV", "resilience_*.csv"),
        ("Bit-error studies: CSV", "granularity_*.csv"),
    ],
)
def test_every_column_of_a_table_is_explained(heading: str, files: str) -> None:
    known, found = documented(heading), set()
    for path in DATA.glob(files):
        with path.open(newline="") as stream:
            found |= set(next(csv.reader(stream)))
    assert found <= known


def test_every_column_of_a_fault_list_is_explained() -> None:
    assert documented("Fault lists") >= {tables.EVENT, *tables.PARTS, *tables.OTHERS}


def test_the_example_of_a_text_is_a_fault_list() -> None:
    (block,) = [block for block in blocks(PAGE) if block.kind == "text"]
    found = list(text_faults(block.text))
    assert len(found) == 4
    assert not [item for item in found if isinstance(item, str)]


def test_every_column_of_an_fmeda_is_explained() -> None:
    assert documented("FMEDA: CSV") >= {*FIT_HEADER, *METRICS_HEADER}


def test_every_column_of_a_study_of_alarms_is_explained() -> None:
    section = PAGE.read_text().split("## Alarms of the clamps: CSV")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= {*curve.HEADER, *clean.HEADER, *struck.HEADER}


@pytest.mark.parametrize("block", [b for b in blocks(PAGE) if b.kind == "python"], ids=lambda block: block.title)
def test_example_reads_the_file(block: Block) -> None:
    """Run where its library is at hand; elsewhere the file that it names is read with pyarrow or csv."""
    statements = [line for line in block.text.splitlines() if line.strip()]
    assert len(statements) == 3, "three lines"
    (name,) = re.findall(r'"(docs/[^"]+)"', block.text)
    if importlib.util.find_spec(block.title):
        done = subprocess.run(
            [sys.executable, "-c", block.text], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "fitact" in done.stdout
        return
    path, words = ROOT / name, set(re.findall(r"\b[a-z_]+\b", block.text))
    if path.suffix == ".parquet":
        columns = parquet.read_table(path).column_names
    else:
        with path.open(newline="") as stream:
            columns = next(csv.reader(stream))
    assert len(words & set(columns)) >= 3, "the columns that the example takes are there"
