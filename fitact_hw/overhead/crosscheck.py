"""Compares runs of `fitact overhead` with different cell libraries: one machine, several technologies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitact_hw.errors import FitActError
from fitact_hw.overhead.schemes import BASELINE, short_of

SMALL_BLOCK = 0.01
"""Blocks below this share of the logic are compared as a sum: a few cells more or less say nothing."""


@dataclass(frozen=True)
class Run:
    """One `overhead.json`: library, machine, gate area (um2), areas added and blocks by scheme."""

    library: str
    machine: str
    nand2_um2: float
    added: Mapping[str, Mapping[str, float]]
    blocks: Mapping[str, Sequence[Mapping[str, Any]]]
    lanes: Mapping[str, Mapping[str, float]]

    def logic(self, key: str) -> float:
        """Cell area of a scheme's machine (um2)."""
        return sum(block["count"] * block["area"] for block in self.blocks[key])

    def gates(self, key: str) -> float:
        """Logic that a scheme adds, in thousand gate equivalents."""
        return (self.logic(key) - self.logic(BASELINE.key)) / self.nand2_um2 / 1000

    def ranking(self) -> list[str]:
        """Schemes by the logic that they add, cheapest first."""
        return sorted((key for key in self.added), key=self.gates)


def read(path: Path) -> Run:
    """Read the JSON file of one run. Raises FitActError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        header = data["header"]
        lanes = {m["name"]: m["values"] for m in data["metrics"] if m["group"] == "one lane"}
        return Run(
            library=header["library"].split(" (")[0],
            machine=header["machine"],
            nand2_um2=float(header["gate equivalent"].split()[0]),
            added=data["area_added"],
            blocks=data["blocks"],
            lanes=lanes,
        )
    except OSError as error:
        raise FitActError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise FitActError(f"{path} is no overhead.json of this version: run `fitact overhead` again") from None


def compare(runs: Sequence[Run]) -> str:
    """A Markdown page. Raises FitActError if the runs are not of one machine with the same schemes."""
    first = runs[0]
    for run in runs[1:]:
        if run.machine != first.machine or run.added.keys() != first.added.keys():
            raise FitActError(f"{run.library} and {first.library} were not run with the same machine and schemes")
    names = [run.library for run in runs]
    lines = ["# The same machine in several technologies", "", f"{first.machine}; before layout.", ""]
    lines += [
        "## Logic added",
        "",
        "Thousand gate equivalents (percent of the unprotected logic); memory is left out.",
        "",
    ]
    lines += table_head(["scheme", *names])
    for key in first.added:
        cells = [f"{run.gates(key):+.2f} ({run.logic(key) / run.logic(BASELINE.key) - 1:+.2%})" for run in runs]
        lines.append(table_row([short_of(key), *cells]))
    lines += ["", "Ranking, cheapest first:", ""]
    lines += [f"* {run.library}: " + " < ".join(short_of(key) for key in run.ranking()) for run in runs]
    lines += ["", "## Stages of one lane (ns)", "", *table_head(["path", "scheme", *names])]
    for name in ("longest path", "clamp stage"):
        for key in (BASELINE.key, *first.added):
            if key in first.lanes[name]:
                cells = [f"{run.lanes[name][key]:.3f}" for run in runs]
                lines.append(table_row([name, short_of(key), *cells]))
    return "\n".join([*lines, "", *_blocks(runs), ""])


def _blocks(runs: Sequence[Run]) -> list[str]:
    """Area of every block in gate equivalents: how much of the logic, and the ratio to the first run."""
    first, key = runs[0], list(runs[0].added)[-1]
    shown: dict[str, list[float]] = {}
    for run in runs:
        areas: dict[str, float] = {}
        for scheme in (key, BASELINE.key):
            found: dict[str, float] = {}
            for block in run.blocks[scheme]:
                found[block["name"]] = found.get(block["name"], 0.0) + block["count"] * block["area"]
            areas = found | areas
        for name, area in areas.items():
            shown.setdefault(name, []).append(area / run.nand2_um2 / 1000)
    floor = SMALL_BLOCK * first.logic(BASELINE.key) / first.nand2_um2 / 1000
    large = {name: values for name, values in shown.items() if values[0] >= floor}
    rest = [sum(values[i] for name, values in shown.items() if name not in large) for i in range(len(runs))]
    lines = ["## Blocks", "", f"Thousand gate equivalents of {short_of(BASELINE.key)} and {short_of(key)}.", ""]
    lines += table_head(
        ["block", *(run.library for run in runs), *(f"{r.library} / {first.library}" for r in runs[1:])]
    )
    others = [("all others", rest)] if rest[0] else []
    for name, values in [*sorted(large.items(), key=lambda item: -item[1][0]), *others]:
        lines.append(table_row([name, *(f"{v:.2f}" for v in values), *(f"{v / values[0]:.3f}" for v in values[1:])]))
    return lines


def table_head(names: Sequence[str]) -> list[str]:
    """First two lines of a Markdown table."""
    return [table_row(names), "|" + "---|" * len(names)]


def table_row(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
