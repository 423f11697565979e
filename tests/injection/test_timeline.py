"""Moments of one scheme's run in that of another."""

from __future__ import annotations

import numpy as np

from fitact_hw.injection.timeline import Timeline, layer_at, same_moment


def timeline(ends: list[int]) -> Timeline:
    """A scheme whose layers end at ``ends``."""
    names = tuple(f"layer{number}" for number in range(len(ends)))
    return Timeline("x", names, np.array(ends), ends[-1] + 5)


def test_same_moment_is_the_same_fraction_of_the_same_layer() -> None:
    short, long = timeline([100, 300, 400]), timeline([150, 450, 1000])
    assert same_moment(0, short, long) == 0
    assert same_moment(50, short, long) == 75
    assert same_moment(200, short, long) == 300
    assert same_moment(350, short, long) == 725
    assert same_moment(404, short, long) < long.cycles
    assert same_moment(200, short, short) == 200
    assert layer_at(short, 99) == "layer0"
    assert layer_at(short, 100) == "layer1"
    assert layer_at(short, 404) == "layer2"
