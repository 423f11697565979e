"""The verdict of `fitact sim`: what it says follows the counts, and no more than they show."""

from __future__ import annotations

import re

import pytest
from scipy.stats import binomtest

from fitact_hw.simulate.verdict_text import verdict

EXACT = "The RTL equals the golden model on all 3,456 values of 8 layers for 8 images."


def of(without: int, having: int, both: int = 0, total: int = 203) -> str:
    """The second sentence when so many upsets change the class only without, only with, and either way."""
    shared = set(range(both))
    sdc = {
        "unprotected": shared | set(range(both, both + without)),
        "fitact": shared | set(range(total - having, total)),
    }
    found = verdict(3456, 8, 8, 0, sdc, total, "fitact")
    assert found.exactness == EXACT
    assert found.upsets is not None
    assert found.text == f"{EXACT} {found.upsets}"
    return found.upsets


def test_few_upsets_tell_nothing_apart() -> None:
    assert of(2, 0, both=1) == (
        "Of 203 upsets in live bits 3 changed the class without protection, 1 with FitAct: these few upsets do not "
        "tell the two apart (difference 0.985 points [-0.932, 2.88], 95 % interval; McNemar's exact p = 0.5)."
    )
    assert "do not tell the two apart" in of(0, 0)


def test_many_tell_which_is_better_or_worse() -> None:
    assert "34 changed the class without protection, 1 with FitAct: fewer with FitAct on the same bits" in of(33, 0, 1)
    assert "1 changed the class without protection, 34 with FitAct: more with FitAct on the same bits" in of(0, 33, 1)


@pytest.mark.parametrize(("without", "having"), [(k, j) for k in range(0, 12, 2) for j in range(0, 5)])
def test_no_claim_beyond_the_exact_test(without: int, having: int) -> None:
    text = of(without, having, both=5)
    p = binomtest(without, without + having).pvalue if without + having else 1.0
    claimed = "on the same bits" in text
    assert claimed <= (p < 0.05)
    low, high = map(float, re.findall(r"\[(\S+), (\S+)\]", text)[0])
    assert claimed <= (low > 0 or high < 0)


def test_one_image_and_no_upsets() -> None:
    alone = verdict(10, 2, 1, 0)
    assert alone.text == "The RTL equals the golden model on all 10 values of 2 layers for 1 image."
    assert alone.upsets is None


def test_a_difference_is_called_a_defect() -> None:
    found = verdict(3456, 8, 8, 2)
    assert found.text == (
        "The RTL differs from the golden model in 2 of 3,456 values of 8 layers for 8 images: this is a defect."
    )


def test_without_the_pair_there_are_only_counts() -> None:
    assert verdict(10, 2, 1, 0, {"ranger": {1}, "clipact": set()}, 9, "ranger").upsets == (
        "Of 9 upsets in live bits these changed the class: 1 with Ranger, 0 with Clip-Act."
    )
    assert verdict(10, 2, 1, 0, {"unprotected": {1, 2}}, 9, "unprotected").upsets == (
        "Of 9 upsets in live bits these changed the class: 2 with unprotected."
    )
