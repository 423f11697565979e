"""Charts of the comparison as one PNG, drawn from its record (`overhead.json`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fitact_hw.overhead.cost import UNITS
from fitact_hw.overhead.schemes import BASELINE, short_of
from fitact_hw.overhead.tables import TABLES, others
from fitact_hw.reporting.figures import NORMAL, SMALL, new_figure
from fitact_hw.reporting.palette import GRID, SERIES

Record = Mapping[str, Any]
"""What :func:`fitact_hw.overhead.tables.to_json` returns."""

BLUE, GREEN, MEMORY, PINK, PALE, BROWN = SERIES

UM2_PER_MM2 = 1e6


def comparison(record: Record) -> Any:
    """Four panels: area added, machine by part, lane by scheme, energy of the first network."""
    header = record["header"]
    machine, _, buffers = header["machine"].partition("; ")
    title = f"{machine}; {header['library'].partition(' ')[0]}, before layout\n{buffers}"
    figure, axes = new_figure(2, 2, (12, 9.2), title)
    _added(axes[0], record["area_added"])
    _parts(axes[1], _metrics(record, "area"))
    _lanes(axes[2], _metrics(record, "one lane")["cell area"])
    _energy(axes[3], record["energy"])
    return figure


def _metrics(record: Record, group: str) -> dict[str, Record]:
    """Rows of the comparison by name."""
    return {metric["name"]: metric for metric in record["metrics"] if metric["group"] == group}


def _added(axis: Any, added: Mapping[str, Mapping[str, float]]) -> None:
    names = [short_of(key) for key in added]
    logic, memory = ([100 * line[part] for line in added.values()] for part in ("logic", "memory"))
    axis.barh(names, memory, color=MEMORY, label="memory")
    noise = [100 * line["noise"] for line in added.values()]
    axis.barh(names, logic, left=memory, color=BLUE, label="logic", xerr=noise, ecolor="black")
    for place, line in enumerate(added.values()):
        text = f"{100 * line['total']:+.2f} %"
        axis.annotate(text, (100 * line["total"], place), (6, 0), textcoords="offset points", va="center",
                      fontsize=SMALL)  # fmt: skip
    axis.margins(x=0.2)
    _bars(axis, "area added", "% of the unprotected machine")


def _parts(axis: Any, area: Mapping[str, Record]) -> None:
    parts = {unit: area[f"logic: {unit}"]["values"] for unit in UNITS} | {"memory": area["memory"]["values"]}
    colours = (BLUE, PALE, GREEN, BROWN, PINK, MEMORY)
    millimetres = {part: {key: v / UM2_PER_MM2 for key, v in values.items()} for part, values in parts.items()}
    _stacked(axis, millimetres, colours)
    _bars(axis, "machine by part", "mm2")


def _lanes(axis: Any, area: Record) -> None:
    bounded = (*TABLES[0][1], *others(area["values"]))
    keys = [key for key in bounded if key in area["values"] and key != BASELINE.key]
    base = area["values"][BASELINE.key]
    added = [100 * (area["values"][key] / base - 1) for key in keys]
    noise = [100 * area["noise"][key] / base for key in keys]
    axis.barh([short_of(key) for key in keys], added, xerr=noise, color=BLUE, capsize=4, height=0.6)
    _bars(axis, "area of one lane (black: noise of the tools)", "% over a lane with plain ReLU")


def _energy(axis: Any, energy: Mapping[str, Mapping[str, Record]]) -> None:
    if not energy:
        axis.set_axis_off()
        return
    network, table = next(iter(energy.items()))
    bounds = {key: line["buffers"].get("bound", 0.0) for key, line in table.items()}
    parts = {
        "multiply-accumulate": {key: line["macs"] for key, line in table.items()},
        "lanes": {key: line["lanes"] for key, line in table.items()},
        # with the range check in front of them, which is a thousandth of it
        "buffers": {
            key: sum(line["buffers"].values()) - bounds[key] + line.get("checks", 0.0) for key, line in table.items()
        },
        "bound buffer": bounds,
    }
    _stacked(axis, parts, (BLUE, PALE, MEMORY, PINK))
    _bars(axis, f"energy of {network} on chip (model, no switching activity)", "uJ per image")


def _stacked(axis: Any, parts: Mapping[str, Mapping[str, float]], colours: Sequence[str]) -> None:
    """A bar for every scheme; ``parts``: part -> scheme -> value."""
    keys = list(next(iter(parts.values())))
    left = [0.0] * len(keys)
    for (part, values), colour in zip(parts.items(), colours, strict=True):
        widths = [values[key] for key in keys]
        axis.barh([short_of(key) for key in keys], widths, left=left, color=colour, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]


def _bars(axis: Any, title: str, unit: str) -> None:
    axis.invert_yaxis()
    axis.set_title(title, fontsize=NORMAL, loc="left")
    axis.set_xlabel(unit, fontsize=NORMAL)
    axis.grid(axis="x", color=GRID, linewidth=0.6)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=6, fontsize=SMALL, frameon=False)
