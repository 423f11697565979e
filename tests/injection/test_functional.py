"""Upsets of buffers judged without RTL: in every field the same as by RTL, cycle for cycle of their strike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Shape, Upset, sample
from fitact_hw.injection.case import Case, EngineError
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.functional.judge import FunctionalImage, FunctionalProgram
from fitact_hw.injection.functional.loading import LOADED_WORD
from fitact_hw.injection.functional.order import Unsuitable
from fitact_hw.injection.functional.registers import PATTERNS, register_of
from fitact_hw.injection.functional.schedule import SITES
from fitact_hw.injection.tail import FaultyRun
from fitact_hw.injection.verdict import Mechanism, Verdict
from fitact_hw.sites import list_sites
from sim.engine.access import SORTED, AccessTrace
from sim.job import MemoryModel
from tests.compiler.checking import fitted_to
from tests.compiler.reference import NetworkBuilder
from tests.injection.tiny_machine import make_case
from tests.sim.machines import TINY

SMALL = {"activation_words": 96, "bias_words": 4, "accumulator_words": 16, "output_words": 40}

MACHINES = {
    "8 bits": TINY,
    "16 bits, patches": AcceleratorConfig.create(
        rows=3, cols=3, word_bits=16, bus_bits=32, bounds="patch", bound_words=12, weight_words=40, **SMALL
    ),
    "32 bits, codes": AcceleratorConfig.create(
        rows=4, cols=4, word_bits=32, bus_bits=512, bound_format="code4", bound_words=6, weight_words=48, **SMALL
    ),
    "8 bits, coded channels": AcceleratorConfig.create(
        rows=5, cols=5, bounds="channel", bound_format="code4", bound_words=4, weight_words=70, **SMALL
    ),
}

NOTICED = ("detected", "corrected_words", "detected_words", "range_hits")
FIELDS = ("outcome", "status", "code", "cycles", "violation", *NOTICED)

EVENTS = 360
"""Of one network and shape, a sixth in each buffer."""


def random_case(config: AcceleratorConfig, seed: int) -> Case:
    """Convolutions with and without a shortcut, pools that overlap, several tiles, chunks and channel tiles."""
    rng = np.random.default_rng(seed)
    builder = NetworkBuilder((int(rng.integers(2, 5)), 6, 6), config.word_bits, seed, config.acc_bits)
    activations = [("relu", "none"), ("clip", "neuron"), ("saturate", "neuron"), ("clip", "layer")]
    kinds = [activations[number] for number in rng.permutation(4)]
    width = int(rng.integers(5, 9))
    entry = builder.conv(width, 3, 1, 1, *kinds[0])
    if seed % 2:
        builder.conv(width, int(rng.choice([1, 3])), 1, 0, *kinds[1])
    else:
        builder.conv(width, 3, 1, 1, *kinds[1])
        activation, bound = kinds[2]
        builder.conv(width, 1, 1, 0, activation, bound, residual=entry, lshift=int(rng.integers(0, 7)))
    builder.pool("maxpool", 3, 2, 1)
    if seed % 3:
        builder.pool("avgpool", 2, 1)
    builder.conv(5, 0, activation="linear")
    network = fitted_to(builder.network(), config)
    return Case(network, compile_network(network, config, 1), builder.images(1))


def buffers(config: AcceleratorConfig) -> dict[str, list]:
    """Each buffer as a structure of its own."""
    return {site.structure: [site] for site in list_sites(config) if site.path in SITES}


def same(verdicts: Sequence[Verdict], others: Sequence[Verdict], events: Sequence[FaultEvent]) -> None:
    """Assert that all fields but the way in which they were found are equal."""
    for event, one, other in zip(events, verdicts, others, strict=True):
        assert [getattr(one, name) for name in FIELDS] == [getattr(other, name) for name in FIELDS], event.id
        assert np.array_equal(one.logits, other.logits), event.id


def changing(events: Sequence[FaultEvent], verdicts: Sequence[Verdict], case: Case) -> list[FaultEvent]:
    """Those that change the logits."""
    pairs = zip(events, verdicts, strict=True)
    return [event for event, verdict in pairs if not np.array_equal(verdict.logits, case.logits)]


@pytest.mark.parametrize("name", MACHINES)
def test_random_upsets_of_random_networks(name: str) -> None:
    """Every upset in RTL from its own cycle, without any shortcut before that; all shapes, all buffers."""
    config = MACHINES[name]
    functional, rtl = Engine(config, audit=0), Engine(config, prune=False)
    found: Counter[Mechanism] = Counter()
    changed: Counter[str] = Counter()
    layers: Counter[int] = Counter()
    for seed, shape in enumerate(Shape):
        case = random_case(config, seed).ready()
        cycles = functional.facts(case).cycles
        events = sample(buffers(config), EVENTS, cycles, seed, shape=shape, interleave=1 + seed % 2)
        verdicts = functional.run(case, events)
        same(verdicts, rtl.run(case, events), events)
        found.update(verdict.mechanism for verdict in verdicts)
        changed.update(event.structure for event in changing(events, verdicts, case))
        program = functional.facts(case).functional
        assert isinstance(program, FunctionalProgram)
        flips = ((event.cycle, [(u.site, u.word, u.mask) for u in event.upsets]) for event in events)
        layers.update(len(program.hits(*item)) for item in flips)
    assert found[Mechanism.FUNCTIONAL] > 0.15 * found.total()
    assert layers[2] > 0
    assert found[Mechanism.DEAD] + found[Mechanism.FUNCTIONAL] == found.total()
    assert set(changed) >= set(buffers(config)) - {"bound_buffer"}, changed
    assert changed["bound_buffer"] or config.bounds.value == "patch", changed
    assert min(changed.values()) >= 2, changed


@pytest.mark.parametrize("name", MACHINES)
def test_registers_of_data(name: str) -> None:
    """Every kind of them, in every row and column, with and without data in it."""
    config = MACHINES[name]
    functional, rtl = Engine(config, audit=0), Engine(config, prune=False)
    kinds: dict[str, list] = {}
    for site in list_sites(config):
        found = register_of(site.path)
        if found is not None or site.path == LOADED_WORD:
            kinds.setdefault(found[0] if found else "loading", []).append(site)
    assert set(kinds) == {*PATTERNS, "loading"}
    changed: Counter[str] = Counter()
    for seed, shape in ((1, Shape.SINGLE), (4, Shape.COLUMNS_2)):
        case = random_case(config, seed).ready()
        facts = functional.facts(case)
        events = sample(kinds, 30 * len(kinds), facts.cycles, seed, shape=shape)
        # as many while results leave: the lanes have little to do in most cycles
        written = facts.accesses.writes(facts.accesses.names.index("u_buffers.u_output.data_mem"))[1]
        moments = np.random.default_rng(seed).choice(written, len(events)) - np.arange(len(events)) % 7
        events += [moved(event, int(cycle)) for event, cycle in zip(events, moments, strict=True)]
        verdicts = functional.run(case, events)
        same(verdicts, rtl.run(case, events), events)
        changed.update(event.structure for event in changing(events, verdicts, case))
        others = [event for event, v in zip(events, verdicts, strict=True) if v.mechanism is not Mechanism.FUNCTIONAL]
        assert {event.structure for event in others} <= {"loading"}
    rare = {"bound", "bound_read", "loading"}
    assert set(changed) >= set(kinds) - rare, changed
    assert changed.total() > 120, changed


def moved(event: FaultEvent, cycle: int) -> FaultEvent:
    """The same upsets in another cycle."""
    return replace(event, upsets=tuple(replace(upset, cycle=cycle) for upset in event.upsets))


def edges(accesses: AccessTrace, config: AcceleratorConfig, rng: np.random.Generator) -> list[FaultEvent]:
    """In, before and after the very cycle of reads and writes of every buffer."""
    events = []
    for path, keys in zip(accesses.names, accesses.keys, strict=True):
        width = next(site.width for site in list_sites(config) if site.path == path)
        for key in rng.choice(keys, 12 if len(keys) else 0):
            word, cycle = int(SORTED.get(int(key), "word")), int(SORTED.get(int(key), "cycle"))
            for at in range(cycle - 2, cycle + 3):
                upset = Upset(path, word, 1 << int(rng.integers(width)), at)
                events.append(FaultEvent(path, Shape.SINGLE, (upset,)))
    return events


@pytest.mark.parametrize("slow", [False, True])
def test_the_very_cycle_of_an_access(slow: bool) -> None:
    """Also with a memory that stalls, so that transfers and stores pause in the middle."""
    model = MemoryModel(
        read_latency=7, write_latency=60, write_interval=3, seed=5, stall_aw=128, stall_w=200, stall_r=90
    )
    functional, rtl = (
        Engine(TINY, model=model if slow else None, **options) for options in ({"audit": 0}, {"prune": False})
    )
    rng = np.random.default_rng(3)
    for seed in (2, 5):
        case = random_case(TINY, seed).ready()
        events = edges(functional.facts(case).accesses, TINY, rng)
        verdicts = functional.run(case, events)
        same(verdicts, rtl.run(case, events), events)
        found = Counter(verdict.mechanism for verdict in verdicts)
        assert min(found[Mechanism.FUNCTIONAL], found[Mechanism.DEAD]) > len(events) // 5


def test_images_of_one_program() -> None:
    """Each with its own words, and nothing left of the one before."""
    engine, rtl, case = Engine(TINY, audit=0), Engine(TINY, prune=False), random_case(TINY, 4)
    events = sample(buffers(TINY), 60, engine.facts(case).cycles, 9)
    logits = []
    for image in (case.image, -1 - case.image, case.image // 2, case.image):
        one = replace(case, image=image)
        verdicts = engine.run(one, events)
        same(verdicts, rtl.run(one, events), events)
        logits.append([verdict.logits.tolist() for verdict in verdicts])
    assert logits[0] == logits[3] != logits[1]


def test_another_image_needs_no_rtl_for_upsets_of_data() -> None:
    """Neither trace nor fault-free run: control does not depend on data."""
    case, engine = make_case("neuron", residual=True), Engine(TINY, audit=0)
    events = sample(buffers(TINY), 60, engine.facts(case).cycles, 9)
    runs = engine.main.library.runs
    for image in (case.image, -1 - case.image):
        engine.prepare(replace(case, image=image), events)
        assert Mechanism.FUNCTIONAL in {verdict.mechanism for verdict in engine.run(replace(case, image=image), events)}
    assert engine.main.library.runs == runs


def test_all_are_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """With audit=1 RTL judges every one as well; a difference names the upset."""
    case, engine = make_case("neuron", residual=True), Engine(TINY, audit=1)
    events = sample(buffers(TINY), 90, engine.facts(case).cycles, 4)
    verdicts = engine.run(case, events)
    assert sum(verdict.mechanism is Mechanism.FUNCTIONAL for verdict in verdicts) > 10
    judged = [v for v in verdicts if v.mechanism is Mechanism.FUNCTIONAL and not v.collapsed]
    assert engine.times.audited == len(judged)
    wrong = changing(events, verdicts, case)[0]
    monkeypatch.setattr(FunctionalImage, "judge", lambda *_: FaultyRun([]))
    with pytest.raises(EngineError, match=r"functional simulation and RTL differ in .*logits") as error:
        engine.run(case, [wrong])
    assert wrong.id in str(error.value)


def test_some_are_audited_and_always_the_same() -> None:
    case, engine = make_case("neuron"), Engine(TINY, audit=0.2)
    events = sample(buffers(TINY), 900, engine.facts(case).cycles, 4)
    counts = []
    for part in (events, events[::-1]):
        before = engine.times.faulty_cycles
        verdicts = engine.run(case, part)
        counts.append(engine.times.faulty_cycles - before)
    functional = sum(verdict.mechanism is Mechanism.FUNCTIONAL for verdict in verdicts)
    assert counts[0] == counts[1] > 0
    assert functional > 100


def test_another_trace_than_the_programs_is_refused() -> None:
    """A read in another cycle, an access of another word or of the other kind, one access less."""
    case, engine = make_case("neuron"), Engine(TINY)
    accesses = engine.facts(case).accesses
    FunctionalProgram(case.program, accesses)
    rng = np.random.default_rng(1)

    def refused(buffer: int, keys: np.ndarray) -> None:
        every = [*accesses.keys]
        every[buffer] = np.sort(keys).view(np.uint64)
        with pytest.raises(Unsuitable, match="buffer"):
            FunctionalProgram(case.program, replace(accesses, keys=tuple(every)))

    for buffer, keys in enumerate(accesses.keys):
        found = keys.view(np.int64)
        for _ in range(6):
            place = int(rng.integers(len(found)))
            read = int(rng.choice(np.flatnonzero(SORTED.get(found, "is_write") == 0)))
            mark = np.arange(len(found))
            if SITES[accesses.names[buffer]] != "output":  # a store may wait for the bus before it reads a word
                step = int(rng.choice([1, 300]))
                refused(buffer, found + (mark == read) * SORTED.pack(word=0, cycle=step, is_write=0))
            refused(buffer, found + (mark == place) * SORTED.pack(word=1, cycle=0, is_write=0))
            refused(buffer, found ^ (mark == place) * SORTED.pack(word=0, cycle=0, is_write=1))
            refused(buffer, found[mark != place])


def test_what_is_refused_goes_through_rtl(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a note that says why, and the same results."""
    case = make_case("layer")
    notes: list[str] = []
    engine, other = Engine(TINY, note=notes.append), Engine(TINY)
    events = sample(buffers(TINY), 60, engine.facts(case).cycles, 6)
    monkeypatch.setitem(engine.facts(case).__dict__, "functional", Unsuitable("of another form"))
    verdicts = engine.run(case, events)
    assert Mechanism.FUNCTIONAL not in {verdict.mechanism for verdict in verdicts}
    assert notes == ["upsets of data go through RTL: of another form"]
    same(verdicts, other.run(case, events), events)


def test_two_images_in_one_program_are_refused() -> None:
    case, engine = make_case("neuron"), Engine(TINY)
    pair = compile_network(case.network, TINY, 2)
    with pytest.raises(Unsuitable, match="compile it for one"):
        FunctionalProgram(pair, engine.facts(case).accesses)
