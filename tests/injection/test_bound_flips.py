"""Upsets of bounds: raised or lowered, against the golden network with just that bound changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fitact_hw.faults import FaultEvent, sample
from fitact_hw.injection.bound_flips import BOUND, LOWERED, RAISED, bound_addresses, bound_flips
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.sites import list_sites, select
from golden import reference
from golden.qnetwork import INPUT
from tests.injection.tiny_machine import Case, make_case
from tests.sim.machines import TINY


def changed_bound(case: Case, event: FaultEvent, address: int) -> tuple[str, np.ndarray, bool]:
    """Layer, its bounds after the upset, and whether the one that was hit grew; by the layout of the program alone."""
    lane, bit = divmod(event.upsets[0].mask.bit_length() - 1, TINY.word_bits)
    for block in case.program.parameters:
        word, rest = divmod(address - block.address, block.word_bytes)
        if block.kind == "bound" and 0 <= word < len(block.index) and not rest and block.index[word, lane] >= 0:
            layer = next(item for item in case.network.layers if item.name == block.layer)
            bound = np.array(layer.bound)
            place = np.unravel_index(block.index[word, lane], bound.shape)
            before = int(bound[place])
            bound[place] = (before ^ 1 << bit) - (1 << TINY.word_bits) * (bit == TINY.word_bits - 1)
            return block.layer, bound, bool(bound[place] > before)
    return "", np.zeros(0), False  # a lane without a neuron


def test_hit_bounds_are_those_of_the_golden_model(engine: Engine) -> None:
    case = make_case("neuron")
    facts = engine.facts(case)
    events = sample({"bound_buffer": select(list_sites(TINY), ["bound_buffer"])}, 400, facts.cycles, 3)
    flips = bound_flips(case.program, facts.accesses, events)
    addresses = bound_addresses(case.program, facts.accesses, events)
    assert set(addresses) == {*flips[RAISED], *flips[LOWERED]}
    verdicts = engine.run(case, events)
    seen = {RAISED: 0, LOWERED: 0}
    for number, address in addresses.items():
        layer, bound, grew = changed_bound(case, events[number], address)
        if verdicts[number].mechanism is Mechanism.DEAD or not layer:
            continue
        name = RAISED if grew else LOWERED
        assert number in flips[name]
        seen[name] += 1
        index = [item.name for item in case.network.layers].index(layer)
        layers = list(case.network.layers)
        layers[index] = replace(layers[index], bound=bound)
        image = case.trace[INPUT]
        logits = reference.run(replace(case.network, layers=tuple(layers)), image)[case.program.logits]
        assert np.array_equal(logits.reshape(1, -1), verdicts[number].logits), events[number].id
    assert min(seen.values()) >= 5


def test_without_bounds_nothing_is_raised(engine: Engine) -> None:
    case = make_case("none")
    facts = engine.facts(case)
    events = sample({"bound_buffer": select(list_sites(TINY), ["bound_buffer"])}, 20, facts.cycles, 3)
    assert bound_flips(case.program, facts.accesses, events) == {RAISED: [], LOWERED: []}
    assert BOUND in facts.accesses.names
