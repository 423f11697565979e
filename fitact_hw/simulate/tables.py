"""Tables on the terminal and the PNG chart of an experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fitact_hw.faults import Outcome
from fitact_hw.networks import SCHEMES
from fitact_hw.reporting.formats import percent_interval
from fitact_hw.reporting.palette import LABELS, OUTCOMES, scheme_style
from fitact_hw.reporting.statistics import Estimate
from fitact_hw.simulate.fault_free import LayerRow

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""CIFAR-10 class names in label order."""

ALL = "all structures"
"""Row label of the sum over structures."""


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


def print_classes(console: Console, rows: Sequence[dict[str, Any]], limit: int = 20) -> None:
    """RTL and golden classification side by side with the label, at most ``limit`` lines."""
    table = Table(title="Classification of the test images")
    for name in ("image", "label", "RTL", "golden", "agree"):
        table.add_column(name)
    for row in rows[:limit]:
        agree = "yes" if row["rtl"] == row["golden"] else "[red]NO[/]"
        mark = "" if row["rtl"] == row["label"] else " [yellow](wrong)[/]"
        names = [CLASSES[row[key]] for key in ("label", "rtl", "golden")]
        table.add_row(str(row["image"]), names[0], names[1] + mark, names[2], agree)
    console.print(table)
    if len(rows) > limit:
        console.print(f"... and {len(rows) - limit} more in results.json")


def outcome_counts(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Counter[str]]]:
    """Counts by scheme, then structure (and `ALL`), then outcome value."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for row in rows:
        scheme = counts.setdefault(row["scheme"], {})
        for key in (row["structure"], ALL):
            scheme.setdefault(key, Counter())[row["outcome"]] += 1
    return counts


def print_upsets(console: Console, rows: Sequence[dict[str, Any]], live: dict[str, tuple[int, int]]) -> None:
    """Outcome counts by structure and scheme, with the 95 % Wilson interval of the SDC share.

    ``live``: structure -> (upsets, points drawn until so many were live).
    """
    counts = outcome_counts(rows)
    table = Table(title="Single-event upsets in RTL: the same bits and moments for every scheme")
    table.add_column("structure")
    table.add_column("scheme")
    for outcome in Outcome:
        table.add_column(LABELS[outcome], justify="right")
    table.add_column("SDC, 95 % interval", justify="right")
    for structure in ordered_structures(counts):
        schemes = [name for name in SCHEMES if structure in counts.get(name, {})]
        for scheme in schemes:
            tally = counts[scheme][structure]
            total = sum(tally.values())
            sdc = tally[Outcome.SDC.value]
            numbers = [str(tally[outcome.value] or "-") for outcome in Outcome]
            text = f"{sdc}/{total} = {percent_interval(Estimate.of(sdc, total))}"
            name = structure.replace("_", " ") if scheme == schemes[0] else ""
            style = "bold" if structure == ALL else ""
            table.add_row(name, scheme, *numbers, text, style=style, end_section=scheme == schemes[-1])
    console.print(table)
    shares = ", ".join(f"{name.replace('_', ' ')} {kept / max(1, drawn):.1%}" for name, (kept, drawn) in live.items())
    console.print(
        f"Upsets strike live bits only (written, and read again). Live share of all (bit, cycle) points: {shares}. "
        "Any other upset is masked; probability per upset = live share x share in the table. "
        "Every structure gets the same number of upsets: the last rows are not weighted by size."
    )


def ordered_structures(counts: dict[str, dict[str, Counter[str]]]) -> list[str]:
    """Structures in alphabetical order, the sum last."""
    return [*sorted({key for scheme in counts.values() for key in scheme} - {ALL}), ALL]


def plot_upsets(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """The chart of `print_upsets`: outcome shares by structure, one panel per scheme, and SDC intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    counts = outcome_counts(rows)
    schemes = [name for name in SCHEMES if name in counts]
    structures = ordered_structures(counts)
    figure, axes = plt.subplots(
        1,
        len(schemes) + 1,
        figsize=(3.1 * (len(schemes) + 1) + 1.5, 0.42 * len(structures) + 2.3),
        sharey=True,
    )
    for axis, scheme in zip(axes, schemes, strict=False):
        for position, structure in enumerate(structures):
            tally = counts[scheme].get(structure, Counter())
            total = sum(tally.values())
            left = 0.0
            for outcome in Outcome:
                share = tally[outcome.value] / total if total else 0.0
                axis.barh(position, share, left=left, color=OUTCOMES[outcome].colour, height=0.75)
                left += share
            axis.text(1.01, position, f"n={total}", va="center", fontsize=7, color="#555555")
        axis.set_title(scheme)
        axis.set_xlim(0, 1.16)
        axis.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        axis.set_xlabel("share of upsets")
    axes[0].set_yticks(range(len(structures)), [name.replace("_", " ") for name in structures])
    axes[0].invert_yaxis()
    last = axes[-1]
    step = 0.8 / max(1, len(schemes))
    for number, scheme in enumerate(schemes):
        for position, structure in enumerate(structures):
            tally = counts[scheme].get(structure, Counter())
            total = sum(tally.values())
            if not total:
                continue
            sdc = Estimate.of(tally[Outcome.SDC.value], total)
            height = position - 0.4 + step * (number + 0.5)
            last.errorbar(
                sdc.value,
                height,
                xerr=[[sdc.value - sdc.low], [sdc.high - sdc.value]],
                fmt="o",
                markersize=3.5,
                linewidth=1.1,
                color=scheme_style(scheme).colour,
                label=scheme if position == 0 else None,
            )
    last.set_title("SDC, 95 % Wilson interval")
    last.set_xlim(-0.02, 1.02)
    last.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    last.legend(fontsize=7, loc="lower right")
    for axis in axes:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=OUTCOMES[outcome].colour) for outcome in Outcome]
    figure.legend(
        handles, [LABELS[outcome] for outcome in Outcome], loc="lower center", ncol=len(Outcome), frameon=False
    )
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(path, dpi=130)
    plt.close(figure)
