"""Fits the coefficients of the compact library: `python -m fitact_hw.overhead.fit LIBRARY.lib`.

LIBRARY is sg13g2_stdcell_typ_1p20V_25C of the IHP-Open-PDK. It is not part of this project; the fit is
kept for the record and for other libraries.
"""

from __future__ import annotations

import sys

import numpy as np

from fitact_hw.overhead.compact import COEFFICIENTS
from fitact_hw.overhead.jobs import cache_folder
from fitact_hw.overhead.liberty import Group
from fitact_hw.overhead.power.cell_power import CellPower
from fitact_hw.overhead.technology import Technology, load

CELLS = tuple(
    f"{kind}_{drive}"
    for kind, drives in (
        ("inv", (1, 4)),
        ("buf", (1, 2, 4, 8)),
        *((kind, (1,)) for kind in ("nand2", "nand3", "nor2", "nor3", "and2", "or2", "nand2b", "nor2b")),
        *((kind, (1,)) for kind in ("a21oi", "o21ai", "a22oi", "xor2", "xnor2", "mux2", "dfrbpq")),
        *((kind, (1,)) for kind in ("nand4", "nor4", "nand3b", "a21o", "a221oi")),
    )
    for drive in drives
)
"""The cells that the default machine uses most; the flip-flop's reset pin is left out.

The last ones are for wide comparisons: without them the clamps came out 5 to 12 % larger than with the real library.
"""

MAX_SLEW_NS = 0.2
MAX_LOAD_PART = 0.3
SLOWEST_WEIGHT = 0.5
"""Tables are half way between the mean and the slowest arc: areas and delays then agree best."""

_HEADER = """\
# Compact 130 nm cells: value = offset + per_slew * slew + per_load * load (ns, ns/ns, ns/pF), fitted (least
# squares of the relative error) half way between the mean and the slowest arc of IHP SG13G2, typical corner,
# 1.20 V, 25 C, revision 0.1.3 of 2025 (IHP-Open-PDK, Apache-2.0, https://github.com/IHP-GmbH/IHP-Open-PDK):
# slews up to 0.2 ns, loads up to 30 % of the limit. area um2, leakage pW, pins fF: published, rounded. toggle,
# pin_toggles: internal energy (fJ) of one toggle of the output (with a load of four NAND2) and of those inputs that
# cost any: mean of the published tables. Made by fitact_hw/overhead/fit.py.
name,drive,area,leakage,function,pins,rise,fall,rise_slew,fall_slew,toggle,pin_toggles
"""


def _numbers(parts: list[str]) -> np.ndarray:
    return np.array([float(x) for x in " ".join(parts).replace(",", " ").split()])


def plane(tables: list[Group]) -> tuple[float, ...]:
    """(offset, per slew, per load) of NLDM tables with equal axes (ns, pF)."""
    slews, loads = _numbers(tables[0].attributes["index_1"]), _numbers(tables[0].attributes["index_2"])
    stack = np.stack([_numbers(t.attributes["values"]).reshape(len(slews), len(loads)) for t in tables])
    values = SLOWEST_WEIGHT * stack.max(0) + (1 - SLOWEST_WEIGHT) * stack.mean(0)
    slew, load = np.meshgrid(slews, loads, indexing="ij")
    used = (slew <= MAX_SLEW_NS) & (load <= MAX_LOAD_PART * loads[-1])
    terms = np.stack([np.ones(used.sum()), slew[used], load[used]], axis=1)
    weight = 1 / np.maximum(values[used], 0.02)
    return tuple(np.linalg.lstsq(terms * weight[:, None], values[used] * weight, rcond=None)[0])


def row(technology: Technology, prefix: str, name: str) -> str:
    """One line of the coefficient table."""
    library, power = technology.library, CellPower(technology)
    cell = library.cell(prefix + name)
    clocked = library.is_flop(prefix + name)
    pins = {pin.args[0]: 1000 * pin.number("capacitance") for pin in library.inputs(prefix + name)}
    pins.pop("RESET_B", None)
    output = library.outputs(prefix + name)[0]
    arcs = [t for t in output.all("timing") if t.text("timing_type") in ("", "combinational", "rising_edge")]
    short = name.replace("dfrbpq", "dff")
    planes = [
        " ".join(f"{value:.4g}" for value in plane([arc.all(kind)[0] for arc in arcs]))
        for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    ]
    four_nands = technology.load_ff / 1000 / technology.cap_scale
    energies = {pin: 1000 * power.internal(prefix + name, pin, 0.0) for pin in pins}
    fields = [
        f"c130_{short}",
        short.rpartition("_")[2],
        f"{cell.number('area'):.2f}",
        f"{cell.number('cell_leakage_power'):.0f}",
        "" if clocked else output.text("function"),
        " ".join(f"{pin}={value:.2f}" for pin, value in pins.items()),
        *planes,
        f"{1000 * power.internal(prefix + name, output.args[0], four_nands):.2f}",
        " ".join(f"{pin}={value:.2f}" for pin, value in energies.items() if value),
    ]
    return ",".join(fields)


def main() -> None:
    """Rewrite the coefficient table from a real library."""
    technology = load(sys.argv[1], cache_folder())
    COEFFICIENTS.write_text(_HEADER + "\n".join(row(technology, "sg13g2_", name) for name in CELLS) + "\n")
    print(f"wrote {COEFFICIENTS.name}; now run python -m fitact_hw.overhead.compact")


if __name__ == "__main__":
    main()
