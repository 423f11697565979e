"""Upsets: they reach every site, at the right word, bit and cycle, and always with the same effect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fitact_hw.faults import FaultError, Outcome, Shape, Upset, classify, sample
from fitact_hw.isa import Opcode
from fitact_hw.sites import FaultSite, list_sites, select
from sim.errors import SimulationError
from sim.job import EVERYTHING, Job, RunResult, Status, WaveWindow
from sim.simulator import Simulator
from sim.trace import instruction_times
from tests.sim.machines import TINY, program

LIMIT_CYCLES = 20_000

DATA_STRUCTURES = (
    "activation_buffer", "weight_buffer", "bias_buffer", "bound_buffer", "accumulator_buffer", "output_buffer",
    "buffer_output", "pe_weight", "pe_shadow", "pe_activation", "pe_psum", "lane", "skew",
)  # fmt: skip


def job(*upsets: Upset, **options: object) -> Job:
    """A run of the shared program whose whole memory is kept."""
    compiled, memory = program()
    return Job(compiled, memory, upsets, keep=(EVERYTHING,), limit_cycles=LIMIT_CYCLES, **options)  # type: ignore[arg-type]


def same(one: RunResult, two: RunResult) -> bool:
    """Whether two runs did exactly the same."""
    facts = [(r.status, r.code, r.cycles, r.applied, r.read_beats, r.write_beats) for r in (one, two)]
    return facts[0] == facts[1] and bool(np.array_equal(one.regions[EVERYTHING], two.regions[EVERYTHING]))


def test_reaches_every_kind_of_site(simulator: Simulator) -> None:
    """One upset per (module, signal): each is applied (the bench checks that the bits changed) and ends somehow."""
    kinds: dict[tuple[str, str], FaultSite] = {}
    for site in list_sites(TINY):
        kinds[site.module, site.name] = site  # the last instance: its path is the deepest to find
    upsets = [
        Upset(site.path, number % site.depth, 1 << number % site.width, 300 + 17 * number % 2000)
        for number, site in enumerate(kinds.values())
    ]
    assert len(upsets) > 60
    results = simulator.run([job(upset) for upset in upsets])
    assert all(result.applied == 1 for result in results if result.status is Status.DONE)
    assert {result.status for result in results} >= {Status.DONE, Status.TIMEOUT}


@pytest.mark.parametrize("structure", DATA_STRUCTURES)
def test_flooded_structure_changes_results_and_repeats(simulator: Simulator, structure: str) -> None:
    """Every bit of a structure flips at once, at several moments: a structure that is in use cannot hide that."""
    sites = select(list_sites(TINY), [structure])
    jobs = [
        job(*(Upset(site.path, word, (1 << site.width) - 1, cycle) for site in sites for word in range(site.depth)))
        for cycle in range(101, 2600, 277)
    ]
    clean, *results = simulator.run([job(), *jobs])
    assert any(not np.array_equal(result.regions[EVERYTHING], clean.regions[EVERYTHING]) for result in results)
    again = Simulator(TINY, workers=2).run(jobs[:3], share_prefix=False)
    assert all(same(one, two) for one, two in zip(results, again, strict=False))


def test_sampled_upsets_repeat(simulator: Simulator) -> None:
    structures = {name: select(list_sites(TINY), [name]) for name in DATA_STRUCTURES}
    jobs = [job(*event.upsets) for event in sample(structures, 26, 2600, seed=3, shape=Shape.SQUARE)]
    first = simulator.run(jobs)
    second = Simulator(TINY, workers=2).run(jobs, share_prefix=False)
    assert all(same(one, two) for one, two in zip(first, second, strict=True))


def test_exact_word_bit_and_cycle(simulator: Simulator) -> None:
    """A flip in the output buffer just before the last STORE reads it appears in memory, in exactly that bit."""
    compiled, _ = program()
    [clean] = simulator.run([job(trace=True)])
    assert clean.events is not None
    times = instruction_times(compiled, clean.events)
    last = max(i for i, instruction in enumerate(compiled.instructions) if instruction.opcode is Opcode.STORE)
    store, started = compiled.instructions[last], int(times[last, 0])
    [site] = [site for site in list_sites(TINY) if site.structure == "output_buffer"]
    for bit in (0, 13, site.width - 1):
        before, after = simulator.run(
            [job(Upset(site.path, store["buffer_base"], 1 << bit, cycle)) for cycle in (started, clean.cycles - 1)]
        )
        flipped = before.regions[EVERYTHING] ^ clean.regions[EVERYTHING]
        [place] = np.flatnonzero(flipped)
        assert (place, flipped[place]) == (store["mem_addr"] + bit // 8, 1 << bit % 8)
        assert np.array_equal(after.regions[EVERYTHING], clean.regions[EVERYTHING]), "read before it was hit"


def test_two_flips_cancel_and_late_ones_are_not_applied(simulator: Simulator) -> None:
    site = next(site for site in list_sites(TINY) if site.structure == "weight_buffer")
    upset = Upset(site.path, 3, 0b101, 400)
    clean, twice, late = simulator.run([job(), job(upset, upset), job(Upset(site.path, 3, 1, 15_000))])
    assert twice.applied == 2
    assert np.array_equal(twice.regions[EVERYTHING], clean.regions[EVERYTHING])
    assert late.applied == 0
    assert same(late, clean)


def test_machine_counts_the_cycles_of_the_bench(simulator: Simulator) -> None:
    """A flipped bit of the cycle counter proves which cycle the upset hit: the counter is added to, not lost."""
    [site] = [site for site in list_sites(TINY) if site.path == "u_control.cycles_q"]
    clean, hit = simulator.run([job(), job(Upset(site.path, 0, 1 << 20, 0))])
    assert hit.cycles == clean.cycles + (1 << 20)
    # In cycle 0 the counter is 0: setting and clearing its lowest bit in cycles 0 and 1 would carry otherwise.
    [carry] = simulator.run([job(Upset(site.path, 0, 1, 0), Upset(site.path, 0, 2, 1))])
    assert carry.cycles == clean.cycles - 1


def test_unknown_site_and_bit_are_refused(simulator: Simulator) -> None:
    site = list_sites(TINY)[0]
    with pytest.raises(FaultError, match="no such fault site"):
        simulator.run([job(Upset("u_nothing.x_q", 0, 1, 5))])
    with pytest.raises(FaultError, match="words of"):
        simulator.run([job(Upset(site.path, 0, 1 << site.width, 5))])
    with pytest.raises(FaultError, match="words of"):
        simulator.run([job(Upset(site.path, site.depth, 1, 5))])


def test_classification_of_real_runs(simulator: Simulator) -> None:
    compiled, _ = program()
    fetch = next(site for site in list_sites(TINY) if site.path.startswith("u_fetch") and "addr" in site.name)
    clean, bad = simulator.run([job(), job(Upset(fetch.path, 0, 1 << 30, 40))])
    reference = clean.tensor(compiled.logits)
    assert classify(True, clean.code, reference, reference) is Outcome.MASKED
    assert classify(bad.status is Status.DONE, bad.code, bad.tensor(compiled.logits), reference) is Outcome.BUS_ERROR


def test_waves_show_only_the_window(tmp_path: Path, simulator: Simulator) -> None:
    upset = Upset(next(site.path for site in list_sites(TINY) if site.structure == "weight_buffer"), 3, 1, 400)
    window = WaveWindow(390, 430, tmp_path / "waves" / "upset.any")
    with pytest.raises(SimulationError, match="waves=True"):
        simulator.run([job(upset, waves=window)])
    [plain] = simulator.run([job(upset)])
    [dumped] = Simulator(TINY, waves=True).run([job(upset, waves=window)])
    assert same(plain, dumped)
    assert dumped.waves is not None
    assert dumped.waves.stat().st_size > 1000
    if dumped.waves.suffix == ".vcd":
        stamps = [int(line[1:]) for line in dumped.waves.read_text().splitlines() if line.startswith("#")]
        assert 380 <= stamps[-1] - stamps[0] <= 420  # 10 time steps a cycle
