"""Range check of parameters in the machine: RTL, functional simulator and golden model agree on corrupted memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig, RangeCheck
from fitact_hw.fsim.machine import executed
from fitact_hw.isa import LIMIT, Buffer, Instruction, Opcode
from fitact_hw.program import Program
from fitact_hw.validation.memory import apply_map
from fitact_hw.verilog import design
from fitact_hw.verilog.range_check import LOADS
from golden import reference
from golden.bounds.schemes import CHECKS
from golden.bounds.stored import fitted
from golden.fault_maps import corrupt, draw
from golden.parameter_check import checked
from golden.qnetwork import QNetwork
from sim.job import EVERYTHING, Job, MemoryModel, Status
from sim.simulator import Simulator
from tests.compiler.reference import NetworkBuilder
from tests.sim.machines import IMAGES, TINY

MACHINES = {
    "check": AcceleratorConfig.create(**(TINY.model_dump() | {"parameter_check": "check"})),
    "bitcheck": AcceleratorConfig.create(
        **(TINY.model_dump() | {"word_bits": 16, "acc_bits": 48, "bus_bits": 32, "parameter_check": "bitcheck"})
    ),
}
"""One whose lanes of a bias are as wide as its bus would have to be, and one with a bus narrower than such a lane."""

SLOW = MemoryModel(read_latency=41, read_interval=3, seed=5, stall_ar=128, stall_r=200)
FAST = MemoryModel(read_latency=1, outstanding=16)


def narrowed(network: QNetwork) -> QNetwork:
    """Each layer's weights, biases and bounds in a range of their own, so that limits change from LOAD to LOAD."""
    layers = []
    for number, layer in zip(count(), network.layers):
        bound = layer.bound >> number % 3 + 1 if isinstance(layer.bound, np.ndarray) else layer.bound
        weight = None if layer.weight is None else layer.weight >> number % 4 + 1
        layers.append(replace(layer, weight=weight, bias=layer.bias >> 2 * number + 3, bound=bound))
    return replace(network, layers=tuple(layers))


def subject(config: AcceleratorConfig, bound: str = "neuron") -> tuple[QNetwork, np.ndarray, Program, np.ndarray]:
    """Network, images, program and memory: two convolutions, pool, shortcut and classifier."""
    builder = NetworkBuilder((3, 6, 6), config.word_bits, seed=7)
    activation = "relu" if bound == "none" else "clip"
    builder.conv(6, 3, 1, 1, activation, bound)
    builder.pool("maxpool", 2, 2)
    pooled = builder.last
    builder.conv(6, 3, 1, 1, activation, bound, residual=pooled)
    builder.conv(4, 0, activation="linear")
    network, images = narrowed(builder.network()), builder.images(IMAGES)
    program = compile_network(network, config, IMAGES)
    return network, images, program, with_images(program, images)


@pytest.fixture(scope="module", params=MACHINES)
def checking(request: pytest.FixtureRequest) -> Simulator:
    """The simulator of one machine."""
    return Simulator(MACHINES[request.param], workers=2)


def test_fault_free_runs_pass_in_the_same_time(simulator: Simulator) -> None:
    checking = Simulator(MACHINES["check"])
    _, _, program, memory = subject(checking.config)
    _, _, plain, _ = subject(TINY)
    [result] = checking.run([Job(program, memory, keep=(EVERYTHING,))])
    [other] = simulator.run([Job(plain, memory[: plain.memory.size], keep=(EVERYTHING,))])
    assert (result.status, result.range_hits, result.cycles) == (Status.DONE, 0, other.cycles)
    np.testing.assert_array_equal(result.regions[EVERYTHING], executed(program, memory).memory)


@pytest.mark.parametrize("bound", ["neuron", "layer"])
def test_corrupted_memory_in_rtl_functional_simulator_and_golden_model(checking: Simulator, bound: str) -> None:
    """The same memory at the end, the same count of hits, the golden logits; for slow and fast memories."""
    config = checking.config
    network, images, program, memory = subject(config, bound)
    maps = [draw(network, 0.02, 3, index) for index in range(6)]
    images_of = [apply_map(program, faults, memory) for faults in maps]
    models = (SLOW, FAST, MemoryModel())
    jobs = [Job(program, image, keep=(EVERYTHING,), model=models[number % 3]) for number, image in enumerate(images_of)]
    changed = 0
    for faults, image, result in zip(maps, images_of, checking.run(jobs), strict=True):
        machine = executed(program, image)
        assert (result.status, result.violation, result.range_hits) == (Status.DONE, "", machine.range_hits)
        if bound == "neuron":  # of a layer it stands in instructions, which the functional simulator does not read
            np.testing.assert_array_equal(result.regions[EVERYTHING], machine.memory)
        seen, zeroed = checked(network, faults, CHECKS[config.parameter_check.value])
        logits = reference.logits(corrupt(network, seen), images)
        np.testing.assert_array_equal(result.tensor(program.logits).reshape(IMAGES, -1), logits)
        assert 0 < zeroed <= result.range_hits
        changed += not np.array_equal(logits, reference.logits(corrupt(network, faults), images))
    assert changed > 3  # the check made a difference


def test_the_count_stops_at_its_largest_value(checking: Simulator) -> None:
    """A program that loads words of ones with a limit of 0 until there are more hits than the register can say."""
    config = checking.config
    _, _, program, memory = subject(config)
    words = config.weight_words
    fields = {"buffer": int(Buffer.WEIGHT), "cols": 1, "rows": 1, "planes": words, LIMIT: 0}
    loads = [Instruction(Opcode.LOAD, fields)] * (0x10000 // (words * config.side) + 1)
    code = b"".join(item.encode() for item in (*loads, Instruction(Opcode.FINISH, {})))
    image = np.concatenate([np.ones_like(memory), np.frombuffer(code, np.uint8)])
    long = replace(program, instructions=(*loads, Instruction(Opcode.FINISH, {})), program_address=memory.size)
    assert executed(long, image).range_hits == len(loads) * words * config.side > 0xFFFF
    [result] = checking.run([Job(long, image)])
    assert (result.status, result.range_hits) == (Status.DONE, 0xFFFF)


@pytest.mark.parametrize("check", [RangeCheck.WORD, RangeCheck.BITS])
def test_limits_in_the_program(check: RangeCheck) -> None:
    """Of each LOAD the largest of its layer and kind; of activations none; without a check there are none."""
    config = AcceleratorConfig.create(**(TINY.model_dump() | {"parameter_check": check}))
    network, _, program, _ = subject(config)
    expected: dict[int, set[int]] = {}
    for kind, name in ((Buffer.WEIGHT, "weight"), (Buffer.BIAS, "bias"), (Buffer.BOUND, "bound")):
        tensors = [getattr(layer, name) for layer in network.layers]
        tops = [int(np.abs(words).max()) for words in tensors if isinstance(words, np.ndarray)]
        tops += [1] if kind is Buffer.WEIGHT else []  # the identity of pool and shortcut
        expected[kind] = {top if check is RangeCheck.WORD else top.bit_length() for top in tops}
    found: dict[int, set[int]] = {}
    for item in program.instructions:
        if item.opcode is Opcode.LOAD:
            found.setdefault(item["buffer"], set()).add(item[LIMIT])
    assert found == {Buffer.ACTIVATION: {0}, **expected}
    assert all(len(limits) > 1 for buffer, limits in expected.items())
    plain = compile_network(network, TINY, IMAGES)
    assert not any(item[LIMIT] for item in plain.instructions)
    assert np.array_equal(plain.memory[: plain.program_address], program.memory[: plain.program_address])


def test_codes_of_bounds_are_not_checked() -> None:
    config = AcceleratorConfig.create(
        **(TINY.model_dump() | {"bounds": "patch", "bound_format": "code4", "parameter_check": "bitcheck"})
    )
    builder = NetworkBuilder((3, 6, 6), seed=7)
    builder.conv(6, 3, 1, 1, "clip", "neuron")
    program = compile_network(fitted(builder.network(), config.bounds, config.bound_format), config, IMAGES)
    loads = [i for i in program.instructions if i.opcode is Opcode.LOAD and i["buffer"] == Buffer.BOUND]
    assert {item[LIMIT] for item in loads} == {63}


def test_the_limits_of_all_loads_in_the_unit_have_room() -> None:
    """Those that wait between its two machines, the one that is written, and the last word in the output register."""
    machine = design(MACHINES["check"])
    [unit] = [item for item in machine.instances("fitact_top") if item.module == "fitact_load"]
    depth = machine.body(unit.module, unit.parameters).scope.constants["DESC_DEPTH"]
    assert depth + 2 == LOADS
