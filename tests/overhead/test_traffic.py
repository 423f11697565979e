"""Memory, latency and energy per inference, from a small network whose figures can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead import energy
from fitact_hw.overhead.cost import build
from fitact_hw.overhead.schemes import SCHEMES
from fitact_hw.overhead.sram import SramModel
from fitact_hw.overhead.traffic import Traffic, measure
from golden.frontend.layers import FloatLayer, Shape
from golden.qnetwork import Activation

CONFIG = AcceleratorConfig.create(rows=4, cols=4)
TRAFFIC = ("unprotected", "ranger", "fitact", "code4", "patch", "patch_code4", "channel")
BY_KEY = {scheme.key: scheme for scheme in SCHEMES}


def layer(name: str, source: str, in_shape: Shape, out_shape: Shape, kernel: int, activation: Activation) -> FloatLayer:
    """A layer with weights, all zero."""
    weight = np.zeros((out_shape[0], in_shape[0], kernel, kernel))
    return FloatLayer(
        name, "conv", source, in_shape, out_shape, kernel, 1, 0, weight, np.zeros(out_shape[0]), name, activation
    )


def layers() -> list[FloatLayer]:
    """A 3x3 convolution with bounds, then a fully connected layer without."""
    return [
        layer("conv", "input", (4, 6, 6), (8, 4, 4), 3, "relu"),
        layer("fc", "conv", (8, 4, 4), (4, 1, 1), 4, "linear"),
    ]


@pytest.fixture(scope="module")
def traffic() -> dict[str, Traffic]:
    return {key: measure("two layers", layers(), BY_KEY[key], CONFIG) for key in TRAFFIC}


def test_bounds_are_stored_once_for_each_neuron(traffic: dict[str, Traffic]) -> None:
    assert traffic["unprotected"].bound_bytes == 0
    assert (traffic["ranger"].bound_bytes, traffic["ranger"].bound_values) == (0, 1)
    assert traffic["fitact"].bound_values == 8 * 4 * 4
    assert traffic["fitact"].bound_bytes == 8 * 4 * 4, "one byte each, no padding lanes"


def test_only_neuron_bounds_add_traffic(traffic: dict[str, Traffic]) -> None:
    plain, layer, neuron = (traffic[key] for key in ("unprotected", "ranger", "fitact"))
    assert layer.dma_bytes == plain.dma_bytes
    assert plain.dma_bytes["bound"] == 0
    assert neuron.dma_bytes["bound"] == 8 * 4 * 4 / 4, "loaded once for a batch of four"
    assert {k: v for k, v in neuron.dma_bytes.items() if k not in ("bound", "instructions")} == {
        k: v for k, v in plain.dma_bytes.items() if k not in ("bound", "instructions")
    }


def test_cheap_bounds_move_fewer_bytes(traffic: dict[str, Traffic]) -> None:
    """Two channel tiles of 4 x 4 neurons, four lanes of a byte a word."""
    words = {"fitact": 2 * 16, "code4": 2 * 8, "patch": 2 * 4, "patch_code4": 2 * 2, "channel": 2}
    assert {key: traffic[key].bound_bytes for key in words} == {key: 4 * count for key, count in words.items()}
    assert {key: traffic[key].dma_bytes["bound"] for key in words} == words
    assert traffic["patch"].bound_values == 8 * 4
    assert traffic["channel"].reads["bound"] == 2, "once for each GEMM, which here computes one image"
    assert traffic["code4"].reads["bound"] == 2 * 8


def test_accesses_are_counted(traffic: dict[str, Traffic]) -> None:
    plain, neuron = traffic["unprotected"], traffic["fitact"]
    outputs = 2 * 4 * 4 + 1
    assert plain.writes["output"] == outputs
    assert neuron.reads["bound"] == 2 * 4 * 4
    assert plain.reads["activation"] == 2 * 4 * 4 * 9 + 2 * 16
    assert plain.macs == 8 * 4 * 9 * 16 + 4 * 8 * 16
    assert plain.cycles > 0
    assert 0 < plain.utilisation <= 1


def test_energy_follows_traffic(traffic: dict[str, Traffic], cache: Path) -> None:
    model = SramModel()
    machines = {key: build(CONFIG, BY_KEY[key], model, cache) for key in traffic}
    found = {key: energy.estimate(CONFIG, machines[key], traffic[key], model) for key in traffic}
    bound = next(b for b in machines["fitact"].buffers if b.name == "bound")
    expected = 32 * bound.figures.read_pj + traffic["fitact"].writes["bound"] * bound.figures.write_pj
    assert found["fitact"].buffers["bound"] == pytest.approx(expected / 1e6)
    assert found["fitact"].macs == found["unprotected"].macs
    assert found["ranger"].lanes > found["unprotected"].lanes
    assert found["fitact"].dram == pytest.approx(traffic["fitact"].dma_total * 162.5 / 1e6)
    assert found["fitact"].total == pytest.approx(found["fitact"].chip + found["fitact"].dram)


def test_a_range_check_costs_an_operation_for_each_parameter_that_is_loaded(traffic: dict[str, Traffic]) -> None:
    model, moved = SramModel(), traffic["fitact"]
    plain, checked = BY_KEY["fitact"], BY_KEY["fitact+bitcheck"]
    assert energy.check_pj(CONFIG, plain, moved, model) == 0.0
    bits = (moved.writes["weight"] + moved.writes["bound"]) * 4 * 8 + moved.writes["bias"] * 4 * 32
    assert energy.check_pj(CONFIG, checked, moved, model) == pytest.approx(bits * 0.1 / 32 * energy._scale(model))
