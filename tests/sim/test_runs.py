"""Fault-free runs: equal to the functional simulator, whatever the memory does; every error ends with its code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitact_hw.fsim import run
from fitact_hw.isa import Buffer, Instruction, Opcode
from fitact_hw.registers import ErrorCode as Code
from sim.job import EVERYTHING, STALL_CHANNELS, Job, MemoryModel, Status
from sim.simulator import Simulator
from sim.trace import instruction_times, layer_times
from tests.sim.machines import TINY, assembled, program

LIMIT_CYCLES = 200_000

HOSTILE = MemoryModel(
    read_latency=7, write_latency=90, read_interval=3, write_interval=2, outstanding=3, reorder=True, seed=5,
    stall_ar=128, stall_r=200, stall_aw=128, stall_w=200, stall_b=128,
)  # fmt: skip


@pytest.mark.parametrize("bound", ["none", "layer", "neuron"])
def test_memory_equals_functional_simulator(simulator: Simulator, bound: str) -> None:
    compiled, memory = program(bound)
    [result] = simulator.run([Job(compiled, memory, keep=(EVERYTHING,), limit_cycles=LIMIT_CYCLES)])
    assert (result.status, result.code, result.violation) == (Status.DONE, 0, "")
    assert result.instructions == len(compiled.instructions)
    np.testing.assert_array_equal(result.regions[EVERYTHING], run(compiled, memory))
    expected = compiled.tensors[compiled.logits].read(run(compiled, memory))
    np.testing.assert_array_equal(result.tensor(compiled.logits), expected)


def test_stalls_change_cycles_but_no_result(simulator: Simulator) -> None:
    compiled, memory = program()
    models = [MemoryModel(), HOSTILE, replace(HOSTILE, seed=6)]
    for channel in STALL_CHANNELS:
        models.append(replace(MemoryModel(), seed=9, **{f"stall_{channel}": 230}))  # type: ignore[arg-type]
    jobs = [Job(compiled, memory, keep=(EVERYTHING,), model=model, limit_cycles=LIMIT_CYCLES) for model in models]
    results = simulator.run(jobs)
    expected = run(compiled, memory)
    for result in results:
        assert (result.status, result.violation) == (Status.DONE, ""), result.job.model
        np.testing.assert_array_equal(result.regions[EVERYTHING], expected)
    cycles = [result.cycles for result in results]
    assert cycles[1] != cycles[2], "the seed has no effect"
    assert min(cycles[1:]) > cycles[0], "a stalled channel costs no time"
    beats = {(result.read_beats, result.write_beats) for result in results}
    assert len(beats) == 1


def test_runs_do_not_depend_on_workers_or_order(simulator: Simulator) -> None:
    compiled, memory = program()
    other, other_memory = program("none")
    jobs = [
        Job(compiled, memory, limit_cycles=LIMIT_CYCLES),
        Job(other, other_memory, limit_cycles=LIMIT_CYCLES),
        Job(compiled, memory, model=HOSTILE, limit_cycles=LIMIT_CYCLES),
    ]
    counts: list[int] = []
    first = simulator.run(jobs, progress=lambda done, _: counts.append(done))
    second = Simulator(TINY, workers=2).run(jobs[::-1], share_prefix=False)[::-1]
    assert counts[-1] == len(jobs)
    for one, two in zip(first, second, strict=True):
        assert (one.status, one.cycles, one.read_beats) == (two.status, two.cycles, two.read_beats)
        np.testing.assert_array_equal(one.regions[one.job.program.logits], two.regions[two.job.program.logits])


def test_trace_gives_each_instruction_its_time(simulator: Simulator) -> None:
    compiled, memory = program()
    [result] = simulator.run([Job(compiled, memory, trace=True, limit_cycles=LIMIT_CYCLES)])
    assert result.events is not None
    times = instruction_times(compiled, result.events)
    opcodes = np.array([instruction.opcode for instruction in compiled.instructions])
    working = np.isin(opcodes, [Opcode.LOAD, Opcode.GEMM, Opcode.STORE])
    assert (times[working] >= 0).all()
    assert (times[working, 0] < times[working, 1]).all()
    assert (times[opcodes == Opcode.FINISH] == -1).all()
    layers = layer_times(compiled, result.events)
    assert [layer.name for layer in layers] == [span.name for span in compiled.spans]
    assert 0 <= result.cycles - sum(layer.busy_cycles for layer in layers) < 20
    assert all(0 < layer.utilisation < 1 for layer in layers if layer.macs)


FINISH = Instruction(Opcode.FINISH, {})


def load(address: int, words: int = 16, **fields: int) -> Instruction:
    """A LOAD of consecutive activation words."""
    values = {"buffer": int(Buffer.ACTIVATION), "mem_addr": address, "cols": words, "rows": 1, "planes": 1}
    return Instruction(Opcode.LOAD, values | fields)


@pytest.mark.parametrize(
    ("instructions", "model", "window", "watchdog", "code"),
    [
        pytest.param((load(4096), FINISH), MemoryModel(), None, 0, Code.NONE, id="good"),
        pytest.param((load(4096, rows=0), FINISH), MemoryModel(), None, 0, Code.ILLEGAL_INSTRUCTION, id="zero-count"),
        pytest.param((load(1 << 30), FINISH), MemoryModel(), None, 0, Code.ADDRESS, id="outside-memory"),
        pytest.param((load(4096), FINISH), MemoryModel(), (0, 4111), 0, Code.ADDRESS, id="outside-window"),
        pytest.param((load(4097), FINISH), MemoryModel(), None, 0, Code.ADDRESS, id="misaligned"),
        pytest.param((load(4096), FINISH), MemoryModel(errors=(4100, 4100)), None, 0, Code.BUS, id="bus-error"),
        pytest.param((load(4096, pop_next=1), FINISH), MemoryModel(), None, 500, Code.WATCHDOG, id="watchdog"),
        pytest.param(
            (load(4096, buffer_base=250), FINISH), MemoryModel(), None, 0, Code.BUFFER_RANGE, id="buffer-range"
        ),
    ],
)
def test_errors_end_with_their_code(
    simulator: Simulator,
    instructions: tuple[Instruction, ...],
    model: MemoryModel,
    window: tuple[int, int] | None,
    watchdog: int,
    code: Code,
) -> None:
    job = Job(assembled(instructions), keep=(), model=model, window=window, watchdog=watchdog, limit_cycles=5000)
    [result] = simulator.run([job])
    assert result.code == code
    assert result.status is (Status.ERROR if code else Status.DONE)
    assert result.violation == ""


def test_unknown_opcode_is_illegal(simulator: Simulator) -> None:
    compiled = assembled((FINISH,))
    memory = compiled.memory.copy()
    memory[0] = 0xF
    [result] = simulator.run([Job(compiled, memory, keep=(), limit_cycles=5000)])
    assert (result.status, result.code) == (Status.ERROR, Code.ILLEGAL_INSTRUCTION)


def test_bench_gives_up_at_its_limit(simulator: Simulator) -> None:
    waits_for_ever = assembled((load(4096, pop_next=1), FINISH))
    [result] = simulator.run([Job(waits_for_ever, keep=(), limit_cycles=700)])
    assert (result.status, result.cycles) == (Status.TIMEOUT, 700)
