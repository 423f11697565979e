"""The compact 130 nm library: a few coefficients per cell, and the Liberty text that is made of them.

Every delay and transition is a plane `offset + per_slew * slew + per_load * load`, fitted by us to public
figures of the open library IHP SG13G2 (the head of `data/compact130.csv` says how); a plane needs only a
2 x 2 table.
`python -m fitact_hw.overhead.compact` writes the Liberty file.
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

from fitact_hw.overhead.liberty_function import truth_table

COEFFICIENTS = Path(__file__).parent / "data" / "compact130.csv"
"""The coefficient table: the only definition of the library."""

PATH = COEFFICIENTS.with_suffix(".lib")
"""The Liberty file in the package; a test compares it with :func:`liberty_text`."""

LIBRARY_NAME = "fitact_compact130"

_SLEWS_NS = (0.02, 0.25)
_MAX_SLEW_NS = 2.5
_MAX_LOAD_PF = 0.3
"""Largest load of a drive-1 output (pF); the tables span 0 to this value times the drive."""

Plane = tuple[float, float, float]
"""Offset (ns), nanoseconds per nanosecond of input slew, nanoseconds per picofarad of load."""


@dataclass(frozen=True)
class Cell:
    """One cell: area in um2, leakage in pW, input pin capacitances in fF, delay and transition planes; internal energy
    of a toggle of the output and of input pins in fJ.

    ``function`` is the Liberty function of the output, or empty for the flip-flop.
    """

    name: str
    area: float
    leakage: float
    function: str
    pins: dict[str, float]
    rise: Plane
    fall: Plane
    rise_slew: Plane
    fall_slew: Plane
    toggle: float
    pin_toggles: dict[str, float]
    drive: int = 1


def read_cells(path: Path = COEFFICIENTS) -> tuple[Cell, ...]:
    """The cells of the coefficient table; lines that start with # are comments."""
    rows = csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#"))
    return tuple(_cell(row) for row in rows)


def _cell(row: dict[str, str]) -> Cell:
    pins, toggles = (
        {name: float(value) for name, value in (pair.split("=") for pair in row[column].split())}
        for column in ("pins", "pin_toggles")
    )
    planes = {name: _plane(row[name]) for name in ("rise", "fall", "rise_slew", "fall_slew")}
    area, leakage = float(row["area"]), float(row["leakage"])
    return Cell(
        name=row["name"],
        area=area,
        leakage=leakage,
        function=row["function"],
        pins=pins,
        toggle=float(row["toggle"]),
        pin_toggles=toggles,
        drive=int(row["drive"]),
        **planes,
    )


def _plane(text: str) -> Plane:
    offset, per_slew, per_load = map(float, text.split())
    return offset, per_slew, per_load


SETUP_NS = 0.11
HOLD_NS = -0.05
"""Constraints of the flip-flop at fast edges; constants, because slews at its data pin are short."""


def _plane_group(kind: str, plane: Plane, drive: int) -> str:
    loads = (0.0, _MAX_LOAD_PF * drive)
    rows = ", ".join(
        '"' + ", ".join(f"{max(plane[0] + plane[1] * slew + plane[2] * load, 0.0):.4f}" for load in loads) + '"'
        for slew in _SLEWS_NS
    )
    index = ", ".join(f"{load:g}" for load in loads)
    slews = ", ".join(f"{slew:g}" for slew in _SLEWS_NS)
    return f'        {kind} (plane) {{ index_1 ("{slews}"); index_2 ("{index}"); values ({rows}); }}'


def _power(femtojoule: float) -> list[str]:
    """Internal energy of a toggle: the same for both edges (in volt^2 times picofarad, that is picojoule)."""
    if not femtojoule:
        return []
    tables = " ".join(f'{edge}_power (scalar) {{ values ("{femtojoule / 1000:.5f}"); }}' for edge in ("rise", "fall"))
    return [f"      internal_power () {{ {tables} }}"]


def _sense(cell: Cell, pin: str) -> str:
    pins = list(cell.pins)
    table = truth_table(cell.function, pins)
    assert table is not None, f"{cell.name}: function {cell.function!r} is not understood"
    value = dict(zip(itertools.product((0, 1), repeat=len(pins)), map(int, table), strict=True))
    place = pins.index(pin)
    steps = {value[(*low[:place], 1, *low[place + 1 :])] - value[low] for low in value if low[place] == 0} - {0}
    senses: dict[tuple[int, ...], str] = {(1,): "positive_unate", (-1,): "negative_unate"}
    return senses.get(tuple(sorted(steps)), "non_unate")


def _timing(cell: Cell, pin: str, extra: str) -> list[str]:
    planes = (
        ("cell_rise", cell.rise),
        ("rise_transition", cell.rise_slew),
        ("cell_fall", cell.fall),
        ("fall_transition", cell.fall_slew),
    )
    body = [_plane_group(kind, plane, cell.drive) for kind, plane in planes]
    return [f'      timing () {{ related_pin : "{pin}"; {extra}', *body, "      }"]


def _cell_lines(cell: Cell) -> list[str]:
    clocked = not cell.function
    lines = [f"  cell ({cell.name}) {{ area : {cell.area}; cell_leakage_power : {cell.leakage:g};"]
    if clocked:
        lines.append('    ff (IQ, IQN) { clocked_on : "CLK"; next_state : "D"; }')
    for pin, femtofarad in cell.pins.items():
        clock = " clock : true;" if clocked and pin == "CLK" else ""
        lines.append(f"    pin ({pin}) {{ direction : input; capacitance : {femtofarad / 1000:.5f};{clock}")
        lines += _power(cell.pin_toggles.get(pin, 0.0))
        if clocked and not clock:
            for kind, value in (("setup_rising", SETUP_NS), ("hold_rising", HOLD_NS)):
                tables = " ".join(f'{edge}_constraint (scalar) {{ values ("{value}"); }}' for edge in ("rise", "fall"))
                lines.append(f'      timing () {{ related_pin : "CLK"; timing_type : {kind}; {tables} }}')
        lines.append("    }")
    output, function = ("Q", "IQ") if clocked else ("Y", cell.function)
    lines.append(
        f'    pin ({output}) {{ direction : output; function : "{function}"; '
        f"max_capacitance : {_MAX_LOAD_PF * cell.drive:g};"
    )
    lines += _power(cell.toggle)
    for pin in ["CLK"] if clocked else list(cell.pins):
        extra = "timing_sense : non_unate; timing_type : rising_edge;"
        lines += _timing(cell, pin, extra if clocked else f"timing_sense : {_sense(cell, pin)};")
    return [*lines, "    }", "  }"]


def liberty_text() -> str:
    """The whole library as Liberty text."""
    thresholds = [
        f"  {direction}_threshold_pct_{edge} : 50;" for direction in ("input", "output") for edge in ("rise", "fall")
    ] + [
        f"  slew_{side}_threshold_pct_{edge} : {percent};"
        for side, percent in (("lower", 20), ("upper", 80))
        for edge in ("rise", "fall")
    ]
    header = [
        "/* Compact 130 nm library of the FitAct testbed, written by fitact_hw/overhead/compact.py:",
        "   coefficients fitted to public figures of IHP SG13G2 (IHP-Open-PDK, Apache-2.0), typical",
        "   corner. For comparing designs before layout, not for sign-off. */",
        f"library ({LIBRARY_NAME}) {{",
        "  delay_model : table_lookup;",
        '  time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1uA"; pulling_resistance_unit : "1kohm";',
        '  leakage_power_unit : "1pW"; capacitive_load_unit (1, pf);',
        f"  default_max_transition : {_MAX_SLEW_NS}; default_fanout_load : 1;",
        "  nom_process : 1; nom_voltage : 1.2; nom_temperature : 25;",
        *thresholds,
        "  operating_conditions (typ_1p20V_25C) { process : 1; voltage : 1.2; temperature : 25; }",
        "  default_operating_conditions : typ_1p20V_25C;",
        "  lu_table_template (plane) {",
        "    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;",
        f'    index_1 ("{_SLEWS_NS[0]}, {_SLEWS_NS[1]}"); index_2 ("0, {_MAX_LOAD_PF}"); }}',
    ]
    lines = [line for cell in read_cells() for line in _cell_lines(cell)]
    return "\n".join([*header, *lines, "}"]) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(liberty_text())
    print(f"wrote {PATH.name}: {len(read_cells())} cells")
