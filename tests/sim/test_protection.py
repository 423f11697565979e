"""Parity and SECDED on every buffer of the whole machine: what is corrected, what is detected, the same cycles."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig
from fitact_hw.faults import Outcome, Upset, classify
from fitact_hw.fsim import run
from fitact_hw.registers import ErrorCode
from fitact_hw.sites import FaultSite, list_sites
from sim.errors import SimulationError
from sim.job import EVERYTHING, Job, MemoryModel, RunResult, Status
from sim.simulator import Simulator
from tests.sim.machines import TINY, program

LIMIT_CYCLES = 60_000
CYCLES = range(101, 2600, 277)
"""Moments of the shared program (about 2 700 cycles) at which buffers are hit."""

SLOW = MemoryModel(read_latency=7, write_latency=60, write_interval=3, seed=5, stall_aw=128, stall_w=200, stall_b=128)
"""The store unit has to hold its words."""

MACHINES = {
    kind: AcceleratorConfig.create(**(TINY.model_dump() | {"protection": kind})) for kind in ("parity", "secded")
}


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> tuple[str, Simulator]:
    """A protected machine and its kind."""
    return request.param, Simulator(MACHINES[request.param])


def job(*upsets: Upset, **options: object) -> Job:
    """A run of the shared program whose whole memory is kept; protection does not change programs."""
    compiled, memory = program()
    return Job(compiled, memory, upsets, keep=(EVERYTHING,), limit_cycles=LIMIT_CYCLES, **options)  # type: ignore[arg-type]


def site(kind: str, buffer: str, name: str = "data_mem") -> FaultSite:
    """The memory, or the output register, of a buffer."""
    return next(item for item in list_sites(MACHINES[kind]) if item.path == f"u_buffers.u_{buffer}.{name}")


def bit(kind: str, buffer: str, lane: int, number: int) -> int:
    """Mask of bit ``number`` of a lane's code word, check bits after the data."""
    config = MACHINES[kind]
    width, check = config.buffer_lane_bits(buffer), config.check_bits(buffer)
    place = lane * width + number if number < width else config.side * width + lane * check + number - width
    return 1 << place


def code_bits(kind: str, buffer: str) -> int:
    """Bits of a code word."""
    return MACHINES[kind].buffer_lane_bits(buffer) + MACHINES[kind].check_bits(buffer)


def floods(kind: str, buffer: str, flips: int) -> Iterator[Job]:
    """At several moments, ``flips`` random bits of one random lane of every word of the buffer are inverted."""
    rng = random.Random(f"{kind} {buffer} {flips}")
    memory = site(kind, buffer)
    for cycle in CYCLES:
        masks = []
        for _ in range(memory.depth):
            lane, numbers = rng.randrange(TINY.side), rng.sample(range(code_bits(kind, buffer)), flips)
            masks.append(sum(bit(kind, buffer, lane, number) for number in numbers))
        yield job(*(Upset(memory.path, word, mask, cycle) for word, mask in enumerate(masks)))


def unchanged(result: RunResult, clean: RunResult) -> bool:
    """Same memory at the end."""
    return bool(np.array_equal(result.regions[EVERYTHING], clean.regions[EVERYTHING]))


def test_fault_free_runs_are_exact_and_silent(machine: tuple[str, Simulator], simulator: Simulator) -> None:
    """Memory of the functional simulator, cycles of the plain machine; no false alarm, slow memory or not."""
    _, protected = machine
    compiled, memory = program()
    expected = run(compiled, memory)
    jobs = [job(), job(model=SLOW), job(halt_on_detect=True)]
    plain = simulator.run(jobs[:2])
    for number, result in enumerate(protected.run(jobs)):
        assert (result.status, result.code, result.violation) == (Status.DONE, 0, "")
        assert (result.detected, result.corrected_words, result.detected_words) == (False, 0, 0)
        assert result.cycles == plain[number % 2].cycles
        np.testing.assert_array_equal(result.regions[EVERYTHING], expected)


@pytest.mark.parametrize("buffer", BUFFER_NAMES)
def test_one_wrong_bit(machine: tuple[str, Simulator], buffer: str) -> None:
    """SECDED: corrected and counted, nothing else changes. Parity: the flag is raised whenever the word was read."""
    kind, protected = machine
    clean, *results = protected.run([job(), *floods(kind, buffer, 1)])
    assert all(result.cycles == clean.cycles for result in results)
    if kind == "secded":
        assert any(result.corrected_words for result in results)
        assert all(unchanged(result, clean) and not result.detected for result in results)
        assert all(result.detected_words == 0 for result in results)
    else:
        assert any(result.detected for result in results)
        assert all(result.detected == (result.detected_words > 0) for result in results)
        assert all(result.detected or unchanged(result, clean) for result in results)
        assert all(result.corrected_words == 0 for result in results)


@pytest.mark.parametrize("buffer", BUFFER_NAMES)
def test_two_wrong_bits_of_a_lane(machine: tuple[str, Simulator], buffer: str) -> None:
    """SECDED detects them and never corrects wrongly; parity cannot see them."""
    kind, protected = machine
    clean, *results = protected.run([job(), *floods(kind, buffer, 2)])
    if kind == "secded":
        assert any(result.detected for result in results)
        assert all(result.detected or unchanged(result, clean) for result in results)
    else:
        assert not any(result.detected for result in results)
    assert all(result.corrected_words == 0 for result in results)


@pytest.mark.parametrize("buffer", BUFFER_NAMES)
def test_single_upsets_and_outcomes(machine: tuple[str, Simulator], buffer: str) -> None:
    """One flip of one word: counted at least once if it was read; never a silent change. Output register included."""
    kind, protected = machine
    compiled, _ = program()
    rng = random.Random(f"single {kind} {buffer}")
    jobs = []
    for name in ("data_mem", "rd_data_q"):
        target = site(kind, buffer, name)
        for _ in range(40):
            word, mask = rng.randrange(target.depth), 1 << rng.randrange(target.width)
            jobs.append(job(Upset(target.path, word, mask, rng.randrange(100, 2600)), model=SLOW))
    clean, *results = protected.run([job(model=SLOW), *jobs])
    reference = clean.tensor(compiled.logits)
    for result in results:
        outcome = classify(
            result.status is Status.DONE, result.code, result.tensor(compiled.logits), reference, result.detected
        )
        if kind == "secded":
            assert unchanged(result, clean)
            assert outcome is Outcome.MASKED
        else:
            assert result.detected or unchanged(result, clean)
            assert outcome is (Outcome.DETECTED if result.detected else Outcome.MASKED)


def test_halt_on_detect(machine: tuple[str, Simulator]) -> None:
    """With the bit set the first word that cannot be corrected ends the run; what is corrected does not."""
    kind, protected = machine
    flips = 1 if kind == "parity" else 2
    [going] = protected.run([next(floods(kind, "weight", flips))])
    upsets = going.job.upsets
    halted, corrected = protected.run(
        [job(*upsets, halt_on_detect=True), job(*next(floods(kind, "weight", 1)).upsets, halt_on_detect=True)]
    )
    assert (going.status, going.code, going.detected) == (Status.DONE, 0, True)
    assert (halted.status, halted.code, halted.detected) == (Status.ERROR, ErrorCode.UNCORRECTED_WORD, True)
    assert 1 <= halted.detected_words <= going.detected_words
    assert halted.cycles < going.cycles
    logits = np.zeros((1, 2))
    assert classify(False, halted.code, logits, logits) is Outcome.DETECTED
    assert corrected.status is (Status.DONE if kind == "secded" else Status.ERROR)


def test_halt_needs_protection(simulator: Simulator) -> None:
    with pytest.raises(SimulationError, match="set `protection`"):
        simulator.run([job(halt_on_detect=True)])
