"""The native engine: the same machine as under cocotb, exact checkpoints, and no shortcut that changes a result."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from fitact_hw.faults import FaultError, FaultEvent, Outcome, Shape, Upset
from fitact_hw.injection.case import EngineError
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.observed import ERROR_CODE
from fitact_hw.injection.plain_run import compare
from fitact_hw.injection.tail import Change, FaultyRun, Tail
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.sites import list_sites
from golden import reference
from sim.engine import access
from sim.engine.library import OBSERVERS, End
from sim.job import EVERYTHING, Job, MemoryModel, Status
from sim.simulator import Simulator
from tests.injection.tiny_machine import draw, make_case
from tests.sim.machines import TINY

EVENTS = 140


def test_fault_free_run_is_that_of_cocotb(engine: Engine, simulator: Simulator) -> None:
    case, library = make_case("neuron"), engine.library
    for model in (MemoryModel(), MemoryModel(stall_ar=80, stall_r=90, stall_w=70, stall_b=60, reorder=True, seed=5)):
        library.begin(case.memory, case.program.program_address, 0, model)
        assert library.run(1 << 40)
        cycles = library.cycle
        registers = library.registers()
        [plain] = simulator.run([Job(case.program, case.memory, keep=(EVERYTHING,), model=model)])
        assert registers is not None
        assert list(registers.values())[1:] == [plain.cycles, 0, plain.instructions]
        assert cycles == plain.cycles
        assert library.violation == plain.violation == ""
        assert np.array_equal(library.memory(0, case.memory.size), plain.regions[EVERYTHING])


def test_every_site_can_be_hit_and_is_put_back(engine: Engine) -> None:
    case, library = make_case("neuron"), engine.library
    library.set_points(np.zeros(0, np.uint64), np.zeros(0, bool), np.zeros((0, 1), np.uint64))
    library.begin(case.memory, case.program.program_address, 4000, MemoryModel())
    library.record(keep=[700])
    assert library.run(1 << 40)
    end = library.memory(0, case.memory.size)
    assert np.array_equal(case.program.tensors[case.program.logits].read(end), case.trace[case.program.logits])
    library.fork(0)
    before, memory = library.control_hash, library.memory(0, case.memory.size)
    library.back()
    for site in list_sites(TINY):
        library.fork(0)
        assert (library.cycle, library.control_hash) == (700, before), site.path
        library.flip(Upset(site.path, site.depth - 1, 1 << site.width - 1, 700))
        outside = site in library.buffers or site.path in OBSERVERS or site.path in library.passing
        assert (library.control_hash == before) == outside, site.path
        assert library.run_faulty(900) in (End.INTERRUPT, End.LIMIT)
        library.back()
    library.fork(0)
    assert np.array_equal(library.memory(0, case.memory.size), memory)
    assert library.run_faulty(1 << 40) is End.INTERRUPT  # without an upset it ends as the fault-free run
    assert np.array_equal(library.memory(0, case.memory.size), end)
    library.back()


@pytest.mark.parametrize(
    ("bound", "residual", "shape"),
    [("neuron", False, Shape.SINGLE), ("none", True, Shape.SQUARE), ("layer", False, Shape.ROWS_3)],
)
def test_engine_equals_plain_rtl(
    engine: Engine, simulator: Simulator, bound: str, residual: bool, shape: Shape
) -> None:
    """Random upsets in every structure: same status, code, cycles, logits and protocol as plain RTL runs."""
    case = make_case(bound, residual)
    cycles = engine.facts(case).cycles
    events = draw(EVENTS, cycles, seed=len(bound), shape=shape)
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert {verdict.mechanism for verdict in verdicts} >= {*Mechanism} - {Mechanism.GOLDEN}
    in_rtl = Engine(TINY, functional=False).run(case, events)
    assert {verdict.mechanism for verdict in in_rtl} == {*Mechanism} - {Mechanism.FUNCTIONAL}
    for event, one, other in zip(events, verdicts, in_rtl, strict=True):
        assert (one.outcome, one.cycles, one.code) == (other.outcome, other.cycles, other.code), event.id
        assert np.array_equal(one.logits, other.logits), event.id
    assert len({verdict.outcome for verdict in verdicts}) >= 4


def test_registers_that_only_the_host_reads(engine: Engine, simulator: Simulator) -> None:
    """Counters, limits and windows: most end early, those that make the machine stop do so as in plain RTL runs."""
    case = make_case("layer")
    cycles = engine.facts(case).cycles
    rng = np.random.default_rng(11)
    events = []
    for site in list_sites(TINY):
        if site.path in OBSERVERS:
            bits = [*range(site.width)] if "window" in site.path or "watchdog" in site.path else [0, site.width - 1]
            for bit in bits:
                upset = Upset(site.path, 0, 1 << bit, int(rng.integers(cycles)))
                events.append(FaultEvent(site.structure, Shape.SINGLE, (upset,)))
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert {Outcome.MASKED, Outcome.HANG, Outcome.BUS_ERROR} <= {verdict.outcome for verdict in verdicts}
    early = sum(verdict.mechanism is Mechanism.RECONVERGED for verdict in verdicts)
    assert early > len(events) // 2


@pytest.mark.parametrize("functional", [False, True])
def test_the_error_code_is_only_read_by_the_host(simulator: Simulator, functional: bool) -> None:
    """Looked up, from the first cycle to the last, or in RTL until nothing else differs: as in plain RTL runs."""
    case, engine = make_case("none"), Engine(TINY, functional=functional, audit=0)
    cycles, runs = engine.facts(case).cycles, engine.main.library.runs
    moments = (0, 1, 2, cycles // 2, cycles - 2, cycles - 1, cycles)
    events = [
        FaultEvent("control", Shape.SINGLE, (Upset(ERROR_CODE, 0, mask, cycle),))
        for number, cycle in enumerate(moments)
        for mask in (1 << number % 4, 0b1010)
    ]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert {verdict.code for verdict in verdicts} == {0, 1, 2, 4, 8, 10}
    assert Outcome.MASKED not in {v.outcome for v in verdicts if v.code}
    found = Counter(verdict.mechanism for verdict in verdicts)
    assert found[Mechanism.DEAD] == 2
    assert not functional or (found[Mechanism.FUNCTIONAL] == len(events) - 2 and engine.main.library.runs == runs)
    assert functional or found[Mechanism.RECONVERGED] >= len(events) // 2


def test_an_error_code_that_is_stuck(simulator: Simulator) -> None:
    """As an observer it also takes what is held: for ever, for a while, at its own value, together with a token."""
    case, engine = make_case("none"), Engine(TINY, audit=0)
    cycles = engine.facts(case).cycles
    spans = [(0, None), (cycles // 2, None), (3, 40), (cycles // 3, cycles // 2), (cycles - 9, cycles + 50)]
    held = [Upset(ERROR_CODE, 0, 0b0101, first, stuck, last) for first, last in spans for stuck in (0, 1)]
    token = Upset("u_load_to_compute.count_q", 0, 1, cycles // 4)
    pairs = [(item,) for item in held] + [(item, token) for item in held[1::4]]
    events = [FaultEvent("control", Shape.SINGLE, pair) for pair in pairs]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert {0, 0b0101} <= {verdict.code for verdict in verdicts}


def test_registers_through_which_data_pass(simulator: Simulator) -> None:
    """The registers that the comparison leaves out, with and without data in them."""
    case, engine = make_case("layer"), Engine(TINY, functional=False)
    cycles = engine.facts(case).cycles
    events = [
        FaultEvent("passing", Shape.SINGLE, (Upset(path, 0, 1 << 3, cycle),))
        for number, path in enumerate(sorted(engine.library.passing))
        for cycle in range(60 + number, cycles, cycles // (4 if "lane" in path else 60))
        if engine.library.sites[path].width > 3
    ]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    found = Counter(verdict.mechanism for verdict in verdicts)
    assert found[Mechanism.RECONVERGED] > len(events) // 2  # no word in them
    assert found[Mechanism.GOLDEN] > 0


def test_surplus_and_lost_tokens(engine: Engine, simulator: Simulator) -> None:
    """A surplus token matters from when a gate waits for one; before that the upsets are one simulation, or none."""
    case = make_case("neuron")
    cycles = engine.facts(case).cycles
    rng = np.random.default_rng(2)
    events = [
        FaultEvent("token", Shape.SINGLE, (Upset(path, 0, 1 << bit, int(rng.integers(cycles))),))
        for path in engine.library.tokens
        for bit in (0, 1, 2, 5, 7)
        for _ in range(6)
    ]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert {Mechanism.DEAD, Mechanism.FULL} <= {verdict.mechanism for verdict in verdicts}
    assert any(verdict.collapsed for verdict in verdicts)
    assert len({verdict.outcome for verdict in verdicts}) >= 3


def test_frozen_machine_goes_to_its_watchdog_at_once(engine: Engine, simulator: Simulator) -> None:
    """Dead units, and an interrupt that never comes: the cycles of plain RTL runs, without their work."""
    case = make_case("neuron")
    cycles = engine.facts(case).cycles
    strikes = [
        ("u_fetch.active_q", 1),
        ("u_control.running_q", 1),
        ("u_csr.control_irq_enable_q", 1),
        ("u_load_to_compute.count_q", 2),
        ("u_store.word_q", 128),
        ("u_store.u_bursts.u_queue.count_q", 8),
    ]
    events = [
        FaultEvent("frozen", Shape.SINGLE, (Upset(path, 0, mask, cycle),))
        for path, mask in strikes
        for cycle in (cycles // 3, cycles // 2)
    ]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert Outcome.HANG in {verdict.outcome for verdict in verdicts}
    assert any(verdict.status is Status.TIMEOUT for verdict in verdicts)
    for event, verdict in zip(events, verdicts, strict=True):
        if verdict.outcome is Outcome.HANG:
            assert verdict.simulated_cycles < verdict.cycles - event.cycle - 500, event.id
    assert sum(verdict.outcome is Outcome.HANG for verdict in verdicts) >= 4


@pytest.mark.parametrize(("functional", "mechanism"), [(True, Mechanism.FUNCTIONAL), (False, Mechanism.GOLDEN)])
def test_buffer_upsets_equal_plain_rtl(simulator: Simulator, functional: bool, mechanism: Mechanism) -> None:
    """Without RTL and with it, those that change the logits, picked from many: all of them must be the RTL's."""
    case, engine = make_case("neuron", residual=True), Engine(TINY, functional=functional)
    cycles = engine.facts(case).cycles
    drawn = [event for event in draw(2400, cycles, seed=8) if event.structure.endswith("_buffer")]
    first = engine.run(case, drawn)
    changed = [not np.array_equal(verdict.logits, case.logits) for verdict in first]
    events = [event for event, differs in zip(drawn, changed, strict=True) if differs][:24]
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    assert len(events) == 24
    assert {verdict.mechanism for verdict in verdicts} == {mechanism}


def test_no_simulation_for_dead_and_equivalent_upsets(engine: Engine) -> None:
    case = make_case("neuron")
    accesses = engine.facts(case).accesses
    path = "u_buffers.u_weight.data_mem"
    word, cycle = next(
        (word, cycle) for word in range(TINY.weight_words) for cycle in range(500)
        if (accesses.next_read(path, word, cycle) or 0) > cycle + 3
    )  # fmt: skip
    read = accesses.next_read(path, word, cycle)
    assert read is not None

    def event(at: int) -> FaultEvent:
        return FaultEvent("weight_buffer", Shape.SINGLE, (Upset(path, word, 4, at),))

    first, second, third = engine.run(case, [event(cycle), event(cycle + 2), event(read)])
    assert not first.collapsed
    assert second.collapsed
    assert third.collapsed
    assert np.array_equal(first.logits, third.logits)
    assert second.simulated_cycles == 0
    [dead] = engine.run(case, [event(accesses.cycles - 1)])
    assert (dead.mechanism, dead.outcome, dead.simulated_cycles) == (Mechanism.DEAD, Outcome.MASKED, 0)
    [late] = engine.run(case, [event(accesses.cycles + 5)])
    assert late.outcome is Outcome.MASKED


def test_prepared_run_serves_every_part_of_its_events_and_no_other_image(engine: Engine) -> None:
    case = make_case("layer")
    events = draw(40, engine.facts(case).cycles, seed=9)
    expected = engine.run(case, events)
    engine.prepare(case, events)
    runs = engine.main.library.runs
    parts = [engine.run(case, events[first::2]) for first in (0, 1)]
    assert engine.main.library.runs == runs  # no run of their own
    for verdict, other in zip(expected, [parts[k % 2][k // 2] for k in range(len(events))], strict=True):
        same = [(v.outcome, v.status, v.code, v.cycles, v.logits.tolist(), v.mechanism) for v in (verdict, other)]
        assert same[0] == same[1]
    engine.run(replace(case, image=-1 - case.image), events[:1])
    assert engine.main.library.runs == runs + 1


@pytest.mark.parametrize("piece", [access.ACCESSES_AT_A_TIME, 100])
def test_live_time_agrees_with_next_read(engine: Engine, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """In one piece and in many: some of one word, some of several."""
    monkeypatch.setattr(access, "ACCESSES_AT_A_TIME", piece)
    case = make_case("layer")
    accesses = engine.facts(case).accesses
    for number in (0, 4):
        live = accesses.live_cycles(number)
        for word in (0, 5):
            counted = sum(
                accesses.next_read(accesses.names[number], word, cycle) is not None for cycle in range(accesses.cycles)
            )
            assert counted == live[word]
    points = np.array([*range(0, accesses.cycles, 320), accesses.cycles - 1])
    for cycle, live in zip(points.tolist(), accesses.live_sets(points), strict=True):
        for word in range(TINY.activation_words):
            bit = bool(int(live[word // 64]) >> word % 64 & 1)
            assert bit == (accesses.next_read(accesses.names[0], word, cycle) is not None)


def test_finish_is_the_golden_model() -> None:
    """Sparse batched evaluation equals run_from on every corrupted layer, clamped differences included."""
    case = make_case("neuron", residual=True)
    rng = np.random.default_rng(3)
    runs, expected = [], []
    for layer in [*case.network.layers] * 4:
        output = case.trace[layer.name].copy()
        place = tuple(int(rng.integers(size)) for size in output.shape)
        output[place] ^= 1 << int(rng.integers(7))
        change = Change(layer.name, np.array([np.ravel_multi_index(place, output.shape)]), output[place].reshape(1))
        runs.append(FaultyRun([change]))
        after = reference.run_from(case.network, {**case.trace, layer.name: output}, layer.name)
        expected.append(after[case.network.layers[-1].name].reshape(1, -1))
    found = Tail(case.network).logits(case.trace, runs)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    fault_free = case.trace[case.network.layers[-1].name].reshape(1, -1)
    assert 0 < sum(not np.array_equal(one, fault_free) for one in found) < len(found)


def test_refuses_what_does_not_fit(engine: Engine) -> None:
    case = make_case("neuron")
    with pytest.raises(FaultError, match="no such fault site"):
        engine.run(case, [FaultEvent("x", Shape.SINGLE, (Upset("u_no.x_q", 0, 1, 5),))])
    *layers, last = case.network.layers
    assert last.bias is not None
    other = replace(case.network, layers=(*layers, replace(last, bias=last.bias + (1 << 12))))
    of_another = replace(case, network=other)
    register = FaultEvent("x", Shape.SINGLE, (Upset("u_sequencer.rows_left_q", 0, 1, 500),))
    with pytest.raises(EngineError, match="logits differ"):
        engine.run(of_another, [register])
    buffers = [event for event in draw(400, 2000, seed=8) if event.structure == "weight_buffer"]
    with pytest.raises(EngineError, match="differ in layer conv3"):
        engine.run(of_another, buffers)
