"""Random layers through the whole RTL machine: every element equals two references, one of them torch.

Sides that are no power of two, all word widths, buffers so small that layers are tiled in every direction.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from golden import reference
from golden.plain_reference import reference_network
from golden.qnetwork import QNetwork
from sim.job import EVERYTHING, Job, MemoryModel, Status
from sim.simulator import Simulator
from tests.compiler.checking import fitted_to
from tests.compiler.reference import NetworkBuilder
from tests.compiler.strategies import sides_for, windows

LAYERS_PER_RUN = 6
"""Layers that one simulator process runs; starting it costs more than a small layer."""

SMALL = {"weight_words": 64, "bias_words": 4, "bound_words": 24, "accumulator_words": 24, "output_words": 40}
MACHINES: dict[str, dict[str, Any]] = {
    "3x3-w8-bus32": {"rows": 3, "cols": 3, "word_bits": 8, "bus_bits": 32, "activation_words": 90, **SMALL},
    "7x7-w16-bus128-patch-code4": {
        **SMALL, "rows": 7, "cols": 7, "word_bits": 16, "activation_words": 120,
        "bounds": "patch", "bound_format": "code4", "bound_words": 3,
    },
    "4x4-w32-bus128-code4": {
        **SMALL, "rows": 4, "cols": 4, "word_bits": 32, "activation_words": 120,
        "bound_format": "code4", "bound_words": 5,
    },
    "2x2-w8-bus64-channel": {
        **SMALL, "rows": 2, "cols": 2, "word_bits": 8, "bus_bits": 64, "activation_words": 90,
        "bounds": "channel", "bound_words": 2,
    },
}  # fmt: skip


@cache
def simulator(name: str) -> Simulator:
    """One build for all examples of a machine."""
    return Simulator(AcceleratorConfig.create(**MACHINES[name]))


@st.composite
def cases(draw: st.DrawFn, config: AcceleratorConfig) -> tuple[QNetwork, np.ndarray, MemoryModel]:
    """A layer (sometimes with a pool or a residual behind it), images, and a memory that stalls at random."""
    kernel, stride, padding = draw(windows())
    shape = (draw(st.integers(1, 10)), *draw(sides_for(kernel, padding)))
    builder = NetworkBuilder(shape, config.word_bits, draw(st.integers(0, 2**16)), config.acc_bits)
    activation = draw(st.sampled_from(["linear", "relu", "clip", "saturate"]))
    bound = draw(st.sampled_from(["layer", "neuron"])) if activation in ("clip", "saturate") else "none"
    first = builder.conv(draw(st.integers(1, 10)), kernel, stride, padding, activation, bound)
    rows, cols = builder.shapes[first][1:]
    extra = draw(st.sampled_from(["none", "residual", "pool"]))
    if extra == "residual":
        channels = builder.shapes[first][0]
        builder.conv(channels, 3, 1, 1, "clip", "neuron", residual=first, lshift=draw(st.integers(0, 9)))
    elif extra == "pool" and min(rows, cols) >= 2:
        kernel = (draw(st.integers(1, 2)), 2)
        builder.pool(draw(st.sampled_from(["maxpool", "avgpool"])), kernel, draw(st.integers(1, 2)))
    stalls: dict[str, Any] = {
        f"stall_{name}": draw(st.sampled_from([0, 60, 200])) for name in ("ar", "r", "aw", "w", "b")
    }
    model = MemoryModel(read_latency=draw(st.integers(1, 30)), seed=draw(st.integers(1, 1000)), **stalls)
    return fitted_to(builder.network(), config), builder.images(draw(st.integers(1, 3))), model


@pytest.mark.parametrize("name", list(MACHINES))
def test_random_layers_are_exact(name: str) -> None:
    machine = simulator(name)

    @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn=st.lists(cases(machine.config), min_size=LAYERS_PER_RUN, max_size=LAYERS_PER_RUN))
    def exact(drawn: list[tuple[QNetwork, np.ndarray, MemoryModel]]) -> None:
        jobs = []
        for network, images, model in drawn:
            program = compile_network(network, machine.config, len(images))
            memory = with_images(program, images)
            jobs.append(Job(program=program, memory=memory, keep=(EVERYTHING,), model=model))
        for (network, images, model), result in zip(drawn, machine.run(jobs), strict=True):
            assert result.status is Status.DONE, (result.code, model, network.layers)
            assert result.violation == "", result.violation
            torch_trace = reference.run(network, images)
            plain_trace = reference_network(network, images)
            for layer in network.layers:
                got = result.tensor(layer.name)
                np.testing.assert_array_equal(got, torch_trace[layer.name], err_msg=layer.name)
                np.testing.assert_array_equal(got, plain_trace[layer.name], err_msg=layer.name)

    exact()
