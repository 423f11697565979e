"""Nothing is left out when a faulty run is compared with the fault-free one: registers, memory queues, counters."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fitact_hw.faults import FaultEvent, Outcome, Shape, Upset, classify, hang_limits
from fitact_hw.injection.engine import Engine
from fitact_hw.sites import list_sites
from sim.engine.library import OBSERVERS, End
from sim.job import MemoryModel
from tests.injection.tiny_machine import make_case
from tests.sim.machines import TINY

SIM = Path(__file__).resolve().parents[2] / "sim"

NO_STATE = {
    "data": "compared block by block, with the writes of both runs",
    "size": "the same in every run",
    "now": "its times are hashed relative to it",
    "options": "the same in every run",
    "read_beats": "counts what was read; nothing depends on it",
    "write_beats": "counts what was written; nothing depends on it",
    "violation": "a text for the report; nothing depends on it",
}
"""Fields of the memory that are not in the hash, and why."""


def members(struct: str, text: str) -> list[str]:
    """Names of the data members of a C++ struct."""
    body = re.search(rf"struct {struct} {{(.*?)\n}};", text, re.S)
    assert body is not None
    body_text = re.sub(r"\w[\w:<> ]* \w+\([^)]*\) const {.*?\n    }", "", body[1], flags=re.S)
    names = []
    for line in re.sub(r"//.*", "", body_text).split(";"):
        declared = re.sub(r"=[^,;]*|{[^}]*}|\[[^\]]*\]", "", line).strip()
        if declared:
            kind, _, rest = re.sub(r"alignas\(\d+\) ", "", declared).partition(" ")
            assert kind
            names += [name.strip(" *") for name in rest.split(",")]
    return names


def function(name: str, text: str) -> str:
    """Text of a C++ function."""
    body = re.search(rf"uint64_t {name}\([^)]*\) {{(.*?)\n}}", text, re.S)
    assert body is not None
    return body[1]


def test_every_field_of_the_memory_is_hashed_or_has_a_reason() -> None:
    """Queues, bursts under way, what stands on the channels: each member is named by the hash."""
    memory, states = (SIM / "tb" / "memory.cpp").read_text(), (SIM / "engine" / "states.h").read_text()
    burst, whole = function("hash_burst", states), function("hash_memory", states)
    fields = members("Burst", memory)
    assert {"address", "due", "beats", "done", "size", "type", "id", "response"} == set(fields)
    for name in fields:
        assert re.search(rf"\bb\.{name}\b", burst), f"hash_burst leaves out {name}"
    for name in re.findall(r"const uint64_t (\w+) =", burst):
        assert re.search(rf"mix\(hash, {name}\)", burst), f"hash_burst works out {name} for nothing"
    fields = members("Memory", memory)
    assert {"reads", "writes", "responses", "held", "beat", "random", "next_write"} <= set(fields)
    for name in fields:
        assert bool(re.search(rf"\bm\.{name}\b", whole)) != (name in NO_STATE and name != "now"), name
    for name in members("Held", memory):
        assert re.search(rf"\bheld\.{name}\b", whole), f"hash_memory leaves out {name} of what waits"


def test_every_word_of_every_register_is_hashed(engine: Engine) -> None:
    """First and last bit of each word; but for observers, and data that pass, which have a comparison of their own."""
    case, library = make_case("neuron"), engine.library
    library.set_points(np.zeros(0, np.uint64), np.zeros(0, bool), np.zeros((0, 1), np.uint64))
    library.begin(case.memory, case.program.program_address, 4000, MemoryModel())
    library.record(keep=[650])
    assert library.run(1 << 40)
    library.fork(0)
    before = library.control_hash
    left_out = {site.path for site in library.buffers} | set(OBSERVERS) | set(library.passing)
    struck = 0
    for site in list_sites(TINY):
        for word in range(site.depth if site.path not in left_out else 1):
            for bit in {0, site.width // 2, site.width - 1}:
                upset = Upset(site.path, word, 1 << bit, 650)
                library.flip(upset)
                assert (library.control_hash == before) == (site.path in left_out), upset.id
                library.flip(upset)
                struck += 1
        assert library.control_hash == before
    library.back()
    assert struck > 1000


@pytest.mark.parametrize("bound", ["neuron", "layer"])
def test_data_that_pass_near_a_comparison(bound: str) -> None:
    """Strikes one and two cycles before each comparison, where what differs is still under way: as without any."""
    case, engine = make_case(bound, residual=bound == "layer"), Engine(TINY, functional=False)
    library, facts = engine.library, engine.facts(case)
    paths, rng = sorted(library.passing), np.random.default_rng(1)
    points = facts.points[(facts.points > 60) & (facts.points < facts.cycles)]
    events = []
    for number, point in enumerate(points.tolist()):
        for before in (1, 2):
            for path in paths[(number + before) % 2 :: 2]:
                bit = int(rng.integers(library.sites[path].width))
                events.append(FaultEvent("passing", Shape.SINGLE, (Upset(path, 0, 1 << bit, point - before),)))
    verdicts = engine.run(case, events)
    cycles = sorted({event.cycle for event in events})
    library.set_points(np.zeros(0, np.uint64), np.zeros(0, bool), np.zeros((0, 1), np.uint64))
    library.begin(case.memory, case.program.program_address, hang_limits(facts.cycles)[0], MemoryModel())
    library.record(keep=cycles)
    assert library.run(1 << 40)
    clean, changed = case.logits, 0
    for event, verdict in zip(events, verdicts, strict=True):
        library.fork(cycles.index(event.cycle))
        library.flip(event.upsets[0])
        assert library.run_faulty(hang_limits(facts.cycles)[1]) is End.INTERRUPT, event.id
        placement = case.program.tensors[case.program.logits]
        found = placement.read(library.memory(0, case.memory.size)).reshape(1, -1)
        library.back()
        assert np.array_equal(found, verdict.logits), event.id
        assert verdict.outcome is classify(True, 0, found, clean), event.id
        changed += not np.array_equal(found, clean)
    assert changed > 10
    assert sum(verdict.outcome is Outcome.MASKED for verdict in verdicts) > len(events) // 2
