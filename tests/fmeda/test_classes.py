"""The table of classes: what each effect is, a table of one's own, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.campaign.store import Row
from fitact_hw.fmeda.classes import EFFECTS, Class, Classes, ClassesError, effect

ROW = Row(
    *("fitact", 0, 0, "weight_buffer", "conv1", "u_x", 0, 0, 1, 5, "u_x[0]^0x1@5"),
    *("masked", 0, 100, "full", 10, 1, "[1, 2]", ""),
)

COMPLETE = "structure,effect,class,reason\n" + "".join(f"*,{what},safe,\n" for what in EFFECTS)


def test_a_hang_without_an_error_code_is_silent_and_a_corrected_word_is_told() -> None:
    assert effect(ROW) == "masked"
    assert effect(replace(ROW, outcome="hang", code=5)) == "hang"
    assert effect(replace(ROW, outcome="hang", code=0)) == "silent"
    assert effect(replace(ROW, corrected_words=1)) == "corrected"
    assert effect(replace(ROW, outcome="sdc", corrected_words=1)) == "sdc"
    assert effect(replace(ROW, outcome="sdc"), alarm=True) == "alarm"
    assert effect(ROW, alarm=True) == "masked", "an alarm of what is right is a false one, no effect"


def test_the_shipped_table() -> None:
    table = Classes.load()
    assert table.of("weight_buffer", "masked") is Class.SAFE
    assert table.of("protection", "masked") is Class.LATENT, "a line of a structure goes first"
    assert table.of("protection", "sdc") is Class.DU
    assert table.of("csr", "silent") is Class.DU
    assert Class.LATENT not in table.possible("weight_buffer")
    assert all(rule.reason for rule in table.rules)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(COMPLETE + "bias_buffer,benign,du,we use the scores\n")
    table = Classes.load(path)
    assert table.of("bias_buffer", "benign") is Class.DU
    assert table.of("bound_buffer", "benign") is Class.SAFE
    assert table.source == str(path)


@pytest.mark.parametrize("what", EFFECTS)
def test_possible_are_the_classes_of_all_effects(tmp_path: Path, what: str) -> None:
    """Also of those that are a part of an outcome."""
    path = tmp_path / "own.csv"
    path.write_text(COMPLETE + f"bias_buffer,{what},latent,\n")
    table = Classes.load(path)
    assert table.possible("bias_buffer") == {Class.SAFE, Class.LATENT}
    assert table.possible("csr") == {Class.SAFE}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n", "column structure is missing: the first line must be structure,effect,class,reason"),
        (COMPLETE + "weight_bufer,sdc,du,\n", "line 11: structure 'weight_bufer' must be"),
        (COMPLETE + "*,sddc,du,\n", "line 11: effect 'sddc' must be .*did you mean sdc"),
        (COMPLETE + "csr,sdc,dx,\n", "line 11: class 'dx' must be safe, dd, du or latent"),
        (COMPLETE + "*,sdc,du,\n", r"line 11: \* sdc has a class already"),
        (COMPLETE.replace("*,hang,safe,\n", ""), r"no line for \*,hang: every effect needs a class"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(ClassesError, match=says):
        Classes.load(path)
