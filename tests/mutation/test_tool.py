"""Mutants of a tool: each changes one place of its file, and the sample is by its seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.mutation import tool
from tests.mutation.mutant import MutantError
from tests.mutation.run import ROOT

FILE = "fitact_hw/estimation/power.py"


@pytest.mark.parametrize("file", tool.MODULES)
def test_modules_and_their_tests_are_there(file: str) -> None:
    assert (ROOT / file).is_file()
    for test in tool.MODULES[file][1].split():
        assert (ROOT / test).is_file()


def test_lines_that_differ_name_one_place() -> None:
    text = "a = 1\nb = 2\na = 1\nc = 3\n"
    for changed in ("a = 2\nb = 2\na = 1\nc = 3\n", "a = 1\nb = 2\na = 2\nc = 3\n", "a = 1\nb = 2\na = 1\nc = 4\n"):
        found = tool._replaced(text, changed)
        assert found
        assert text.count(found[0]) == 1
        assert text.replace(*found) == changed
    assert tool._replaced(text, text) is None


def test_without_the_tool_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool, "INSTALLED", tmp_path)
    with pytest.raises(MutantError, match="make mutate TOOL=mutmut installs it"):
        next(tool.mutants_of(FILE, "", random.Random(1)))


@pytest.mark.skipif(not tool.INSTALLED.is_dir(), reason="mutmut is not installed: make mutate TOOL=mutmut")
def test_a_sample_fits_its_files() -> None:
    changed = {"fitact_hw/estimation/allocation.py", "golden/frontend/windows.py"}
    found = tool.sample(ROOT, 12, 5, changed)
    assert [m.name for m in found] == [m.name for m in tool.sample(ROOT, 12, 5, changed)]
    assert [m.name for m in found] != [m.name for m in tool.sample(ROOT, 12, 6, changed)]
    assert {m.file for m in found} == changed
    for mutant in found:
        text = (ROOT / mutant.file).read_text()
        compile(mutant.mutated(text), mutant.file, "exec")
