"""SRAM macros: area, energy, leakage and access time from a fitted, cited model, never from synthesis.

At 130 nm the coefficients are fitted to ten single-port macros of 4 to 131 kbit of the open IHP SG13G2
library (RM_IHPSG13_1P_*, IHP-Open-PDK, Apache-2.0): largest error of area 3.2 %, read energy 11 %, write
energy 5 %, access time 7 % (more than 2048 words are folded into more columns, not slower). Other nodes
scale area with the published size of the six-transistor cell, energy with node times supply squared and
access time with the node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fitact_hw.errors import FitActError

BASE_NODE_NM = 130

MAX_MACRO_BITS = 72
"""Widest macro (bits): 64 and the check bits of SECDED; wider buffers are several macros side by side."""

MAX_MACRO_CAPACITY = 72 * 2048
"""Largest macro (bits): the largest fitted one, 64 x 2048, with check bits. Deeper buffers are several."""


class SramError(FitActError):
    """A technology node without figures."""


@dataclass(frozen=True)
class Node:
    """Published size of the high-density 6T cell (um2) and nominal supply (V)."""

    cell_um2: float
    supply_v: float
    source: str


NODES: dict[int, Node] = {
    180: Node(4.65, 1.8, "TSMC 180 nm embedded 6T"),
    130: Node(2.43, 1.2, "TSMC 130 nm embedded 6T"),
    65: Node(0.57, 1.1, "Intel 65 nm, IEDM 2004"),
    45: Node(0.346, 1.0, "Intel 45 nm, IEDM 2007"),
    28: Node(0.127, 0.9, "TSMC 28 nm, IEDM 2009"),
    16: Node(0.070, 0.8, "TSMC 16 nm, IEDM 2013"),
    7: Node(0.027, 0.7, "TSMC 7 nm, IEDM 2016"),
}


def nearest_node(node_nm: int) -> int:
    """The model's node closest to a technology's, by ratio."""
    return min(NODES, key=lambda node: abs(math.log(node / node_nm)))


@dataclass(frozen=True)
class SramFigures:
    """Figures of one buffer: um2, pJ per access of a whole word, nW, ns; ``macros`` it consists of."""

    area: float
    read_pj: float
    write_pj: float
    leakage_nw: float
    access_ns: float
    macros: int

    def __add__(self, other: SramFigures) -> SramFigures:
        """Two buffers together; energies are those of one access to each."""
        return SramFigures(
            self.area + other.area,
            self.read_pj + other.read_pj,
            self.write_pj + other.write_pj,
            self.leakage_nw + other.leakage_nw,
            max(self.access_ns, other.access_ns),
            self.macros + other.macros,
        )


ZERO = SramFigures(0.0, 0.0, 0.0, 0.0, 0.0, 0)


@dataclass(frozen=True)
class SramModel:
    """The model at one node. ``port_factor`` multiplies area and leakage, for memories with a second port.

    The fitted macros have one port, the machine's buffers read and write in the same cycle: with 1.0, areas
    are a lower bound for every scheme alike.
    """

    node_nm: int = BASE_NODE_NM
    port_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.node_nm not in NODES:
            raise SramError(f"no SRAM figures for {self.node_nm} nm: choose one of {', '.join(map(str, NODES))}")

    @property
    def _area_scale(self) -> float:
        return NODES[self.node_nm].cell_um2 / NODES[BASE_NODE_NM].cell_um2

    @property
    def energy_scale(self) -> float:
        """Energy relative to 130 nm: capacitance with the node, supply squared."""
        here, base = NODES[self.node_nm], NODES[BASE_NODE_NM]
        return self.node_nm / BASE_NODE_NM * (here.supply_v / base.supply_v) ** 2

    def macro(self, width: int, depth: int) -> SramFigures:
        """One macro of ``depth`` words of ``width`` bits."""
        bits = width * depth
        return SramFigures(
            area=(13_854 + 344.5 * width + 3.3825 * bits + 4.64 * depth) * self._area_scale * self.port_factor,
            read_pj=(5.95 + 0.502 * width + 0.00071 * bits) * self.energy_scale,
            write_pj=(7.82 + 0.639 * width + 0.00086 * bits) * self.energy_scale,
            leakage_nw=0.0121 * bits * self._area_scale * self.port_factor,
            access_ns=(2.98 + 0.00118 * min(depth, 2048)) * self.node_nm / BASE_NODE_NM,
            macros=1,
        )

    def buffer(self, width: int, depth: int) -> SramFigures:
        """A buffer of any size, cut into equal macros; an access reads all columns of one row of macros."""
        columns = math.ceil(width / MAX_MACRO_BITS)
        macro_width = math.ceil(width / columns)
        rows = math.ceil(macro_width * depth / MAX_MACRO_CAPACITY)
        one = self.macro(macro_width, math.ceil(depth / rows))
        return SramFigures(
            area=one.area * columns * rows,
            read_pj=one.read_pj * columns,
            write_pj=one.write_pj * columns,
            leakage_nw=one.leakage_nw * columns * rows,
            access_ns=one.access_ns,
            macros=columns * rows,
        )
