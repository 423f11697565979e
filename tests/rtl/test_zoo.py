"""The zoo through the whole RTL machine: every element of every layer equals an independent reference, with and without
bounds, on machines of three sides and three word widths; and random networks. A machine is built once for all."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.validation.networks.judge import Ready, Subject
from fitact_hw.validation.networks.study import SIDES, WORDS, machines, network
from golden.errors import QuantisationWarning
from golden.frontend.activations import Recorder, apply_bounds
from golden.frontend.lowering import import_network
from golden.frontend.network import GraphNetwork
from golden.plain_reference import reference_network
from golden.qnetwork import INPUT, QNetwork
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator
from tests.compiler.checking import fitted_to
from tests.golden.agreement import normal
from tests.golden.zoo import ZOO, build

RANDOM_SEED, RANDOM_NETWORKS = 1, 12
"""Of `fitact validate-networks`; each runs on three of the machines."""


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


def zoo_jobs(config: AcceleratorConfig) -> Iterator[tuple[str, Ready]]:
    """Every network of the zoo with one image, without and with bounds."""
    for name in ZOO:
        of_subject, x = networks(name, config.word_bits)
        for qnet in (fitted_to(qnet, config) for qnet in of_subject):
            images = quantise_images(qnet, x[:1])
            program = compile_network(qnet, config, 1)
            yield (
                f"{name}, {qnet.scheme}",
                Ready(program, with_images(program, images), reference_network(qnet, images)),
            )


def random_jobs(config: AcceleratorConfig) -> Iterator[tuple[str, Ready]]:
    """Those of the random networks that run on this machine."""
    for number in range(RANDOM_NETWORKS):
        if config in machines(number):
            judgement, ready = Subject(network(RANDOM_SEED, number), number % 2 == 1).judge(config)
            assert not judgement.verdict.defect, (number, judgement)
            if ready is not None:
                yield f"random network {number}", ready


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("side", SIDES)
def test_the_zoo_is_exact(side: int, word: int) -> None:
    config = AcceleratorConfig.create(rows=side, cols=side, word_bits=word)
    cases = [*zoo_jobs(config), *random_jobs(config)]
    assert len(cases) >= 2 * len(ZOO) + 2
    jobs = [Job(program=ready.program, memory=ready.memory, keep=(EVERYTHING,)) for _, ready in cases]
    for (name, ready), result in zip(cases, Simulator(config).run(jobs), strict=True):
        assert result.status is Status.DONE, (name, result.code)
        assert result.violation == "", (name, result.violation)
        for layer, values in ready.expected.items():
            if layer != INPUT:
                np.testing.assert_array_equal(result.tensor(layer), values, err_msg=f"{name} {layer}")
