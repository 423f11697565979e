"""Live points of several schemes against a count of them one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fitact_hw.faults import Shape, event_at
from fitact_hw.injection.live_points import LivePoints, joined
from fitact_hw.injection.live_sample import is_live
from fitact_hw.injection.timeline import Timeline, moved, same_moment, same_moments
from sim.engine.access import SORTED, AccessTrace


@dataclass(frozen=True)
class Place:
    path: str
    width: int
    depth: int


BUFFERS = (Place("u_a", 3, 5), Place("u_b", 2, 4), Place("u_c", 2, 1), Place("u_d", 1, 2))
REGISTER = Place("u_r", 4, 1)


def trace(rng: np.random.Generator, cycles: int) -> AccessTrace:
    keys = []
    for place in BUFFERS:
        word, cycle = rng.integers(place.depth, size=60), rng.integers(cycles, size=60)
        keys.append(np.unique(SORTED.pack(word=word, cycle=cycle, is_write=rng.integers(2, size=60))).astype(np.uint64))
    names, depths = tuple(p.path for p in BUFFERS), tuple(p.depth for p in BUFFERS)
    return AccessTrace(names, depths, tuple(keys), cycles)


def timeline(scheme: str, ends: list[int], cycles: int) -> Timeline:
    return Timeline(scheme, tuple(f"layer{n}" for n in range(len(ends))), np.array(ends), cycles)


BASE = timeline("base", [20, 50, 70], 73)
OTHERS = (timeline("faster", [10, 25, 60], 60), timeline("slower", [30, 90, 120], 130))


@pytest.mark.parametrize("other", OTHERS)
def test_all_moments_at_once(other: Timeline) -> None:
    assert same_moments(BASE, other).tolist() == [same_moment(cycle, BASE, other) for cycle in range(BASE.cycles)]


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("interleave", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(4))
def test_points_are_those_that_some_run_reads(seed: int, interleave: int, shape: Shape) -> None:
    rng = np.random.default_rng(seed)
    lines = (BASE, *OTHERS)
    traces = [trace(rng, line.cycles) for line in lines]
    live = LivePoints(BASE, shape, interleave)
    for line, accesses in zip(lines, traces, strict=True):
        live.add(line, accesses)
    wanted = set()
    for place in BUFFERS:
        for cell in range(place.width * place.depth):
            for cycle in range(15, 60):
                event = event_at("s", place, cell, cycle, shape, interleave)
                runs = zip(lines, traces, strict=True)
                if any(is_live(moved(event, BASE, line), accesses) for line, accesses in runs):
                    wanted.add((place.path, cell, cycle))
    window = live.window(BUFFERS, 15, 60)
    assert window.points == len(wanted)
    events = [window.event("s", point) for point in range(window.points)]
    anchors = {(place.path, cell, cycle): event_at("s", place, cell, cycle, shape, interleave) for place in BUFFERS
               for cell in range(place.width * place.depth) for cycle in range(15, 60)}  # fmt: skip
    assert sorted(event.id for event in events) == sorted(anchors[key].id for key in wanted)
    with pytest.raises(IndexError):
        window.event("s", window.points)


def test_what_is_no_buffer_is_live_all_the_time() -> None:
    live = LivePoints(BASE)
    live.add(BASE, trace(np.random.default_rng(0), BASE.cycles))
    window = live.window([REGISTER], 0, BASE.cycles)
    assert window.points == 4 * BASE.cycles
    points = {(e.upsets[0].mask, e.cycle) for e in (window.event("r", n) for n in range(window.points))}
    assert points == {(1 << bit, cycle) for bit in range(4) for cycle in range(BASE.cycles)}


def test_union_keeps_words_apart() -> None:
    parts = [tuple(np.array(part) for part in ([0, 0, 1], [0, 5, 0], [9, 7, 3])), tuple(map(np.array, ([0], [8], [9])))]
    assert [part.tolist() for part in joined(parts, 10)] == [[0, 1], [0, 0], [9, 3]]  # type: ignore[arg-type]
