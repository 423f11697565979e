"""What a margin can be asked of, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.store import Store, store_path
from fitact_hw.campaign.targets import Quantity, quantities
from fitact_hw.campaign.terminal import stored_rounds
from fitact_hw.errors import FitActError
from tests.campaign.test_stratified import SMALL, run

SCHEMES = ("unprotected", "clipact", "fitact")


def asked(*targets: str) -> list[Quantity]:
    return quantities(targets, SCHEMES, ("pe_psum", "queue"), ("conv1", "fc"))


def test_what_targets_stand_for() -> None:
    assert asked("machine") == [Quantity(scheme) for scheme in SCHEMES]
    assert asked("differences") == [Quantity("unprotected", "fitact"), Quantity("clipact", "fitact")]
    assert asked("queue") == [Quantity(scheme, structure="queue") for scheme in SCHEMES]
    assert asked("layer:fc") == [Quantity(scheme, layer="fc") for scheme in SCHEMES]
    assert asked("structures", "queue") == asked("structures")
    assert set(asked("structures")) == {*asked("pe_psum"), *asked("queue")}
    assert set(asked("layers")) == {*asked("layer:conv1"), *asked("layer:fc")}
    assert asked("unprotected-clipact") == [Quantity("unprotected", "clipact")]
    own = quantities(["a-b-c"], ("a-b", "c"), (), ())
    assert own == [Quantity("a-b", "c")]


def test_unknown_targets_are_named() -> None:
    with pytest.raises(FitActError, match=r"unknown target 'que' .*did you mean queue.*: known are machine, "):
        asked("que")
    with pytest.raises(FitActError, match="unknown target 'fitact-fitact'"):
        asked("fitact-fitact")
    with pytest.raises(FitActError, match=r"unknown layer 'fcc' \(did you mean fc\?\): known are conv1, fc"):
        asked("layer:fcc")
    assert quantities(["layer:fcc"], ("fitact",), (), None) == [Quantity("fitact", layer="fcc")], "not known yet"
    with pytest.raises(FitActError, match="--target differences: one scheme has none"):
        quantities(["differences"], ("fitact",), (), ())


def test_margins_of_a_structure_a_layer_and_a_difference(tmp_path: Path) -> None:
    """The campaign ends where its target has the margin, and says so from before its first upset on."""
    for target, margin in (("weight_buffer", 0.05), ("layer:conv2", 0.03), ("unprotected-fitact", 0.02)):
        said: list[str] = []
        goal = Goal(margin=margin, faults=40_000, targets=(target,))
        run(tmp_path / target, goal, note=said.append)
        with Store(store_path(tmp_path / target)) as store:
            found = stored_rounds(store.facts(), store.rows(), SMALL)
        reached = goal.half_width(found)
        assert reached <= margin or goal.out_of_reach(found)
        first = next(text for text in said if "at worst" in text)
        assert first == f"{40_000:,} upsets per scheme should give a margin of {first.split('margin of ')[1]}"
        worst = float(first.split("margin of ")[1].split(" %")[0]) / 100
        assert reached <= 1.5 * worst * (40_000 / found.rounds.total) ** 0.5
        assert any("; margin " in text and " of " in text.split("; margin ")[1] for text in said)


def test_an_unknown_target_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(FitActError, match="unknown layer 'conv99'"):
        run(tmp_path, Goal(faults=300, targets=("layer:conv99",)))
