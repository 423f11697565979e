"""Charts of the comparison as one PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fitact_hw.overhead.cost import UNITS
from fitact_hw.overhead.metrics import SIGMAS, Results, lane_of
from fitact_hw.overhead.schemes import BASELINE
from fitact_hw.overhead.tables import SHORT, split_lines

LOGIC, MEMORY = "#4878a8", "#e08b3e"
PARTS = ("#274060", "#4878a8", "#9cb8d4", "#c9a227", "#7a5195")


def draw(results: Results, title: str, path: Path) -> None:
    """Four panels: area added, machine by part, lane by scheme, energy by network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(13, 10.5))
    _added(axes[0, 0], results)
    _parts(axes[0, 1], results)
    _lanes(axes[1, 0], results)
    _energy(axes[1, 1], results)
    figure.suptitle(title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _added(axis: Any, results: Results) -> None:
    rows = split_lines(dict(results.costs))
    names = [SHORT[row[0]] for row in rows]
    logic, memory = [100 * row[1] for row in rows], [100 * row[2] for row in rows]
    axis.barh(names, memory, color=MEMORY, label="memory")
    axis.barh(
        names,
        logic,
        left=memory,
        color=LOGIC,
        label="logic",
        xerr=[100 * row[4] for row in rows],
        ecolor="black",
    )
    for index, row in enumerate(rows):
        axis.annotate(f" {row[3]:+.2%}", (100 * row[3], index), va="center", xytext=(8, 0), textcoords="offset points")
    axis.margins(x=0.3)
    axis.invert_yaxis()
    axis.set_xlabel("area added, % of unprotected total")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8)


def _parts(axis: Any, results: Results) -> None:
    names = [SHORT[key] for key in results.costs]
    left = [0.0] * len(names)
    parts = [(unit, [cost.logic(unit) / 1e6 for cost in results.costs.values()]) for unit in UNITS]
    parts.append(("memory", [cost.memory / 1e6 for cost in results.costs.values()]))
    for (label, values), colour in zip(parts, [*PARTS, MEMORY], strict=True):
        axis.barh(names, values, left=left, color=colour, label=label)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axis.invert_yaxis()
    axis.set_xlabel("mm2")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=6, fontsize=8)
    axis.set_title("machine by part")


def _lanes(axis: Any, results: Results) -> None:
    base = lane_of(results.costs[BASELINE.key])
    keys = [key for key in ("ranger", "clipact", "fitact", "fitact_all") if key in results.costs]
    lanes = [lane_of(results.costs[key]) for key in keys]
    error = base.mean_error(base.area_sd)
    added = [100 * (lane.area / base.area - 1) for lane in lanes]
    noise = [100 * SIGMAS * (lane.mean_error(lane.area_sd) ** 2 + error**2) ** 0.5 / base.area for lane in lanes]
    axis.bar([SHORT[key] for key in keys], added, yerr=noise, color=LOGIC, capsize=5)
    axis.set_ylabel("area of one lane over plain ReLU, %")
    axis.set_title("one lane (bars: noise of the tools)")


def _energy(axis: Any, results: Results) -> None:
    if not results.energy:
        axis.set_axis_off()
        return
    name, table = next(iter(results.energy.items()))
    names = [SHORT[key] for key in table]
    parts = [
        ("multiply-accumulate", [e.macs for e in table.values()], PARTS[0]),
        ("lanes", [e.lanes for e in table.values()], PARTS[2]),
        ("buffers", [sum(e.buffers.values()) - e.buffers.get("bound", 0.0) for e in table.values()], MEMORY),
        ("bound buffer", [e.buffers.get("bound", 0.0) for e in table.values()], "#b23a48"),
    ]
    left = [0.0] * len(names)
    for label, values, colour in parts:
        axis.barh(names, values, left=left, color=colour, label=label)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axis.set_xlim(0, 1.05 * max(left))
    axis.invert_yaxis()
    axis.set_xlabel("uJ per inference, on chip")
    axis.set_title(f"energy of {name} (model, no switching activity)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=5, fontsize=8)
