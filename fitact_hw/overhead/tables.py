"""Prints the comparison (rich), and writes it as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from fitact_hw.overhead.cost import Cost, delta
from fitact_hw.overhead.metrics import Metric, Results
from fitact_hw.overhead.schemes import (
    ACTIVATIONS,
    ALL_MODES,
    BASELINE,
    CHEAP,
    CHECKED,
    DEEP_BUFFER,
    NEURON,
    ON_CHIP,
    Scheme,
    short_of,
)

TABLES: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (title, tuple(scheme.key for scheme in compared))
    for title, compared in (
        ("Bounded activations", (*ACTIVATIONS, ALL_MODES)),
        ("Cheaper bounds", (BASELINE, DEEP_BUFFER, NEURON, *CHEAP)),
        ("Range check of parameters on their way from memory", (BASELINE, NEURON, *CHECKED)),
        ("For comparison: protected buffers, triplicated lanes", (BASELINE, *ON_CHIP)),
    )
)


@dataclass(frozen=True)
class Header:
    """What the figures depend on, as (name, value) lines."""

    lines: tuple[tuple[str, str], ...]


def cell(metric: Metric, key: str) -> str:
    """Absolute value and change against unprotected, as text."""
    if key not in metric.values:
        return ""
    value = metric.values[key]
    text = f"{value:,.{metric.digits}f}"
    if key == BASELINE.key:
        return text
    if metric.within_noise(key):
        return f"{text} (within noise)"
    change = metric.change(key)
    if change is None:
        return f"{text} (new)" if value else "0"
    return f"{text} ({change:+.1%})" if value != metric.values[BASELINE.key] else f"{text} (=)"


def others(keys: Iterable[str]) -> tuple[str, ...]:
    """Those of no table: schemes that were named."""
    listed = {key for _, of_table in TABLES for key in of_table}
    return tuple(key for key in keys if key not in listed)


def _tables(results: Results) -> list[tuple[str, tuple[str, ...]]]:
    """The tables that have something to compare, with the schemes that were measured; those of no table are with the
    bounded activations."""
    chosen = [(title, tuple(key for key in keys if key in results.costs)) for title, keys in TABLES]
    chosen[0] = (chosen[0][0], (*chosen[0][1], *others(results.costs)))
    return [(title, keys) for title, keys in chosen if len(keys) > 1]


def _used(metrics: Sequence[Metric], keys: Sequence[str]) -> list[Metric]:
    """Rows that say something about these schemes."""
    return [m for m in metrics if any(m.values.get(key) for key in keys)]


def split_lines(costs: dict[str, Cost]) -> list[tuple[str, float, float, float, float]]:
    """(scheme, logic, memory, total, noise): differences as fractions of the unprotected total area."""
    base = costs[BASELINE.key]
    result = []
    for key, cost in costs.items():
        if key == BASELINE.key:
            continue
        logic, memory, total = delta(cost, base)
        result.append((key, logic, memory, total, 2 * cost.logic_error(base) / base.total))
    return result


def _split_text(logic: float, noise: float) -> str:
    return f"{logic:+.2%}" + (" (within noise)" if 0 < abs(logic) <= noise else f" ± {noise:.2%}")


def print_report(console: Console, header: Header, metrics: Sequence[Metric], results: Results) -> None:
    """The whole comparison on the terminal."""
    for name, value in header.lines:
        console.print(f"[bold]{name}[/]: {value}", highlight=False)
    for title, keys in _tables(results):
        table = Table(title=title, title_justify="left")
        table.add_column("")
        table.add_column("unit")
        for key in keys:
            table.add_column(short_of(key), justify="right")
        group = ""
        for metric in _used(metrics, keys):
            if metric.group != group:
                group = metric.group
                table.add_section()
                table.add_row(f"[bold]{group}[/]")
            table.add_row(metric.name, metric.unit, *(cell(metric, key) for key in keys))
        console.print(table)
    table = Table(title="Area added, of the unprotected total", title_justify="left")
    for name in ("scheme", "logic", "memory", "total"):
        table.add_column(name, justify="left" if name == "scheme" else "right")
    for key, logic, memory, total, noise in split_lines(dict(results.costs)):
        table.add_row(short_of(key), _split_text(logic, noise), f"{memory:+.2%}", f"{total:+.2%}")
    console.print(table)


def markdown(header: Header, metrics: Sequence[Metric], results: Results, command: str) -> str:
    """The whole comparison as a Markdown page."""
    lines = ["# What protection costs", "", f"Made by `{command}`.", ""]
    lines += [f"* **{name}**: {value}" for name, value in header.lines]
    lines += [
        "",
        "## Area added, of the unprotected total",
        "",
        "| scheme | logic | memory | total |",
        "|---|---|---|---|",
    ]
    for key, logic, memory, total, noise in split_lines(dict(results.costs)):
        lines.append(f"| {short_of(key)} | {_split_text(logic, noise)} | {memory:+.2%} | {total:+.2%} |")
    for title, keys in _tables(results):
        lines += ["", f"## {title}", "", "| | unit | " + " | ".join(short_of(k) for k in keys) + " |"]
        lines.append("|---|---|" + "---:|" * len(keys))
        group = ""
        for metric in _used(metrics, keys):
            if metric.group != group:
                group = metric.group
                lines.append(f"| **{group}** | |" + " |" * len(keys))
            lines.append(f"| {metric.name} | {metric.unit} | " + " | ".join(cell(metric, k) for k in keys) + " |")
    lines += ["", "## Memories", "", *_memory_lines(results), ""]
    lines += ["## Lanes", "", *(_scheme_line(cost.machine.scheme) for cost in results.costs.values()), "", *NOTES, ""]
    return "\n".join(lines)


def _scheme_line(scheme: Scheme) -> str:
    return f"* {short_of(scheme.key)}: {scheme.title}; lane: {scheme.activation}"


NOTES = (
    "## How to read it",
    "",
    "* Before layout: no wires, no clock tree, no placement. Compare schemes, not chips.",
    "* Every unique module is mapped once and multiplied by its instances; modules that all schemes share",
    "  cancel out exactly. Those that differ are mapped several times with equally good scripts: the spread",
    "  is the noise. Two standard errors of it are printed after ±; smaller differences are *within noise*.",
    "* The generated lane chooses its activation at run time. Here each scheme's lane keeps linear (for the",
    "  last layer) and the one activation that the scheme needs, tied off in `fitact_clamp_mode.v`; synthesis",
    "  removes the rest. The clamp is a stage of its own, mapped on its own; the rest of the lane is one block that",
    "  all share. *FitAct, all modes* is the lane as it is generated and simulated.",
    "* The bound buffer holds the bounds of the tile in work and of the next one, which arrives by DMA; no machine",
    "  holds those of a whole layer. A *deep* one has four times the configured words.",
    "  4-bit bounds are decoded in front of the lane's bound register. A buffer of fewer than 8 words is made of",
    "  flip-flops (`small buffers`); its energy is not counted.",
    "* Protection is the generator's own: one code word for each lane of a buffer word, so SECDED adds 5 bits to 8.",
    "* SRAM macros come from a model fitted to single-port macros; the machine's buffers read and write in",
    "  one cycle, so their areas are a lower bound for every scheme alike.",
    "* Codecs are combinational, between buffer and user: *SRAM access + first logic* holds their delay.",
)


def _memory_lines(results: Results) -> list[str]:
    lines = ["| SRAM macro (model) | bits | machines |", "|---|---|---|"]
    seen: dict[tuple[str, int, int], list[str]] = {}
    for key, cost in results.costs.items():
        for buffer in cost.machine.buffers:
            seen.setdefault((buffer.name, buffer.width + buffer.check, buffer.depth), []).append(short_of(key))
    for (name, width, depth), schemes in seen.items():
        lines.append(f"| {name} | {depth} x {width} | {', '.join(schemes)} |")
    lines += ["", "| inferred, kept in flip-flops on purpose | bits |", "|---|---|"]
    for memory in results.costs[BASELINE.key].machine.flop_memories:
        lines.append(f"| {memory.path.removeprefix('fitact_top/')}: {memory.name} | {memory.depth} x {memory.width} |")
    return lines


def to_json(header: Header, metrics: Sequence[Metric], results: Results) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "header": dict(header.lines),
        "schemes": {
            key: {"title": cost.machine.scheme.title, "lane": cost.machine.scheme.activation}
            for key, cost in results.costs.items()
        },
        "metrics": [
            {**asdict(metric), "within_noise": [key for key in metric.values if metric.within_noise(key)]}
            for metric in metrics
        ],
        "area_added": {
            key: {"logic": logic, "memory": memory, "total": total, "noise": noise}
            for key, logic, memory, total, noise in split_lines(dict(results.costs))
        },
        "blocks": {
            key: [
                {"unit": use.unit, "count": use.count, **asdict(cost.mapped[use.block.key])}
                for use in cost.machine.uses
            ]
            for key, cost in results.costs.items()
        },
        "macros": {key: [asdict(buffer) for buffer in cost.machine.buffers] for key, cost in results.costs.items()},
        "flop_memories": [asdict(memory) for memory in results.costs[BASELINE.key].machine.flop_memories],
        "routed": {key: asdict(value) for key, value in {**results.routed, **results.tops}.items()},
        "traffic": {n: {k: asdict(t) for k, t in table.items()} for n, table in results.traffic.items()},
        "energy": {n: {k: asdict(e) for k, e in table.items()} for n, table in results.energy.items()},
    }
