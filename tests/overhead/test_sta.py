"""Static timing by hand-computed paths, and against ABC's own figure."""

from __future__ import annotations

import pytest

from fitact_hw.overhead.jobs import SynthesisError
from fitact_hw.overhead.nldm import Table
from fitact_hw.overhead.sta import analyse
from fitact_hw.overhead.technology import Technology

FLOP, INVERTER = "c130_dff_1", "c130_inv_1"


def chain(inverters: int) -> list:
    """Flip-flop, inverters, flip-flop; net 1 is the clock, 10 and up the path."""
    cells = [[FLOP, {"CLK": [1], "D": [2], "Q": [10]}]]
    cells += [[INVERTER, {"A": [10 + i], "Y": [11 + i]}] for i in range(inverters)]
    return [*cells, [FLOP, {"CLK": [1], "D": [10 + inverters], "Q": [3]}]]


PORTS = {"clk": ["input", [1]], "d": ["input", [2]], "q": ["output", [3]]}


def test_interpolation_is_bilinear_and_extends_beyond_the_table() -> None:
    table = Table((0.0, 1.0), (0.0, 2.0), ((0.0, 2.0), (10.0, 12.0)))
    assert table.at(0.5, 1.0) == pytest.approx(6.0)
    assert table.at(2.0, 4.0) == pytest.approx(24.0)
    assert Table((), (), ((0.7,),)).at(5.0, 5.0) == 0.7


def test_one_inverter_by_hand(tech: Technology) -> None:
    """The worst edge of clock to output, inverter and setup, with the planes of the coefficient table."""
    from fitact_hw.overhead.compact import SETUP_NS, read_cells

    cells = {cell.name: cell for cell in read_cells()}
    flop, inverter = cells[FLOP], cells[INVERTER]

    def plane(coefficients: tuple[float, float, float], slew: float, load: float) -> float:
        return coefficients[0] + coefficients[1] * slew + coefficients[2] * load

    inverter_pf, data_pf = inverter.pins["A"] / 1000, flop.pins["D"] / 1000
    ends = []
    for delay, slew, out in (
        (flop.rise, flop.rise_slew, inverter.fall),
        (flop.fall, flop.fall_slew, inverter.rise),
    ):
        arrival = plane(delay, 0.03, inverter_pf)
        ends.append(arrival + plane(out, plane(slew, 0.03, inverter_pf), data_pf) + SETUP_NS)
    assert analyse(chain(1), PORTS, tech).period_ns == pytest.approx(max(ends), rel=0.01)


def test_longer_chains_are_slower_and_the_path_is_named(tech: Technology) -> None:
    periods = [analyse(chain(n), PORTS, tech).period_ns for n in (1, 5, 20)]
    assert periods == sorted(periods)
    assert analyse(chain(5), PORTS, tech).path.count(INVERTER) == 5


def test_paths_from_chosen_inputs_only(tech: Technology) -> None:
    cells = [*chain(20), [INVERTER, {"A": [30], "Y": [40]}]]
    ports = {**PORTS, "late": ["input", [50]], "y": ["output", [40]]}
    everything = analyse(cells, ports, tech).period_ns
    assert analyse(cells, ports, tech, ("late",)).period_ns == 0.0
    assert 0.0 < analyse(cells, ports, tech, ("d",)).period_ns < everything


def test_paths_into_chosen_registers_only(tech: Technology) -> None:
    """The second register ends a short path; an inverter between it and its port does not hide it."""
    short = [[FLOP, {"CLK": [1], "D": [10], "Q": [60]}], [INVERTER, {"A": [60], "Y": [61]}]]
    ports = {**PORTS, "fast": ["output", [61]]}
    cells = [*chain(20), *short]
    everything = analyse(cells, ports, tech).period_ns
    assert analyse(cells, ports, tech, end=("q",)).period_ns == everything
    fast = analyse(cells, ports, tech, end=("fast",))
    assert 0.0 < fast.period_ns < everything / 2
    assert fast.path == ("clock", FLOP)


def test_a_wire_through_the_block_is_no_path(tech: Technology) -> None:
    """The clock of a block of black boxes would otherwise look like the slowest path of the machine."""
    boxes = [["box", {"clk": [1], "d": [2]}] for _ in range(300)]
    ports = {"clk": ["input", [1]], "d": ["input", [2]], "y": ["output", [2]]}
    assert analyse(boxes, ports, tech).period_ns == 0.0
    driven = [*boxes, [INVERTER, {"A": [2], "Y": [3]}], ["box", {"d": [3]}]]
    assert analyse(driven, ports, tech).period_ns > 0.0


def test_a_loop_is_an_error(tech: Technology) -> None:
    loop = [[INVERTER, {"A": [5], "Y": [6]}], [INVERTER, {"A": [6], "Y": [5]}]]
    with pytest.raises(SynthesisError, match="loop"):
        analyse(loop, {"y": ["output", [5]]}, tech)
