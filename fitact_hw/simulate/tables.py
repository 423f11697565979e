"""Tables of `fitact sim` on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fitact_hw.faults import Outcome
from fitact_hw.reporting.formats import percent_interval, spaced
from fitact_hw.reporting.palette import LABELS
from fitact_hw.reporting.statistics import Estimate
from fitact_hw.simulate.counts import ALL, Counts, ordered_structures
from fitact_hw.simulate.fault_free import LayerRow
from golden.bounds.schemes import in_order, titled
from golden.subjects.subject import Subject


def print_layers(console: Console, rows: Sequence[LayerRow], images: int, batch: int) -> None:
    """The layer table: shape, MACs, cycles, utilisation, bit-exact."""
    table = Table(title=f"Layers (MACs of one image, cycles of one program of {batch}, comparison over all {images})")
    for name, justify in (
        ("layer", "left"),
        ("output", "left"),
        ("M MAC", "right"),
        ("cycles", "right"),
        ("array used", "right"),
        ("compared", "right"),
        ("bit-exact", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        exact = "yes" if row.exact else f"[red]NO ({row.differing} differ)[/]"
        used = f"{row.utilisation:.1%}" if row.macs else "-"
        shape = "x".join(str(size) for size in row.shape)
        table.add_row(
            row.name,
            shape,
            f"{row.macs / 1e6:.2f}" if row.macs else "-",
            f"{row.cycles:,}",
            used,
            f"{row.elements:,}",
            exact,
        )
    console.print(table)


def print_classes(
    console: Console, rows: Sequence[dict[str, Any]], subject: Subject, labelled: bool = True, limit: int = 20
) -> None:
    """RTL and golden classification side by side with the label, or the class that the float network gives; at most
    ``limit`` lines."""
    table = Table(title="Classification of the test images")
    for name in ("image", "label" if labelled else "float network", "RTL", "golden", "agree"):
        table.add_column(name)
    wrong = "wrong" if labelled else "differs"
    for row in rows[:limit]:
        agree = "yes" if row["rtl"] == row["golden"] else "[red]NO[/]"
        mark = "" if row["rtl"] == row["label"] else f" [yellow]({wrong})[/]"
        names = [escape(subject.class_name(row[key])) for key in ("label", "rtl", "golden")]
        table.add_row(str(row["image"]), names[0], names[1] + mark, names[2], agree)
    console.print(table)
    if len(rows) > limit:
        console.print(f"... and {len(rows) - limit} more in results.json")


def print_upsets(console: Console, counts: Counts) -> None:
    """Outcome counts by structure and scheme, with the 95 % Wilson interval of the SDC share."""
    table = Table(title="Single-event upsets in RTL: the same bits and moments for every scheme")
    table.add_column("structure")
    table.add_column("scheme")
    for outcome in Outcome:
        table.add_column(LABELS[outcome], justify="right")
    table.add_column("SDC, 95 % interval", justify="right")
    for structure in ordered_structures(counts):
        schemes = [name for name in in_order(counts) if structure in counts[name]]
        for scheme in schemes:
            tally = counts[scheme][structure]
            total = sum(tally.values())
            sdc = tally[Outcome.SDC.value]
            numbers = [str(tally[outcome.value] or "-") for outcome in Outcome]
            text = f"{sdc}/{total} = {percent_interval(Estimate.of(sdc, total))}"
            name = spaced(structure) if scheme == schemes[0] else ""
            style = "bold" if structure == ALL else ""
            table.add_row(name, titled(scheme), *numbers, text, style=style, end_section=scheme == schemes[-1])
    console.print(table)
