"""The zoo through the whole RTL machine: every element of every layer equals an independent reference, with and without
bounds, on machines of three sides and three word widths."""

from __future__ import annotations

import copy
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from golden.errors import QuantisationWarning
from golden.frontend.activations import Recorder, apply_bounds
from golden.frontend.lowering import import_network
from golden.frontend.network import GraphNetwork
from golden.plain_reference import reference_network
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator
from tests.compiler.checking import fitted_to
from tests.golden.agreement import normal
from tests.golden.zoo import ZOO, build

MACHINES = {
    "3x3-w8": {"rows": 3, "cols": 3, "word_bits": 8},
    "8x8-w16": {"rows": 8, "cols": 8, "word_bits": 16},
    "5x5-w32": {"rows": 5, "cols": 5, "word_bits": 32},
}


@cache
def imported(name: str) -> tuple[GraphNetwork, np.ndarray, dict[str, Tensor]]:
    """A network, two images, and bounds below the largest activations."""
    net, shape = build(name)
    network, x = import_network(net, shape), normal(shape, 2)
    maxima: dict[str, Tensor] = {}

    def visit(call: str, values: Tensor) -> None:
        maxima[call] = 0.9 * values.relu().amax(dim=0)

    with Recorder(network, visit), torch.no_grad():
        network(torch.from_numpy(x).float())
    return network, x, maxima


def networks(name: str, word_bits: int) -> tuple[list[QNetwork], np.ndarray]:
    """Without and with bounds, and the images."""
    network, x, maxima = imported(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", QuantisationWarning)
        points = calibrate(network, x, word_bits)
    bounded = apply_bounds(copy.deepcopy(network), maxima, "clip")
    return [quantise(network, points), quantise(bounded, points, scheme="fitact")], x


@pytest.mark.parametrize("name", list(MACHINES))
def test_the_zoo_is_exact(name: str) -> None:
    config = AcceleratorConfig.create(**MACHINES[name])
    jobs, expected = [], []
    for subject in ZOO:
        of_subject, x = networks(subject, config.word_bits)
        for qnet in (fitted_to(qnet, config) for qnet in of_subject):
            images = quantise_images(qnet, x[:1])
            program = compile_network(qnet, config, 1)
            jobs.append(Job(program=program, memory=with_images(program, images), keep=(EVERYTHING,)))
            expected.append((subject, reference_network(qnet, images)))
    for (subject, tensors), result in zip(expected, Simulator(config).run(jobs), strict=True):
        assert result.status is Status.DONE, (subject, result.code)
        assert result.violation == "", (subject, result.violation)
        for layer, values in tensors.items():
            if layer != "input":
                np.testing.assert_array_equal(result.tensor(layer), values, err_msg=f"{subject} {layer}")
