"""Lookup tables of Liberty files (NLDM delay, slew and power), bilinear."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from fitact_hw.overhead.liberty import Group, Library

EDGES = ("rise", "fall")


@dataclass(frozen=True)
class Table:
    """An NLDM table: axes in library units (empty axis: constant in it), values row by row."""

    first: tuple[float, ...]
    second: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, x: float, y: float) -> float:
        """Bilinear interpolation, linear beyond the edges."""
        i, u = _place(self.first, x)
        j, v = _place(self.second, y)
        low, high = self.values[i], self.values[min(i + 1, len(self.values) - 1)]
        k = min(j + 1, len(low) - 1)
        return (1 - u) * ((1 - v) * low[j] + v * low[k]) + u * ((1 - v) * high[j] + v * high[k])


def _place(axis: tuple[float, ...], x: float) -> tuple[int, float]:
    if len(axis) < 2:
        return 0, 0.0
    i = min(max(bisect_right(axis, x) - 1, 0), len(axis) - 2)
    return i, (x - axis[i]) / (axis[i + 1] - axis[i])


def _numbers(parts: list[str]) -> tuple[float, ...]:
    return tuple(float(x) for x in " ".join(parts).replace(",", " ").split())


class TableReader:
    """Makes tables from groups of one library, which may leave their axes to a template."""

    def __init__(self, library: Library) -> None:
        kinds = ("lu_table_template", "power_lut_template")
        self._templates = {group.args[0]: group for kind in kinds for group in library.header.all(kind)}

    def read(self, group: Group, swap: bool) -> Table:
        """The table of a group; ``swap``: the first axis must be the input transition, whatever the template says."""
        template = self._templates.get(group.args[0] if group.args else "", Group("", ()))
        axes = [
            _numbers(group.attributes.get(name) or template.attributes.get(name, [])) for name in ("index_1", "index_2")
        ]
        flat = _numbers(group.attributes["values"])
        columns = max(len(axes[1]), 1)
        rows = tuple(flat[i : i + columns] for i in range(0, len(flat), columns))
        if len(flat) == 1:
            return Table((), (), (flat,))
        if swap and template.text("variable_1").startswith("total_output"):
            return Table(axes[1], axes[0], tuple(zip(*rows, strict=True)))
        return Table(axes[0], axes[1], rows)
