"""Compile, check the tokens, execute in two interleavings, compare every layer with the reference."""

from __future__ import annotations

import numpy as np

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim import check_hazards, run
from fitact_hw.program import Program
from golden.bounds.stored import fitted
from golden.plain_reference import reference_network
from golden.qnetwork import QNetwork

STORE_FIRST = (2, 1, 0)
"""The interleaving in which stores and GEMMs go on before loads do."""


def fitted_to(qnet: QNetwork, config: AcceleratorConfig) -> QNetwork:
    """``qnet`` with bounds that the machine can hold: shared and coded as its bound buffer wants them."""
    return fitted(qnet, config.bounds, config.bound_format)


def check_program(qnet: QNetwork, config: AcceleratorConfig, images: np.ndarray) -> Program:
    """Assert that every layer of the compiled ``qnet`` is exact; returns the program."""
    program = compile_network(qnet, config, len(images))
    check_hazards(program)
    memory = with_images(program, images)
    after = run(program, memory)
    expected = reference_network(qnet, images)
    for layer in qnet.layers:
        got = program.tensors[layer.name].read(after)
        np.testing.assert_array_equal(got, expected[layer.name], err_msg=f"{layer.name} {program.meta}")
    np.testing.assert_array_equal(run(program, memory, STORE_FIRST), after)
    return program
