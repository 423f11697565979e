"""The marks that `make check` goes by."""

from __future__ import annotations

from pathlib import Path

from tests.markers import MARKS, marks_of

ROOT = Path(__file__).parents[1]


def test_every_marked_place_is_there() -> None:
    assert not [place for places in MARKS.values() for place in places if not (ROOT / place).exists()]


def test_marks_follow_files_and_folders() -> None:
    assert marks_of("tests/rtl_cells/test_memory_load.py") == ["rtl"]
    assert marks_of("tests/e2e/test_alexnet.py") == ["e2e"]
    assert marks_of("tests/test_markers.py") == []
