"""The trained AlexNet of every scheme: compiled programs give what the golden integer reference gives."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim import run
from golden import reference
from golden.data.cifar10 import sample_images
from golden.networks.zoo import load_qnetwork
from golden.plain_reference import reference_network
from golden.qnetwork import INPUT
from golden.quantisation.quantise import quantise_images
from tests.compiler.reference import resnet


@pytest.mark.parametrize(
    ("scheme", "word_bits", "bounds"),
    [
        ("unprotected", 8, "none"),
        ("ranger", 8, "layer"),
        ("clipact", 16, "layer"),
        ("fitact", 8, "neuron"),
        ("fitact", 32, "neuron"),
    ],
)
def test_trained_alexnet_equals_the_golden_reference(scheme: str, word_bits: int, bounds: str) -> None:
    qnet = load_qnetwork("alexnet", scheme, word_bits)
    config = AcceleratorConfig.create(word_bits=word_bits, bounds=bounds)
    images = quantise_images(qnet, sample_images().part(0, 1).images)
    program = compile_network(qnet, config, 1)
    after = run(program, with_images(program, images))
    trace = reference.run(qnet, images)
    for layer in qnet.layers:
        np.testing.assert_array_equal(program.tensors[layer.name].read(after), trace[layer.name])


def test_the_two_references_agree() -> None:
    builder = resnet(plan=((16, 1, 1), (32, 1, 2)), size=8, word_bits=16)
    images = builder.images(2)
    expected = reference_network(builder.network(), images)
    trace = reference.run(builder.network(), images)
    assert set(trace) == {INPUT, *expected}
    for name, values in expected.items():
        np.testing.assert_array_equal(trace[name], values)
