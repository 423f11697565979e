"""Dead means dead: upsets at points that `Liveness` calls dead never change anything in the RTL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from fitact_hw.experiment import upsets
from fitact_hw.experiment.live import Liveness
from fitact_hw.faults import Storage
from fitact_hw.sites import list_sites
from sim.bench import Simulator
from sim.job import EVERYTHING, Job, RunResult, Status
from sim.trace import instruction_times, layer_times
from tests.sim.machines import TINY, program

BUFFERS = ("activation_buffer", "weight_buffer", "bias_buffer", "bound_buffer", "accumulator_buffer", "output_buffer")
POINTS = 40


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(TINY)


@cache
def fault_free() -> RunResult:
    compiled, memory = program()
    return Simulator(TINY).run([Job(program=compiled, memory=memory, keep=(EVERYTHING,), trace=True)])[0]


@cache
def liveness() -> Liveness:
    events = fault_free().events
    assert events is not None
    return Liveness(program()[0], instruction_times(program()[0], events))


def storages(structure: str) -> dict[str, Sequence[Storage]]:
    """All storage of one structure of the tiny machine."""
    return {structure: [site for site in list_sites(TINY) if site.structure == structure]}


@pytest.mark.parametrize("structure", BUFFERS)
def test_upsets_at_dead_points_change_nothing(simulator: Simulator, structure: str) -> None:
    compiled, memory = program()
    sites = storages(structure)
    dead, live = [], 0
    for event in upsets.points(sites, fault_free().cycles, seed=3):
        if liveness().live(structure, event.upsets[0].word, event.cycle):
            live += 1
        else:
            dead.append(event)
        if len(dead) == POINTS:
            break
    assert len(dead) == POINTS
    assert live > 0  # else nothing was distinguished
    jobs = [Job(program=compiled, memory=memory, upsets=event.upsets, keep=(EVERYTHING,)) for event in dead]
    for event, result in zip(dead, simulator.run(jobs), strict=True):
        assert result.status is Status.DONE, event.id
        np.testing.assert_array_equal(result.regions[EVERYTHING], fault_free().regions[EVERYTHING], err_msg=event.id)


def test_live_points_matter_often(simulator: Simulator) -> None:
    compiled, memory = program()
    sites = storages("activation_buffer")
    chosen = []
    for event in upsets.points(sites, fault_free().cycles, seed=4):
        if liveness().live("activation_buffer", event.upsets[0].word, event.cycle):
            chosen.append(event)
        if len(chosen) == POINTS:
            break
    jobs = [Job(program=compiled, memory=memory, upsets=event.upsets, keep=(EVERYTHING,)) for event in chosen]
    changed = sum(
        not np.array_equal(result.regions[EVERYTHING], fault_free().regions[EVERYTHING])
        for result in simulator.run(jobs)
    )
    assert changed > POINTS // 4


def timeline(ends: list[int]) -> upsets.Timeline:
    """A scheme whose layers end at ``ends``."""
    names = tuple(f"layer{number}" for number in range(len(ends)))
    return upsets.Timeline("x", names, np.array(ends), ends[-1] + 5)


def test_same_moment_is_the_same_fraction_of_the_same_layer() -> None:
    short, long = timeline([100, 300, 400]), timeline([150, 450, 1000])
    assert upsets.same_moment(0, short, long) == 0
    assert upsets.same_moment(50, short, long) == 75
    assert upsets.same_moment(200, short, long) == 300
    assert upsets.same_moment(350, short, long) == 725
    assert upsets.same_moment(404, short, long) < long.cycles
    assert upsets.same_moment(200, short, short) == 200
    assert upsets.layer_at(short, 99) == "layer0"
    assert upsets.layer_at(short, 100) == "layer1"
    assert upsets.layer_at(short, 404) == "layer2"


def test_layers_cover_the_run() -> None:
    events = fault_free().events
    assert events is not None
    times = layer_times(program()[0], events)
    assert sum(time.busy_cycles for time in times) <= fault_free().cycles
    assert [time.name for time in times] == [span.name for span in program()[0].spans]
