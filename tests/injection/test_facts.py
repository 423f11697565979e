"""Access traces on disk: used when they fit, rebuilt when they are damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitact_hw.injection import facts as facts_module
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.facts import Facts, read_trace, trace_path, write_trace
from sim.job import MemoryModel
from tests.injection.tiny_machine import Case, make_case
from tests.sim.machines import TINY


def trace_file(engine: Engine, case: Case) -> Path:
    return trace_path(engine.main.library, case.program, MemoryModel())


def same(one: Facts, other: Facts) -> bool:
    """Everything that decides about an upset."""
    arrays = [
        (one.points, other.points), (one.boundary, other.boundary), (one.live, other.live),
        (one.memory.first_read, other.memory.first_read), (one.memory.last_write, other.memory.last_write),
        (one.reach.first, other.reach.first), (one.reach.last, other.reach.last),
        *zip(one.accesses.keys, other.accesses.keys, strict=True),
    ]  # fmt: skip
    return one.cycles == other.cycles and all(np.array_equal(a, b) for a, b in arrays)


@pytest.mark.parametrize("damage", ["none", "cut", "flipped", "empty", "other"])
def test_a_trace_is_read_back_or_made_again(engine: Engine, damage: str) -> None:
    case = make_case("layer")
    path = trace_file(engine, case)
    path.unlink(missing_ok=True)
    fresh = Engine(TINY).facts(case)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        path.write_bytes(whole[:900] + bytes([whole[900] ^ 1]) + whole[901:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        np.savez(path, keys0=np.zeros(3))
    assert (read_trace(path, engine.main.library) is not None) == (damage == "none")
    assert same(Engine(TINY).facts(case), fresh)
    assert read_trace(path, engine.main.library) is not None


@pytest.mark.parametrize("bound", ["none", "neuron"])
@pytest.mark.parametrize("number", [0, -1, 255])
def test_every_image_leaves_the_same_trace(engine: Engine, bound: str, number: int) -> None:
    """Accesses, tokens, requests, writes, cycle by cycle: data, even extreme ones, do not reach control."""
    case = make_case(bound, residual=bound == "neuron")
    path = trace_file(engine, case)
    image = {0: 0 * case.image, -1: -1 - case.image, 255: np.where(case.image < 0, 127, -128)}[number]
    assert not np.array_equal(image, case.image)
    found = []
    for of_image in (case, replace(case, image=image)):
        path.unlink(missing_ok=True)
        Engine(TINY).facts(of_image)
        trace = read_trace(path, engine.main.library)
        assert trace is not None
        found.append(trace)
    one, other = found
    assert one.accesses.cycles == other.accesses.cycles
    assert all(map(np.array_equal, one.accesses.keys, other.accesses.keys))
    assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("tokens", "requests", "writes"))


def test_the_name_covers_program_and_memory_model(engine: Engine) -> None:
    one, other = make_case("layer"), make_case("neuron")
    names = {trace_file(engine, one), trace_file(engine, other)}
    names.add(trace_path(engine.main.library, one.program, MemoryModel(read_latency=3)))
    assert len(names) == 3


def test_old_traces_go(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "MOST_TRACES", 2)
    path = trace_file(engine, make_case("layer"))
    engine.facts(make_case("layer"))
    trace = read_trace(path, engine.main.library)
    assert trace is not None
    for number in range(4):
        write_trace(tmp_path / "traces" / f"{number}.npz", trace)
    assert len(list((tmp_path / "traces").iterdir())) == 2
    (tmp_path / "file").write_text("")
    write_trace(tmp_path / "file" / "x.npz", trace)  # cannot be written: no reason to stop
