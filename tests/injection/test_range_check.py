"""Machines with a range check of parameters in the engine: the same results as plain RTL runs, hits included."""

from __future__ import annotations

from collections import Counter

import pytest

from fitact_hw.compiler import compile_network
from fitact_hw.faults import FaultEvent, sample
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.functional.loading import LOADED_WORD
from fitact_hw.injection.plain_run import compare
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.sites import list_sites
from sim.simulator import Simulator
from tests.injection.tiny_machine import draw, make_case
from tests.sim.test_range_check import MACHINES, narrowed

EVENTS = 100


def narrow_case(check: str) -> Case:
    """A network whose parameters leave bits free, so that upsets of words on their way can be out of range."""
    case = make_case("neuron", residual=True, config=MACHINES[check])
    network = narrowed(case.network)
    return Case(network, compile_network(network, MACHINES[check], 1), case.image)


def strikes(check: str, path: str, cycles: int) -> list[FaultEvent]:
    """Upsets of one register or memory all over the run."""
    config = MACHINES[check]
    [site] = [item for item in list_sites(config) if item.path == path]
    return sample({site.structure: [site]}, EVENTS, cycles, seed=11)


@pytest.mark.parametrize("check", MACHINES)
def test_engine_equals_plain_rtl(check: str) -> None:
    """Upsets everywhere, and many in the word that is loaded, the limits and the counter."""
    config = MACHINES[check]
    engine, case = Engine(config, audit=0.2), narrow_case(check)
    cycles = engine.facts(case).cycles
    loaded = strikes(check, LOADED_WORD, cycles)
    own = [event for event in draw(6 * EVENTS, cycles, seed=6, config=config) if event.structure == "range_check"]
    events = [*draw(EVENTS, cycles, seed=5, config=config), *loaded, *own]
    verdicts, differences = compare(engine, Simulator(config, workers=2), case, events)
    assert not differences, "\n".join(map(str, differences))
    ways = dict(zip((event.id for event in events), verdicts, strict=True))
    hit = [ways[event.id] for event in loaded if ways[event.id].range_hits]
    assert hit
    assert all(verdict.mechanism is not Mechanism.FUNCTIONAL for verdict in hit)
    # activations that are loaded are no parameters: they are still judged without RTL
    assert Counter(ways[event.id].mechanism for event in loaded)[Mechanism.FUNCTIONAL] > EVENTS // 10
    assert any(ways[event.id].range_hits for event in own)
