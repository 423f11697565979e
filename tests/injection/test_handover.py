"""When the golden model may take over, and what it makes of several differing layers and of fixed outputs."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from fitact_hw.fsim import run
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.memory_map import NEVER, Handover, MemoryMap
from fitact_hw.injection.tail import Change, FaultyRun, Tail
from golden import reference
from golden.qnetwork import INPUT
from sim.engine.layout import BLOCK_BYTES
from sim.engine.library import MemoryDifference
from tests.injection.tiny_machine import make_case


def expected(case: Case, faulty: FaultyRun) -> np.ndarray:
    """Logits by the reference, layer by layer: what a change says, else what is fixed, else computed."""
    trace = {INPUT: case.trace[INPUT]}
    changes = {change.layer: change for change in faulty.changes}
    for layer in case.network.layers:
        clean = case.trace[layer.name]
        if layer.name in changes:
            trace[layer.name] = changes[layer.name].applied(clean)
        elif layer.name in faulty.fixed:
            trace[layer.name] = clean
        else:
            residual = trace[layer.residual.source] if layer.residual else None
            sizes = case.network.acc_bits, case.network.word_bits
            trace[layer.name] = reference.run_layer(layer, trace[layer.source], *sizes, residual)
    return trace[case.network.layers[-1].name].reshape(1, -1)


@pytest.mark.parametrize("residual", [False, True])
def test_several_changed_and_fixed_layers(residual: bool) -> None:
    """Runs that differ in one to three layers, with any first layers complete, all in one sweep."""
    case = make_case("neuron", residual)
    names = [layer.name for layer in case.network.layers]
    rng = np.random.default_rng(5)
    runs = []
    for _ in range(80):
        complete = int(rng.integers(0, len(names) + 1))
        changes = []
        for name in rng.choice(names, int(rng.integers(1, 4)), replace=False):
            output = case.trace[name].copy()
            places = rng.choice(output.size, min(output.size, int(rng.integers(1, 9))), replace=False)
            output.reshape(-1)[places] = rng.integers(-128, 128, len(places))
            changes.append(Change.between(str(name), case.trace[name], output))
        runs.append(FaultyRun([c for c in changes if len(c.index)], frozenset(names[:complete])))
    found = Tail(case.network).logits(case.trace, runs)
    for number, (one, faulty) in enumerate(zip(found, runs, strict=True)):
        assert np.array_equal(one, expected(case, faulty)), f"run {number}: {faulty}"
    assert len({one.tobytes() for one in found}) > 20


class Places:
    """Differences in chosen words of the layers of a program, in the memory of its fault-free run."""

    def __init__(self, engine: Engine, residual: bool) -> None:
        self.case = make_case("neuron", residual)
        self.memory = run(self.case.program, self.case.memory)
        self.map: MemoryMap = engine.facts(self.case).memory
        self.order = self.map.order

    def handover(self, cycle: int, *words: tuple[str, int], lane: int = 0, written: int = 0) -> Handover | None:
        """``words``: layer and number of the word; bit 4 of ``lane`` differs."""
        blocks: dict[int, np.ndarray] = {}
        for name, number in words:
            address = self.case.program.tensors[name].address + number * self.map.word_bytes + lane
            block = address // BLOCK_BYTES * BLOCK_BYTES
            content = np.zeros((2, BLOCK_BYTES), np.uint8)
            part = self.memory[block : block + BLOCK_BYTES]
            content[:, : len(part)] = part
            blocks.setdefault(block, content)[1, address - block] ^= 16
        contents = np.stack([*blocks.values()])
        times = np.full(len(blocks), written, np.uint64)
        return self.map.handover(cycle, MemoryDifference(np.array([*blocks], np.uint64), contents, times))

    def nothing_is_read_early(self) -> None:
        """From now on no word of an output has been read by the array yet."""
        self.map = copy.copy(self.map)
        self.map.first_read = np.full_like(self.map.first_read, NEVER)

    def last_write(self, name: str, number: int) -> int:
        """Cycle in which it is written for the last time."""
        address = self.case.program.tensors[name].address
        return int(self.map.last_write[address // self.map.word_bytes + number])


@pytest.fixture(params=[False, True], ids=["chain", "shortcut"])
def places(engine: Engine, request: pytest.FixtureRequest) -> Places:
    """A chain of layers, and one with a shortcut."""
    return Places(engine, request.param)


def test_one_final_layer_that_was_not_read(places: Places) -> None:
    """The change is the flipped lane; complete are the layers that have ended by then, and no other."""
    first, second = places.order[:2]
    cycle = places.map.ends[first]
    _, rows, cols = places.case.program.tensors[first].shape
    number = rows * cols - 1  # of the first channel tile
    places.nothing_is_read_early()
    found = places.handover(cycle, (first, number))
    assert found is not None
    [change] = found.run.changes
    assert (change.layer, change.index.tolist()) == (first, [number])
    clean = places.case.trace[first].reshape(-1)
    assert int(change.values[0]) == int(np.int8(clean[number] ^ 16))
    assert found.run.fixed == {first}
    assert found.held == ()
    after = places.handover(places.map.ends[second], (second, 0))
    assert after is not None
    assert after.run.fixed == {first, second}


def test_a_word_that_is_written_again_is_not_final(places: Places) -> None:
    name = places.order[0]
    assert places.handover(places.last_write(name, 3) - 1, (name, 3)) is None
    assert places.handover(places.last_write(name, 3), (name, 3)) is not None


def test_two_layers_of_which_the_later_one_is_unfinished(places: Places) -> None:
    """Only RTL can tell what the rest of the later one becomes; once both are complete the golden model goes on."""
    places.nothing_is_read_early()
    shared = final = 0
    for earlier, later in zip(places.order[:-1], places.order[1:], strict=True):
        end = places.map.ends[later]
        final += places.last_write(later, 0) < end
        alone = places.handover(end - 1, (earlier, 0))
        assert alone is not None
        assert [change.layer for change in alone.run.changes] == [earlier]
        assert later not in alone.run.fixed
        assert places.handover(end - 1, (earlier, 0), (later, 0)) is None
        both = places.handover(end, (earlier, 0), (later, 0))
        assert both is not None
        pending = any(places.map.ends[reader] > end for reader in places.map.consumers[earlier])
        assert [change.layer for change in both.run.changes] == ([earlier] if pending else []) + [later]
        assert {earlier, later} <= both.run.fixed
        shared += pending
    assert final >= 2
    assert shared == any(layer.residual for layer in places.case.network.layers)


def test_a_layer_that_a_shortcut_reads_is_not_done(places: Places) -> None:
    """Its first reader may be complete: the change is not forgotten before the last one is."""
    for layer in places.case.network.layers:
        readers = places.map.consumers[layer.name]
        for cycle in sorted({places.map.ends[name] + extra for name in places.order for extra in (-1, 0, 5)}):
            if cycle < places.map.ends[layer.name]:
                continue
            pending = [name for name in readers if places.map.ends[name] > cycle]
            found = places.handover(cycle, (layer.name, 0))
            assert found is None or layer.name in found.run.fixed
            if pending or layer.name == places.order[-1]:
                assert found is None or [change.layer for change in found.run.changes] == [layer.name]
            else:
                assert found is not None
                assert not found.run.changes
    wanted = {(layer.source, layer.name) for layer in places.case.network.layers}
    wanted |= {(x.residual.source, x.name) for x in places.case.network.layers if x.residual}
    assert {(name, reader) for name, readers in places.map.consumers.items() for reader in readers} == wanted


def test_padding_lanes_change_nothing_and_parameters_are_not_handed_over(places: Places) -> None:
    """The third convolution has 5 or 6 channels in 2 x 4 lanes; a differing weight is for RTL."""
    last = places.order[-2]
    channels, rows, cols = places.case.program.tensors[last].shape
    number = rows * cols  # first word of the second channel tile
    found = places.handover(places.map.ends[last], (last, number), lane=3)
    assert channels < 8
    assert found is not None
    assert not found.run.changes
    block = places.case.program.parameters[0].address // BLOCK_BYTES * BLOCK_BYTES
    content = np.zeros((1, 2, BLOCK_BYTES), np.uint8)
    content[0, 1, :] = 1
    difference = MemoryDifference(np.array([block], np.uint64), content, np.zeros(1, np.uint64))
    assert places.map.handover(places.map.ends[last], difference) is None
