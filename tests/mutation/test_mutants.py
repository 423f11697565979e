"""The list of planted bugs fits the present sources, and planting leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutation import run
from tests.mutation.mutant import AREAS, Mutant, MutantError
from tests.mutation.planted import MUTANTS
from tests.mutation.server import Runner

MUTANT = Mutant("cells", "a.v", "x + 1", "x + 2", ("tests/test_a.py",))


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """A server of runs."""
    with Runner() as found:
        yield found


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_every_mutant_changes_one_place(file: str) -> None:
    text = (run.ROOT / file).read_text()
    for mutant in MUTANTS:
        if mutant.file == file:
            assert mutant.mutated(text) != text
            assert mutant.area in AREAS
            for test in mutant.tests:
                assert (run.ROOT / test.split("::")[0]).is_file(), f"{mutant.name}: no {test}"


def test_no_mutant_is_there_twice() -> None:
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["nothing of it", "x + 1; x + 1"])
def test_a_pattern_that_is_not_there_once_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.v").write_text(text)
    with pytest.raises(MutantError, match=f"there {text.count('x + 1')} times, not once"), MUTANT.planted(tmp_path):
        pass
    assert (tmp_path / "a.v").read_text() == text


def test_the_file_is_as_before_whatever_happens(tmp_path: Path) -> None:
    (tmp_path / "a.v").write_text("y = x + 1;")
    planted = MUTANT.planted(tmp_path)
    planted.__enter__()
    assert (tmp_path / "a.v").read_text() == "y = x + 2;"
    assert planted.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None) is not True
    assert (tmp_path / "a.v").read_text() == "y = x + 1;"


def project(folder: Path, test: str) -> Path:
    """A product of one file and its test."""
    (folder / "product.py").write_text("def twice(x):\n    return x + x\n")
    (folder / "test_product.py").write_text(f"from product import twice\ndef test_it():\n    {test}\n")
    (folder / "conftest.py").write_text("from hypothesis import settings\nsettings.register_profile('mutation')\n")
    return folder


@pytest.mark.parametrize(
    ("test", "outcome"), [("assert twice(3) == 6", "killed"), ("assert twice(2) == 4", "survived")]
)
def test_killed_and_survived(runner: Runner, tmp_path: Path, test: str, outcome: str) -> None:
    mutant = Mutant("golden", "product.py", "x + x", "x * x", ("test_product.py",))
    place = project(tmp_path, test)
    run.sound(runner, [mutant], place, 1)
    judged = run.judge(runner, mutant, place, 1)
    assert judged.outcome == outcome
    killed = int(outcome == "killed")
    assert f"| golden | 1 | {killed} | {100 * killed} % |" in run.scores([judged])


def test_tests_that_prove_nothing_are_refused(runner: Runner, tmp_path: Path) -> None:
    """They fail without a bug, or there are none."""
    broken = Mutant("golden", "product.py", "x + x", "x * x", ("test_product.py",))
    with pytest.raises(MutantError, match=r"without any bug these do not pass: test_product\.py"):
        run.sound(runner, [broken], project(tmp_path, "assert twice(3) == 7"), 1)
    missing = Mutant("golden", "product.py", "x + x", "x * x", ("test_other.py",))
    with pytest.raises(MutantError, match=r"pytest ended with code 4; are test_other\.py there"):
        run.judge(runner, missing, tmp_path, 1)


def test_the_seed_draws_and_only_changed_files_count() -> None:
    areas = ["cells", "golden"]
    assert run.chosen(areas, 3, 5, None) == run.chosen(areas, 3, 5, None)
    assert run.chosen(areas, 3, 5, None) != run.chosen(areas, 3, 6, None)
    few = run.chosen(areas, None, 1, {"rtl/fitact_fifo.v"})
    assert {mutant.file for mutant in few} == {"rtl/fitact_fifo.v"}
    assert not any(mutant.equivalent for mutant in run.chosen(areas, None, 1, None))


def test_a_run_that_takes_too_long_is_ended(runner: Runner, tmp_path: Path) -> None:
    place = project(tmp_path, "__import__('time').sleep(60)")
    assert runner.run(place, ["-q", "test_product.py"], {}, 1) is None
    project(tmp_path, "assert twice(3) == 6")
    assert runner.run(place, ["-q", "test_product.py"], {}, 60) == 0
