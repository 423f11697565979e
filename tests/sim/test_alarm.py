"""The clamps' alarm in the whole machine: count, first place and flags are those of the functional simulator."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import ConfigError
from fitact_hw.fsim import executed, layer_of_compute
from fitact_hw.program import Program
from fitact_hw.sites import list_sites
from golden import reference
from golden.qnetwork import QNetwork
from sim.errors import SimulationError
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator
from tests.compiler.reference import NetworkBuilder
from tests.sim.machines import TINY

ALARMED = {
    margin: AcceleratorConfig.create(**(TINY.model_dump() | {"clamp_alarm": True, "alarm_margin": margin}))
    for margin in (0, 1)
}

Work = tuple[QNetwork, Program, np.ndarray, np.ndarray]


def work(config: AcceleratorConfig, bound: str, activation: str, seed: int) -> Work:
    """Network, program, images and memory: two images through convolutions, a pool with a bound, and a classifier."""
    builder = NetworkBuilder((3, 6, 6), seed=seed)
    builder.conv(6, 3, 1, 1, activation if seed % 2 else "relu", bound if seed % 2 else "none")
    builder.pool("maxpool", 2, 2)
    builder.conv(5, 3, 1, 1, activation, bound)
    builder.conv(4, 0, activation="linear")
    network, images = builder.network(), builder.images(2)
    program = compile_network(network, config, 2)
    return network, program, images, with_images(program, images)


WORK = [("neuron", "clip", 7), ("neuron", "saturate", 2), ("layer", "clip", 5), ("none", "relu", 1)]


@pytest.mark.parametrize("margin", ALARMED)
def test_rtl_counts_as_the_functional_simulator_and_the_golden_model(margin: int, simulator: Simulator) -> None:
    """Nothing else changes: memory and cycles are those of the machine without an alarm."""
    config = ALARMED[margin]
    cases = [work(config, *kind) for kind in WORK]
    results = Simulator(config).run([Job(program, memory, keep=(EVERYTHING,)) for _, program, _, memory in cases])
    plain = [work(TINY, *kind) for kind in WORK]
    others = simulator.run([Job(program, memory, keep=(EVERYTHING,)) for _, program, _, memory in plain])
    counts = []
    for (network, program, images, memory), result, other in zip(cases, results, others, strict=True):
        assert (result.status, result.cycles) == (Status.DONE, other.cycles)
        np.testing.assert_array_equal(result.regions[EVERYTHING], other.regions[EVERYTHING])
        clamps = executed(program, memory).clamps
        assert clamps is not None
        assert result.clamp_hits == clamps.hits
        assert result.clamp_first == (clamps.first_instruction, clamps.first_lane)
        assert (result.clamped, result.alarm) == (clamps.hits > 0, False)
        trace = reference.run(network, images)
        by_layer = {
            layer.name: int(reference.clamp_hits(layer, _wide(network, layer.name, trace), margin).sum())
            for layer in network.layers
        }
        assert result.clamp_hits == sum(by_layer.values())
        if clamps.hits:
            assert by_layer[layer_of_compute(program, clamps.first_instruction)]
        counts.append(clamps.hits)
    assert min(counts) == 0
    assert len({*counts}) > 2


def _wide(network: QNetwork, name: str, trace: reference.LayerTrace) -> np.ndarray:
    layer = network.layer(name)
    return reference.rounded(layer, reference.accumulate(layer, trace[layer.source]), network.acc_bits)


def test_the_alarm_is_set_from_the_threshold_on() -> None:
    """At the count, below it and above it; 0 is off. The program goes on."""
    _, program, _, memory = work(ALARMED[0], *WORK[0])
    clamps = executed(program, memory).clamps
    assert clamps is not None
    assert clamps.hits > 2
    thresholds = [0, 1, clamps.hits - 1, clamps.hits, clamps.hits + 1]
    simulator = Simulator(ALARMED[0])
    results = simulator.run([Job(program, memory, alarm_threshold=number) for number in thresholds])
    assert [result.alarm for result in results] == [False, True, True, True, False]
    assert {(result.status, result.cycles, result.clamp_hits) for result in results} == {
        (Status.DONE, results[0].cycles, clamps.hits)
    }


def test_layers_are_found_from_the_instruction() -> None:
    """Every compute instruction lies in the span of its layer."""
    _, program, _, _ = work(ALARMED[0], *WORK[0])
    names = [layer_of_compute(program, number) for number in range(len(program.instructions)) if number < 3]
    assert names[0] == program.spans[0].name
    with pytest.raises(IndexError):
        layer_of_compute(program, len(program.instructions))


def test_a_threshold_needs_an_alarm(simulator: Simulator) -> None:
    _, program, _, memory = work(TINY, *WORK[0])
    with pytest.raises(SimulationError, match="set `clamp_alarm`"):
        simulator.run([Job(program, memory, alarm_threshold=1)])


def test_an_alarm_without_bounds_or_with_a_wrong_margin_is_refused() -> None:
    with pytest.raises(ConfigError, match="clamp_alarm=true needs bounds"):
        AcceleratorConfig.create(bounds="none", clamp_alarm=True)
    with pytest.raises(ConfigError, match="alarm_margin=17: must be between 0 and 16 bits"):
        AcceleratorConfig.create(clamp_alarm=True, alarm_margin=17)
    with pytest.raises(ConfigError, match="alarm_margin=1 needs clamp_alarm=true"):
        AcceleratorConfig.create(alarm_margin=1)
    with pytest.raises(ConfigError, match="clamp_alarm='perhaps': must be true or false"):
        AcceleratorConfig.create(clamp_alarm="perhaps")


def test_only_the_alarm_adds_storage() -> None:
    """Its registers are fault sites; all others are those of the machine without one."""
    plain, alarmed = ({site.path: site for site in list_sites(config)} for config in (TINY, ALARMED[0]))
    assert plain.items() <= alarmed.items()
    more = alarmed.keys() - plain.keys()
    lanes = {f"u_lanes.g_lane[{lane}].u_lane.u_clamp.g_bound.g_alarm.hit_q" for lane in range(TINY.cols)}
    assert lanes <= more
    assert {path.split(".")[0] for path in more} == {"u_csr", "u_lanes", "u_alarm"}
    assert TINY.fingerprint == AcceleratorConfig.create(**TINY.model_dump()).fingerprint != ALARMED[0].fingerprint
