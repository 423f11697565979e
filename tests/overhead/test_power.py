"""Switching activity: netlist simulation, energy of toggles, operands of a real network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fitact_hw.overhead.jobs import SynthesisError
from fitact_hw.overhead.liberty import Library
from fitact_hw.overhead.power import measure as power
from fitact_hw.overhead.power.cell_power import CellPower
from fitact_hw.overhead.power.streams import Operands, Streams
from fitact_hw.overhead.power.toggles import Netlist, pack, unpack
from fitact_hw.overhead.technology import Technology
from golden.qnetwork import INPUT, QLayer, QNetwork
from golden.reference import run

PORTS = {"clk": ["input", [2]], "a": ["input", [3]], "q": ["output", [5]]}


def chain(tech: Technology) -> Netlist:
    """A flip-flop behind an inverter: q(t + 1) = not a(t)."""
    cells = [["c130_inv_1", {"A": [3], "Y": [4]}], ["c130_dff_1", {"CLK": [2], "D": [4], "Q": [5]}]]
    return Netlist(cells, PORTS, tech.library)


def test_packing_is_reversible() -> None:
    values = np.random.default_rng(1).integers(-(1 << 40), 1 << 40, (5, 128))
    assert np.array_equal(unpack(pack(values, 48)), values)
    assert np.array_equal(unpack(pack(values & 7, 3), signed=False), values & 7)


def test_toggles_are_counted_after_the_start(tech: Technology) -> None:
    netlist = chain(tech)
    a = np.zeros((6, 64), np.int64)
    a[1::2] = 1  # toggles every cycle
    a[:, 32:] = 0  # half of the streams are quiet
    activity = netlist.run({"a": a}, skip=2)
    assert np.array_equal(activity.outputs["q"][1:], np.where(a[:-1], 0, -1))
    assert (activity.toggles[3], activity.toggles[4], activity.toggles[5]) == (0.5, 0.5, 0.5)
    assert activity.toggles[2] == 2.0  # the clock


def test_energy_is_the_sum_over_toggles(tech: Technology) -> None:
    """By hand: half of C V^2 for each pin, and the internal energies of the library."""
    found = CellPower(tech).block(chain(tech), {2: 2.0, 3: 1.0, 4: 0.5, 5: 0.25})
    library = tech.library
    pf = {
        (kind, pin.args[0]): pin.number("capacitance")
        for kind in ("c130_inv_1", "c130_dff_1")
        for pin in library.inputs(kind)
    }

    def internal(kind: str, name: str) -> float:
        pin = next(pin for pin in library.cell(kind).all("pin") if pin.args[0] == name)
        return float(pin.all("internal_power")[0].all("rise_power")[0].attributes["values"][0])

    assert found.nets == pytest.approx((1.0 * pf["c130_inv_1", "A"] + 0.5 * pf["c130_dff_1", "D"]) * 1.2**2 / 2)
    cells = 0.5 * internal("c130_inv_1", "Y") + 0.25 * internal("c130_dff_1", "Q") + 0.5 * internal("c130_dff_1", "D")
    assert found.cells == pytest.approx(cells)
    assert found.clock == pytest.approx(2 * (pf["c130_dff_1", "CLK"] * 1.2**2 / 2 + internal("c130_dff_1", "CLK")))
    assert found.leakage_nw == pytest.approx(
        sum(library.cell(kind).number("cell_leakage_power") for kind in ("c130_inv_1", "c130_dff_1")) / 1000
    )
    assert found.pj == pytest.approx(found.nets + found.cells + found.clock)


def test_inverted_state_and_inverted_output() -> None:
    """Libraries whose flip-flops store or show the inverse behave the same."""
    text = """library (l) { time_unit : "1ns"; capacitive_load_unit (1, pf);
      cell (FF) { area : 1; ff (IQN, IQNN) { clocked_on : "CLK"; next_state : "!D"; }
        pin (CLK) { direction : input; } pin (D) { direction : input; }
        pin (QN) { direction : output; function : "IQN"; } } }"""
    netlist = Netlist([["FF", {"CLK": [2], "D": [3], "QN": [5]}]], PORTS, Library(text))
    a = np.random.default_rng(1).integers(0, 2, (4, 64))
    q = netlist.run({"a": a}).outputs["q"]
    assert np.array_equal(q[1:] != 0, a[:-1] == 0)


def test_a_loop_is_refused(tech: Technology) -> None:
    cells = [["c130_inv_1", {"A": [3], "Y": [4]}], ["c130_inv_1", {"A": [4], "Y": [3]}]]
    with pytest.raises(SynthesisError, match="loop through 2 cells"):
        Netlist(cells, {"q": ["output", [4]]}, tech.library)


@pytest.fixture(scope="module")
def small() -> QNetwork:
    """One convolution with neuron bounds, 4 channels of 6x6 pixels."""
    rng = np.random.default_rng(3)
    layer = QLayer(
        name="conv",
        kind="conv",
        source=INPUT,
        in_shape=(4, 6, 6),
        out_shape=(5, 6, 6),
        kernel=3,
        stride=1,
        padding=1,
        weight=rng.integers(-90, 90, (5, 4, 3, 3)),
        bias=rng.integers(-3000, 3000, 5),
        shift=np.full(5, 9),
        activation="clip",
        bound=rng.integers(20, 100, (5, 6, 6)),
        frac_out=4,
    )
    return QNetwork("small", "fitact", 8, 32, (4, 6, 6), 4, (layer,))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(4).integers(-128, 128, (3, 4, 6, 6))


def test_streams_of_the_last_pass_end_in_the_layers_output(small: QNetwork, images: np.ndarray) -> None:
    """Every expected output word of the clamp occurs in the golden output, as a run of consecutive pixels."""
    _, clamp = Operands(small, images, rows=2, cycles=64).lanes(64, seed=1, last=True)
    output = run(small, images)["conv"].transpose(1, 0, 2, 3).reshape(5, -1)
    windows = {channel[i : i + 64].tobytes() for channel in output for i in range(len(channel) - 63)}
    assert all(np.ascontiguousarray(stream).tobytes() in windows for stream in clamp.expected.T)
    assert len({stream.tobytes() for stream in clamp.expected.T}) > 20


def test_gates_that_compute_something_else_are_refused(
    small: QNetwork, images: np.ndarray, tech: Technology, cache: Path
) -> None:
    """The check against the golden words can fail: one wrong expectation stops the measurement."""
    from fitact_hw.config import AcceleratorConfig

    config = AcceleratorConfig.create(rows=2, cols=2)
    block = power._element(config, cache)
    streams = Operands(small, images, rows=2, cycles=64).elements(64, seed=1)
    runner = power._Runner(tech, cache)
    energy = runner(block, streams, {})
    assert 0.5 < energy.pj < 10
    wrong = streams.expected.copy()
    wrong[5, 7] += 1
    with pytest.raises(SynthesisError, match="1 of 4032 simulated words differ"):
        runner._measure(block, Streams(streams.stimulus, "psum_q", wrong, 3, 2), {})
