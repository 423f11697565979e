"""Small networks and upsets for the tiny machine; its fixtures are in `tests/machine_fixtures.py`."""

from __future__ import annotations

from collections.abc import Sequence

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Shape, Storage, sample
from fitact_hw.injection.case import Case
from fitact_hw.sites import list_sites
from tests.compiler.reference import NetworkBuilder
from tests.sim.machines import TINY


def make_case(bound: str, residual: bool = False, config: AcceleratorConfig = TINY) -> Case:
    """Convolutions, pool and classifier, with bounds per neuron, per layer or none, and perhaps a shortcut."""
    builder = NetworkBuilder((3, 6, 6), config.word_bits, 7, config.acc_bits)
    activation = "relu" if bound == "none" else "clip"
    builder.conv(6, 3, 1, 1, activation, bound)
    builder.pool("maxpool", 2, 2)
    pooled = builder.last
    builder.conv(6 if residual else 5, 3, 1, 1, activation, bound)
    if residual:
        builder.conv(6, 3, 1, 1, activation, bound, residual=pooled)
    builder.conv(4, 0, activation="linear")
    network = builder.network()
    return Case(network, compile_network(network, config, 1), builder.images(1))


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
