"""When a stratified campaign ends and how large its rounds are, by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from fitact_hw.campaign import goal as module
from fitact_hw.campaign.goal import ABOVE, GROWTH, LAST_SHARE, PILOT, SURE, Goal
from fitact_hw.campaign.pace import IN_TIME, PART, Pace
from fitact_hw.campaign.rounds import Found, Rounds
from fitact_hw.campaign.strata import Population, Stratum
from fitact_hw.estimation.intervals import Interval

STRATA = 5
EACH = ("machine", "structures")
POPULATION = Population(
    tuple(Stratum(f"s{n // 3}", "x", "x", n, n + 1, 10, 2) for n in range(STRATA)), 100, {"s0": 6, "s1": 4}
)


def of(half: float, effect: float = 1.0) -> Interval:
    return Interval(0.5, 0.5 - half, 0.5 + half, design_effect=effect)


@dataclass
class Intervals(Found):
    """Rounds of ``total`` upsets whose intervals are given: (scheme, structure or "")."""

    total: int
    given: dict[tuple[str, str], Interval]
    schemes: tuple[str, ...] = ("one", "other")
    asked: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rounds = Rounds(POPULATION, ((self.total, *[0] * (STRATA - 1)),))
        self.layers = {}

    def rate(
        self,
        scheme: str,
        outcomes: Iterable[str],
        structures: Iterable[str] = (),
        confidence: float = 0.95,
        layer: str = "",
    ) -> Interval:
        assert tuple(outcomes) == ("sdc",)
        self.asked.append(confidence)
        return self.given[scheme, "".join(structures)]


def found(total: int, half: float = 1 / 32, effect: float = 1.0, half_in: float = 1 / 16) -> Intervals:
    """Halves of powers of two are exact."""
    given = {(scheme, name): of(half_in) for scheme in ("one", "other") for name in ("s0", "s1")}
    return Intervals(total, {**given, ("one", ""): of(half / 2), ("other", ""): of(half, effect)})


def test_half_width_is_the_largest_of_all_that_count() -> None:
    assert Goal().half_width(found(1000)) == 1 / 32
    assert Goal(targets=EACH).half_width(found(1000)) == 1 / 16
    assert Goal(targets=("s1",)).half_width(found(1000)) == 1 / 16
    assert Goal().reached(found(1000)) == {"one": of(1 / 64), "other": of(1 / 32)}
    for targets in (("machine",), EACH):
        asked = found(1000)
        Goal(confidence=0.9, targets=targets).half_width(asked)
        assert asked.asked == [0.9] * (6 if targets is EACH else 2)


def test_needed() -> None:
    """Widths fall with the root of the upsets, but for the part by which images differ."""
    assert Goal().needed(found(1000), 1 / 64) == 4000
    assert Goal().needed(found(1000), 1 / 16) == 1000
    assert Goal().needed(found(1000), 1 / 40) == np.ceil(1000 * (40 / 32) ** 2)
    # of the variance 1/1024 a half stays
    assert Goal().needed(found(1000, effect=2.0), 0.024) == np.ceil(1000 / 2048 / (0.024**2 - 1 / 2048))
    assert np.isinf(Goal().needed(found(1000, effect=2.0), 0.022))
    # three quarters of 1/16 stay, which are the square of the margin exactly
    assert np.isinf(Goal().needed(found(1000, half=0.25, effect=4.0 / 3.0), 0.125))
    assert np.isfinite(Goal().needed(found(1000, half=0.25, effect=4.0 / 3.0), 0.1251))


def test_out_of_reach_is_believed_of_large_samples_only() -> None:
    def apart(total: int) -> Intervals:
        return found(total, effect=2.0)

    assert Goal(margin=0.022).out_of_reach(apart(SURE))
    assert not Goal(margin=0.022).out_of_reach(apart(SURE - 1))
    assert not Goal(margin=0.024).out_of_reach(apart(SURE)), "more upsets do"
    assert not Goal(margin=1 / 32).out_of_reach(apart(SURE)), "it is there"
    assert not Goal().out_of_reach(apart(SURE))
    # at its margin, with images that are all the variance that there is
    inside = {("one", ""): of(1 / 64), ("other", ""): of(1 / 32, 1e300)}
    assert np.isinf(Goal().needed(Intervals(SURE, inside), 1 / 32))
    assert not Goal(margin=1 / 32).out_of_reach(Intervals(SURE, inside))


def test_the_first_round() -> None:
    assert Goal().pilot(5) == (PILOT, 4)
    assert Goal().pilot(PILOT) == (4 * PILOT, 4)
    assert Goal(faults=700).pilot(5) == (700, 4)
    assert Goal(faults=10**6).pilot(5) == (PILOT, 4)
    assert Goal(faults=10**6).pilot(PILOT) == (4 * PILOT, 4)
    assert Goal(faults=11).pilot(5) == (11, 2)
    assert Goal(faults=3).pilot(5) == (3, 1)


def test_the_next_round() -> None:
    assert Goal(margin=1 / 32).next_size(found(1000)) == 0
    assert Goal(margin=1 / 64).next_size(found(1000)) == GROWTH * 1000
    assert Goal(margin=1 / 40).next_size(found(1000)) == int(ABOVE * 1563 - 1000)
    assert Goal(margin=0.022).next_size(found(SURE, effect=2.0)) == 0
    assert Goal(margin=0.022).next_size(found(SURE - 1, effect=2.0)) == GROWTH * (SURE - 1)
    assert Goal(margin=0.03125 - 1e-9).next_size(found(4)) == STRATA, "no less than one of each stratum"


def test_budgets() -> None:
    assert Goal(faults=10_000).next_size(found(1000)) == 3000
    assert Goal(faults=3000).next_size(found(1000)) == 2000
    assert Goal(faults=1004).next_size(found(1000)) == 0, "less than one of each stratum"
    assert Goal(faults=1005).next_size(found(1000)) == 5
    assert Goal(faults=1000).next_size(found(1000)) == 0
    # a rest that is too small for a round of its own comes along
    total = 4000
    rest = int(LAST_SHARE * total)
    assert Goal(faults=total + rest - 1).next_size(found(1000)) == 3000 + rest - 1
    assert Goal(faults=total + rest).next_size(found(1000)) == 3000
    assert Goal(faults=35).next_size(found(8)) == 27, "a rest below one of each stratum too"
    assert Goal(faults=5000, margin=1 / 64).next_size(found(1000)) == 3000
    assert Goal(faults=1900, margin=1 / 64).next_size(found(1000)) == 900


def test_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    def left(spent: float, faults: int | None = None) -> int:
        monkeypatch.setattr(module.time, "monotonic", lambda: 100.0 + spent)
        return Goal(minutes=10, began=100.0, faults=faults).next_size(found(1000))

    assert left(60) == GROWTH * 1000
    assert left(400) == int(PART * 1000 * 200 / 400)
    assert left(560) == int(IN_TIME * 1000 * 40 / 560), "the last round"
    assert left(599) == 0
    assert left(600) == 0
    assert left(900) == 0
    assert left(400, faults=1150) == 150
    assert left(400, faults=9000) == int(PART * 1000 * 200 / 400)
    started = Pace(marks=[(390.0, 1000)])  # goes on with what an earlier run stored
    assert Goal(minutes=10, began=100.0).next_size(found(1000), started) == PILOT


def test_what_is_kept() -> None:
    goal = Goal(0.01, 3.0, 900, 0.9, EACH)
    kept = {"margin": 0.01, "minutes": 3.0, "faults": 900, "confidence": 0.9}
    assert goal.to_json() == {**kept, "targets": ["machine", "structures"]}
    assert replace(Goal.from_json(goal.to_json()), began=goal.began) == goal
    for each, targets in ((True, EACH), (False, ("machine",))):
        assert Goal.from_json({**kept, "per_structure": each}).targets == targets, "of an older store"


def test_what_a_budget_should_give() -> None:
    assert Goal().expected(found(1000), 4000) == 1 / 64
    # a half of the variance, by which images differ, stays
    assert Goal().expected(found(1000, effect=2.0), 2000) == pytest.approx((3 / 4) ** 0.5 / 32)
    assert Goal().expected(found(1000, effect=2.0), Goal().needed(found(1000, effect=2.0), 0.024)) <= 0.024
    pace = Pace(clock=lambda: 30.0, marks=[(10.0, 500), (20.0, 1000)])
    assert Goal().budget(1000, pace) is None
    assert Goal(faults=700).budget(1000, pace) == 1000
    assert Goal(faults=7000).budget(1000, pace) == 7000
    assert Goal(margin=1 / 32).seconds_left(found(1000), pace) is None, "it is there"
    assert Goal(margin=1 / 64).seconds_left(found(1000), Pace()) is None, "nobody knows"
    assert Goal(margin=0.022).seconds_left(found(1000, effect=2.0), pace) is None, "never"
    assert Goal(margin=1 / 64).seconds_left(found(1000), pace) == pytest.approx((ABOVE * 4000 - 1000) / 50 - 10)


def test_what_minutes_should_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "monotonic", lambda: 160.0)
    pace = Pace(marks=[(110.0, 500), (120.0, 1000)])
    assert Goal(minutes=2, began=100.0).budget(1000, pace) == 1000 + int(IN_TIME * 60 * 50)
    assert Goal(minutes=2, began=100.0, faults=1700).budget(1000, pace) == 1700
    assert Goal(minutes=0.5, began=100.0).budget(1000, pace) == 1000
    assert Goal(minutes=2, began=100.0).budget(1000, Pace()) is None


def test_numbers_that_campaigns_were_drawn_by() -> None:
    """Another pilot or growth draws other upsets: a stored campaign could not be repeated."""
    assert (PILOT, GROWTH, ABOVE, LAST_SHARE, SURE, IN_TIME) == (1000, 3, 1.1, 0.05, 4000, 0.85)
