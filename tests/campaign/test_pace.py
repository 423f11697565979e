"""A limit of time is used and kept, also when a computer becomes slower on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fitact_hw.campaign.goal import GROWTH, PILOT
from fitact_hw.campaign.pace import Pace


class World:
    """A clock, and upsets that take ``seconds(moment)`` each, after ``overhead`` seconds of a round."""

    def __init__(self, seconds: Callable[[float], float], overhead: float = 0.0) -> None:
        self.now, self._seconds, self._overhead = 0.0, seconds, overhead

    def judge(self, count: int) -> None:
        """A round."""
        self.now += self._overhead
        for _ in range(count):
            self.now += self._seconds(self.now)


def run(world: World, whole: float, stored: int = 0, setup: float = 0.0) -> tuple[float, int]:
    """Rounds as `goal.py` makes them; the end in seconds, and the upsets of all runs."""
    world.now += setup
    pace, total = Pace(lambda: world.now), stored
    pace.mark(total)
    size = 0 if stored else PILOT
    while True:
        world.judge(size)
        total += size
        pace.mark(total)
        left = whole - world.now
        allowed = pace.allows(left, whole) if pace.rate or left <= 0 else PILOT
        size = min(GROWTH * total, allowed)
        if size < 10:
            return world.now, total


@pytest.mark.parametrize("setup", [0.0, 100.0])
@pytest.mark.parametrize("overhead", [0.0, 8.0])
@pytest.mark.parametrize("slow", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("since", [50.0, 300.0, 500.0])
def test_a_limit_is_used_and_kept(setup: float, overhead: float, slow: float, since: float) -> None:
    """600 s; from some moment on everything takes up to four times as long, but for what a round costs itself."""
    world = World(lambda moment: 0.02 * (slow if moment >= since else 1.0), overhead)
    end, _ = run(world, 600.0, setup=setup)
    assert 0.8 * 600.0 <= end <= (1.08 if slow <= 2 else 1.35) * 600.0


def test_a_run_that_goes_on_knows_nothing_of_the_time_of_earlier_ones() -> None:
    """100 000 upsets are stored; what they took is unknown, so the first round is a small one."""
    end, total = run(World(lambda moment: 0.05), 600.0, stored=100_000)
    assert 0.8 * 600.0 <= end <= 1.05 * 600.0
    assert 108_000 < total < 113_000


def test_nothing_is_drawn_when_time_is_up() -> None:
    pace = Pace(lambda: 700.0, [(0.0, 0), (650.0, 1000)])
    assert pace.allows(-50.0, 600.0) == 0
