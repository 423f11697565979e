"""The speed comparison runs end to end on the tiny machine."""

from __future__ import annotations

from sim.bare.bench import bench, describe
from sim.job import Job
from tests.sim.machines import program


def test_bench_compares_machine_and_bare_array() -> None:
    compiled, memory = program()
    counts: list[int] = []
    result = bench(
        Job(compiled, memory, limit_cycles=20_000),
        repeats=1,
        cycles=20_000,
        progress=lambda done, _: counts.append(done),
    )
    assert counts == [1]
    assert 0 < result["utilisation"] < 1
    assert result["bare_cycles_per_second"] > 10_000
    assert result["ratio"] == result["machine_cycles_per_second"] / result["bare_cycles_per_second"]
    assert len(describe(result)) == 3
