"""What an alarm adds to the lanes: the figures of the how-to page, measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead.alarm_cost import AlarmCost, alarm_costs
from fitact_hw.overhead.technology import Technology

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/alarms.md"
MARGINS = (0, 1, 2)
NAMES = {8: "int8", 32: "Q15.16"}


def row(word: int, cost: AlarmCost, plain: AlarmCost) -> str:
    """A line of the page's table: gate equivalents and ns."""
    more = (cost.total / plain.total - 1) * 100
    cells = (NAMES[word], str(cost.margin), f"+{cost.clamp - plain.clamp:.0f}", f"{cost.counter:.0f}", f"+{more:.1f} %")
    return f"| {' | '.join(cells)} | {plain.clamp_ns:.2f} to {cost.clamp_ns:.2f} | {cost.lane_ns:.2f} |"


@pytest.mark.parametrize("word", NAMES)
def test_the_page_has_what_is_measured(tech: Technology, cache: Path, word: int) -> None:
    plain, *found = alarm_costs(AcceleratorConfig.create(word_bits=word), tech, cache, MARGINS)
    assert [item.margin for item in found] == list(MARGINS)
    assert plain.counter == 0
    text = PAGE.read_text()
    for cost in found:
        assert row(word, cost, plain) in text
        assert cost.clamp > plain.clamp
        assert max(cost.clamp_ns, cost.counter_ns) < cost.lane_ns, "the stage of the shifter limits the lane"
        assert cost.total == pytest.approx(16 * (cost.clamp + cost.lane) + cost.counter)
