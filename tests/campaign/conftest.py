"""The tiny machine as cocotb simulator and as native engine, and small networks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from fitact_hw.campaign.engine import Engine
from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Shape, Storage, sample
from fitact_hw.program import Program
from fitact_hw.sites import list_sites
from golden import reference
from golden.qnetwork import QNetwork
from sim.bench import Simulator
from tests.compiler.reference import NetworkBuilder
from tests.sim.machines import TINY


@dataclass(frozen=True, eq=False)
class Case:
    """A network on one image (int64 (1, C, H, W)): everything that the engine takes."""

    network: QNetwork
    program: Program
    memory: np.ndarray
    trace: reference.LayerTrace
    image: np.ndarray

    @property
    def arguments(self) -> tuple[QNetwork, Program, np.ndarray, reference.LayerTrace]:
        """In the order of :meth:`Engine.run`."""
        return self.network, self.program, self.memory, self.trace


def make_case(bound: str, residual: bool = False, config: AcceleratorConfig = TINY) -> Case:
    """Convolutions, pool and classifier, with bounds per neuron, per layer or none, and perhaps a shortcut."""
    builder = NetworkBuilder((3, 6, 6), seed=7)
    activation = "relu" if bound == "none" else "clip"
    builder.conv(6, 3, 1, 1, activation, bound)
    builder.pool("maxpool", 2, 2)
    pooled = builder.last
    builder.conv(6 if residual else 5, 3, 1, 1, activation, bound)
    if residual:
        builder.conv(6, 3, 1, 1, activation, bound, residual=pooled)
    builder.conv(4, 0, activation="linear")
    network = builder.network()
    image = builder.images(1)
    program = compile_network(network, config, 1)
    return Case(network, program, with_images(program, image), reference.run(network, image), image)


def structures(config: AcceleratorConfig = TINY) -> dict[str, Sequence[Storage]]:
    """Every storage of a machine by structure."""
    groups: dict[str, list[Storage]] = {}
    for site in list_sites(config):
        groups.setdefault(site.structure, []).append(site)
    return dict(groups)


def draw(
    count: int, cycles: int, seed: int, shape: Shape = Shape.SINGLE, config: AcceleratorConfig = TINY
) -> list[FaultEvent]:
    """Events spread over all structures."""
    return sample(structures(config), count, cycles, seed, shape=shape)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """One engine for the whole session (a process holds one machine of a configuration)."""
    return Engine(TINY)


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """The cocotb simulator of the same machine."""
    return Simulator(TINY, workers=2)
