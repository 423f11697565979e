"""A flip in a stored bound, shared or coded, equals the bounds that the machine then uses."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim import run
from fitact_hw.validation.tensor_faults import TensorFaults
from golden import reference
from tests.compiler.checking import fitted_to
from tests.compiler.reference import NetworkBuilder


@pytest.mark.parametrize(
    ("bounds", "form", "word_bits"),
    [
        ("neuron", "word", 8),
        ("neuron", "code4", 32),
        ("patch", "code4", 8),
        ("patch", "word", 16),
        ("channel", "code4", 8),
    ],
)
def test_flips_in_memory_equal_changed_bounds(bounds: str, form: str, word_bits: int) -> None:
    config = AcceleratorConfig.create(
        rows=3, cols=3, word_bits=word_bits, bounds=bounds, bound_format=form, bound_words=4, accumulator_words=12
    )
    builder = NetworkBuilder((2, 5, 5), word_bits, seed=3, acc_bits=config.acc_bits)
    name = builder.conv(5, 3, 1, 1, "saturate", "neuron")
    network, images = fitted_to(builder.network(), config), builder.images(1)
    program = compile_network(network, config, 1)
    memory = with_images(program, images)
    trace = reference.run(network, images)
    times = np.zeros((len(program.instructions), 2), np.int64)
    faults = TensorFaults(network, program, memory, times, trace)
    [block] = [item for item in program.parameters if item.kind == "bound"]
    rng, changed = np.random.default_rng(1), 0
    for _ in range(40):
        word, lane, bit = (int(rng.integers(n)) for n in (len(block.index), config.side, word_bits))
        address = block.address + word * block.word_bytes
        layer = faults._parameter(network.layer(name), "bound", address, lane, 1 << bit, bit)
        assert layer is not None
        flipped = memory.copy()
        flipped[address + (lane * word_bits + bit) // 8] ^= 1 << bit % 8
        expected = program.tensors[name].read(run(program, flipped))
        got = reference.run_layer(layer, images, config.acc_bits, word_bits)
        np.testing.assert_array_equal(got, expected)
        changed += bool((got != trace[name]).any())
    assert changed > 3
