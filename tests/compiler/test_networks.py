"""Whole networks: exact, free of races, and as fast as promised."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim import check_hazards, estimate_cycles
from tests.compiler.checking import check_program
from tests.compiler.reference import NetworkBuilder, alexnet, resnet, vgg16

DEFAULT = AcceleratorConfig.create()

FEW_BLOCKS = ((16, 2, 1), (32, 1, 2))
"""A ResNet with every kind of block that ResNet50 has."""


@pytest.mark.parametrize("bound", ["none", "layer", "neuron"])
def test_alexnet_is_exact(bound: str) -> None:
    builder = alexnet(bound)
    check_program(builder.network(), DEFAULT, builder.images(1))


@pytest.mark.parametrize(("word_bits", "side"), [(8, 16), (16, 7), (32, 8)])
def test_residual_network_is_exact(word_bits: int, side: int) -> None:
    config = AcceleratorConfig.create(rows=side, cols=side, word_bits=word_bits)
    builder = resnet(plan=FEW_BLOCKS, word_bits=word_bits)
    check_program(builder.network(), config, builder.images(2))


def test_alexnet_keeps_the_array_busy_at_batch_4() -> None:
    program = compile_network(alexnet().network(), DEFAULT, 4)
    estimate = estimate_cycles(program)
    assert estimate.utilisation >= 0.85
    assert estimate.cycles == max(estimate.layer_ends.values()) == sum(estimate.layer_cycles().values())
    assert [span.name for span in program.spans] == list(estimate.layer_ends)


@pytest.mark.parametrize(
    ("builder", "images", "least", "seconds"),
    [(alexnet(), 20, 0.93, 2.0), (vgg16(), 4, 0.93, 5.0), (resnet(), 1, 0.90, 10.0)],
    ids=["alexnet", "vgg16", "resnet50"],
)
def test_large_networks_compile_fast_and_use_the_array(
    builder: NetworkBuilder, images: int, least: float, seconds: float
) -> None:
    qnet = builder.network()
    start = time.process_time()
    program = compile_network(qnet, DEFAULT, images)
    assert time.process_time() - start < seconds
    assert estimate_cycles(program).utilisation >= least
    assert sum(span.macs for span in program.spans) == images * qnet.macs


@pytest.mark.parametrize("queue_depth", [2, 16])
def test_resnet_with_small_buffers_has_no_race(queue_depth: int) -> None:
    config = AcceleratorConfig.create(
        rows=8, cols=8, activation_words=300, weight_words=128, output_words=60, accumulator_words=64,
        bound_words=32, bias_words=4, queue_depth=queue_depth,
    )  # fmt: skip
    check_hazards(compile_network(resnet(plan=FEW_BLOCKS, size=8).network(), config, 3))


def test_spans_cover_the_program_and_tensors_never_overlap() -> None:
    program = compile_network(resnet(plan=FEW_BLOCKS).network(), DEFAULT, 2)
    assert program.spans[0].first == 0
    assert [span.first for span in program.spans[1:]] == [span.last for span in program.spans[:-1]]
    assert program.spans[-1].last == len(program.instructions) - 1
    taken = [(t.address, t.address + t.size_bytes) for t in program.tensors.values()]
    taken += [(b.address, b.address + len(b.index) * b.word_bytes) for b in program.parameters]
    taken.append((program.program_address, program.program_address + program.instruction_bytes))
    ordered = sorted(taken)
    assert all(a[1] <= b[0] for a, b in pairwise(ordered))
    assert ordered[-1][1] <= program.memory_bytes
    code = program.memory[program.program_address :][: program.instruction_bytes].tobytes()
    assert code == b"".join(item.encode() for item in program.instructions)


def test_compiling_twice_gives_the_same_program() -> None:
    first, second = (compile_network(alexnet().network(), DEFAULT, 2) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert np.array_equal(first.memory, second.memory)
