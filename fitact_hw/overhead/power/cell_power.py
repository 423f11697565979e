"""Energy of a mapped block from how often its nets toggle: Liberty pin capacitances and internal-power tables.

A toggle of a net costs ``C V^2 / 2`` for the input pins on it (half of what a rise takes from the supply) and the
internal energy of the output that drives it, the mean of its rise and fall tables; pins whose own toggles cost energy
(clock pins above all) add that. No wires, no glitches, no clock tree. Table values are in volt^2 times the library's
unit of capacitance, as the Liberty reference says for libraries without an energy unit of their own.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from fitact_hw.overhead.liberty import Group
from fitact_hw.overhead.nldm import EDGES, TableReader
from fitact_hw.overhead.power.toggles import Net, Netlist
from fitact_hw.overhead.technology import Technology, TechnologyError

_SLEW_NS = 0.05
"""Slew at which tables are read (ns at 130 nm; scaled by the node); they hardly depend on it."""


@dataclass(frozen=True)
class BlockEnergy:
    """Picojoules per cycle of one block: in pins of its nets, inside its cells, at clock pins; leakage in nW."""

    nets: float
    cells: float
    clock: float
    leakage_nw: float

    @property
    def pj(self) -> float:
        """Dynamic energy of a cycle."""
        return self.nets + self.cells + self.clock


class CellPower:
    """Energies of one technology's cells."""

    def __init__(self, technology: Technology) -> None:
        self._technology = technology
        self._tables = TableReader(technology.library)
        self._slew = _SLEW_NS * technology.node_nm / 130 / technology.time_scale
        self._volts = technology.library.header.number("nom_voltage")

    def internal(self, kind: str, pin: str, load: float) -> float:
        """Internal energy (pJ) of one toggle of a cell's pin with ``load`` on it (library units)."""
        group = next(group for group in self._technology.library.cell(kind).all("pin") if group.args[0] == pin)
        return self._internal(group, load) * self._technology.cap_scale

    def block(self, netlist: Netlist, toggles: Mapping[Net, float]) -> BlockEnergy:
        """Energy of one cycle, given the toggles of each net per cycle. Ports carry no load outside of the block."""
        library, pf = self._technology.library, self._technology.cap_scale
        load: dict[Net, float] = defaultdict(float)
        for kind, pins in netlist.cells:
            for pin in library.inputs(kind):
                if pin.args[0] in pins:
                    load[pins[pin.args[0]]] += pin.number("capacitance")
        nets = cells = clock = leakage = 0.0
        for net, capacitance in load.items():
            energy = toggles.get(net, 0.0) * capacitance * pf * self._volts**2 / 2
            if net in netlist.clocks:
                clock += energy
            else:
                nets += energy
        for kind, pins in netlist.cells:
            leakage += self._leakage_nw(kind)
            for pin in library.cell(kind).all("pin"):
                if pin.args[0] not in pins:
                    continue
                net = pins[pin.args[0]]
                energy = toggles.get(net, 0.0) * self._internal(pin, load[net]) * pf
                if net in netlist.clocks:
                    clock += energy
                else:
                    cells += energy
        return BlockEnergy(nets, cells, clock, leakage)

    def _internal(self, pin: Group, load: float) -> float:
        """Internal energy of one toggle of a pin (library units): the mean over edges, related pins and conditions;
        the sum over supply pins, where a library splits it. 0 without tables."""
        values: dict[str, list[float]] = defaultdict(list)
        for group in pin.all("internal_power"):
            for edge in EDGES:
                for table in group.all(f"{edge}_power"):
                    values[group.text("related_pg_pin")].append(self._tables.read(table, True).at(self._slew, load))
        return sum(statistics.mean(each) for each in values.values())

    def _leakage_nw(self, kind: str) -> float:
        unit = self._technology.library.header.text("leakage_power_unit", "1nW").strip().lower()
        match = re.fullmatch(r"([\d.]*)\s*(w|mw|uw|nw|pw|fw)", unit)
        if match is None:
            raise TechnologyError(f"library {self._technology.name}: leakage_power_unit {unit!r} is not understood")
        scale = {"w": 1e9, "mw": 1e6, "uw": 1e3, "nw": 1.0, "pw": 1e-3, "fw": 1e-6}[match[2]] * float(match[1] or 1)
        return self._technology.library.cell(kind).number("cell_leakage_power") * scale
