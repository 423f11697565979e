"""Accuracy at a bit error rate against area: what a scheme buys for what it costs, and the schemes that none beats.

Accuracies come from the CSV files of `make resilience` and `fitact granularity` (bit errors in parameter memory).
A scheme without a row there is listed as missing; nothing is interpolated. Codecs of the on-chip buffers and copied
lanes are left out: they see parameters that were wrong in memory already, and act on upsets that such a study has not.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fitact_hw.config import BoundFormat, Granularity
from fitact_hw.errors import FitActError
from fitact_hw.overhead.cost import Cost
from fitact_hw.overhead.schemes import BASELINE, CHEAP, ON_CHIP, SCHEMES, short_of
from fitact_hw.overhead.tables import split_lines
from fitact_hw.reporting.figures import NORMAL, SMALL, dots, new_figure, place_labels
from fitact_hw.reporting.formats import listed, scientific
from fitact_hw.reporting.palette import GRID, NEUTRAL, SERIES, Style
from golden.bounds.schemes import known
from golden.bounds.stored import LEARNED, variant_name

ACCURACY_OF = {scheme.key: scheme.accuracy for scheme in SCHEMES if scheme.accuracy}
"""Scheme of the accuracy files whose networks each machine runs."""


def accuracy_of(key: str) -> str:
    """Scheme of the accuracy files that the machine called ``key`` runs; empty if it protects no memory."""
    return ACCURACY_OF.get(key, key if key in known() else "")


MISSING = "missing: "
"""Before a scheme without an accuracy, in the CSV file."""

LEARNED_OF = {
    scheme.key: variant_name(scheme.bounds, False, LEARNED)
    for scheme in CHEAP
    if scheme.bounds is not Granularity.NEURON and scheme.bound_format is BoundFormat.WORD
}
"""Bounds that were learned for their groups (`granularity --learned`): taken instead, if the files have them."""

ON_CHIP_NOTE = (
    f"Not here: {', '.join(scheme.short for scheme in ON_CHIP)}. They act on upsets on the chip, "
    "and these faults are in external memory."
)
"""Why some machines of the comparison have no point."""

COLUMNS = ("scheme", "word_bits", "memory", "rate", "maps", "images", "mean", "low", "high")
"""What is read of the accuracy files."""

MEMORY = "faulty"
"""Bounds lie in the same faulty memory as weights and biases."""


@dataclass(frozen=True)
class Point:
    """One scheme: area added (percent of unprotected, with noise) and accuracy (percent, 95 % interval), over ``maps``
    fault maps and ``images``, of the file ``source``."""

    scheme: str
    label: str
    area_percent: float
    area_noise_percent: float
    accuracy_percent: float
    low: float
    high: float
    accuracy_of: str
    maps: int
    images: int
    source: str
    front: bool = False


@dataclass(frozen=True)
class Pareto:
    """All points at one bit error rate on one ``machine`` (in words), and the schemes without an accuracy."""

    machine: str
    rate: float
    word_bits: int
    points: tuple[Point, ...]
    missing: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images of most accuracies."""
        return max((point.images for point in self.points), default=0)

    @property
    def star(self) -> str:
        """What the star of :meth:`marked` means; empty if there is none."""
        fewer = sorted({point.images for point in self.points} - {self.images})
        return f"*: {listed([str(number) for number in fewer])}" if fewer else ""

    def marked(self, point: Point) -> str:
        """The name of a point, with a star if its accuracy is over fewer images than the others'."""
        return point.label + "*" * (point.images < self.images)

    @property
    def sources(self) -> str:
        """The files of the accuracies."""
        return ", ".join(dict.fromkeys(point.source for point in self.points))


def read_accuracy(paths: Sequence[Path], word_bits: int, rate: float) -> dict[str, dict[str, str]]:
    """Rows at ``rate`` by scheme. Raises FitActError for a missing or foreign file, or if no row fits."""
    rows: dict[str, dict[str, str]] = {}
    rates: set[float] = set()
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                lines = list(csv.DictReader(stream))
        except (OSError, UnicodeDecodeError) as error:
            raise FitActError(f"--pareto {path}: cannot be read ({error})") from None
        if not lines or not set(COLUMNS) <= set(lines[0]):
            raise FitActError(f"--pareto {path}: not a CSV file of `make resilience` or `fitact granularity`")
        fitting = [row for row in lines if int(row["word_bits"]) == word_bits and row["memory"] == MEMORY]
        rates |= {float(row["rate"]) for row in fitting}
        rows |= {row["scheme"]: {**row, "source": path.name} for row in fitting if float(row["rate"]) == rate}
    single = [f"{row['scheme']} of {row['source']}" for row in rows.values() if not row["low"]]
    if single:
        raise FitActError(f"--pareto: {single[0]} has one fault map and no interval: repeat it with --maps 10 or more")
    if not rates:
        raise FitActError(f"--pareto: no accuracies of {word_bits}-bit words in these files; set --word")
    if not rows:
        known = ", ".join(f"{value:g}" for value in sorted(rates))
        raise FitActError(f"--ber {rate:g}: not among the rates of these files ({known})")
    return rows


def evaluate(costs: Mapping[str, Cost], paths: Sequence[Path], machine: str, word_bits: int, rate: float) -> Pareto:
    """Area and accuracy of every scheme of :data:`ACCURACY_OF`. Raises FitActError, see :func:`read_accuracy`."""
    rows = read_accuracy(paths, word_bits, rate)
    added = {key: (total, noise) for key, _, _, total, noise in split_lines(dict(costs))} | {BASELINE.key: (0.0, 0.0)}
    points, missing = [], []
    for key in (key for key in costs if accuracy_of(key)):
        scheme = LEARNED_OF[key] if LEARNED_OF.get(key) in rows else accuracy_of(key)
        row = rows.get(scheme)
        if row is None:
            missing.append(f"{short_of(key)} (needs {scheme})")
            continue
        accuracy, low, high = (float(row[name]) for name in ("mean", "low", "high"))
        area, noise = added[key]
        counts = int(row["maps"]), int(row["images"]), row["source"]
        points.append(Point(key, short_of(key), 100 * area, 100 * noise, accuracy, low, high, scheme, *counts))
    front = [p for p in points if not any(_beats(other, p) for other in points)]
    marked = tuple(Point(**{**asdict(p), "front": p in front}) for p in points)
    return Pareto(machine, rate, word_bits, marked, tuple(missing))


def _beats(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better."""
    better = one.area_percent < other.area_percent or one.accuracy_percent > other.accuracy_percent
    return better and one.area_percent <= other.area_percent and one.accuracy_percent >= other.accuracy_percent


def write_csv(result: Pareto, path: Path) -> None:
    """One line per scheme; schemes without an accuracy have empty fields."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = [name for name in Point.__dataclass_fields__ if name != "front"]
        writer.writerow([*names, "pareto", "bit_error_rate", "word_bits", "machine"])
        for point in result.points:
            values = [getattr(point, name) for name in names]
            texts = [f"{value:.4g}" if isinstance(value, float) else value for value in values]
            writer.writerow([*texts, int(point.front), f"{result.rate:g}", result.word_bits, result.machine])
        for text in result.missing:
            writer.writerow(
                [f"{MISSING}{text}", *[""] * len(names), f"{result.rate:g}", result.word_bits, result.machine]
            )


def read_csv(path: Path) -> Pareto:
    """What :func:`write_csv` wrote, rounded as there. Raises FitActError for any other file."""
    kinds = {"str": str, "int": int, "float": float}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = list(csv.DictReader(stream))
        measured = [line for line in lines if line["pareto"]]
        points = [
            Point(
                **{f.name: kinds[str(f.type)](line[f.name]) for f in fields(Point) if f.name != "front"},
                front=line["pareto"] == "1",
            )
            for line in measured
        ]
        missing = tuple(line["scheme"].removeprefix(MISSING) for line in lines if not line["pareto"])
        first = measured[0]
        return Pareto(first["machine"], float(first["bit_error_rate"]), int(first["word_bits"]), tuple(points), missing)
    except (OSError, UnicodeDecodeError, KeyError, ValueError, IndexError) as error:
        raise FitActError(f"{path}: no Pareto table of `fitact overhead --pareto` ({error!r})") from None


def chart(result: Pareto) -> Any:
    """Accuracy against area, the front as a line, every point labelled."""
    maps = listed([f"{number}" for number in sorted({p.maps for p in result.points})])
    images, stars = result.images, f" ({result.star})" if result.star else ""
    heading = (
        f"{result.machine}: accuracy at a bit error rate of {scientific(result.rate)} in parameter memory\n"
        f"{result.sources}: {maps} fault maps, {images:,} images{stars}; lines: 95 % intervals over maps"
    )
    figure, (axis,) = new_figure(1, 1, (10, 6), heading)
    front = sorted((p for p in result.points if p.front), key=lambda p: p.area_percent)
    areas = [p.area_percent for p in front for _ in range(2)][1:]
    axis.plot(areas, [p.accuracy_percent for p in front for _ in range(2)][:-1], color=SERIES[0], linewidth=0.7)
    for chosen, style, label in (
        (True, Style(SERIES[0], "o"), "Pareto front"), (False, Style(NEUTRAL, "o"), "no better than a smaller one")
    ):  # fmt: skip
        group = [p for p in result.points if p.front is chosen]
        if group:
            areas, values = [p.area_percent for p in group], [p.accuracy_percent for p in group]
            ends = [p.low for p in group], [p.high for p in group]
            dots(axis, areas, values, ends, style, label, upright=True, hollow=not chosen, size=6)
    axis.set_xlabel("area added, % of the unprotected machine", fontsize=NORMAL)
    axis.set_ylabel("top-1 accuracy, %", fontsize=NORMAL)
    axis.grid(color=GRID, linewidth=0.6)
    axis.margins(x=0.08, y=0.08)
    place_labels(
        figure, axis,
        [(p.area_percent, p.accuracy_percent, result.marked(p)) for p in result.points],
    )  # fmt: skip
    notes = [ON_CHIP_NOTE]
    notes += ["No accuracy measured: " + ", ".join(result.missing) + "."] if result.missing else []
    figure.supxlabel("\n".join(notes), fontsize=SMALL, x=0.01, ha="left")
    axis.legend(fontsize=NORMAL, loc="lower right", frameon=False)
    return figure


def markdown(result: Pareto) -> list[str]:
    """The points as a Markdown table, the front in bold."""
    lines = [
        f"## Accuracy at a bit error rate of {result.rate:g} against area",
        "",
        f"Accuracies: {result.sources} ({result.word_bits}-bit words, bounds in faulty memory too; "
        f"{result.images:,} images{f', {result.star}' if result.star else ''}).",
        "",
        "| scheme | area added | top-1 % (95 % interval) | |",
        "|---|---:|---|---|",
    ]
    for p in sorted(result.points, key=lambda p: p.area_percent):
        mark = "**Pareto front**" if p.front else ""
        accuracy = f"{p.accuracy_percent:.1f} ({p.low:.1f}-{p.high:.1f})"
        lines.append(f"| {result.marked(p)} | {p.area_percent:+.2f} % | {accuracy} | {mark} |")
    lines += ["", ON_CHIP_NOTE]
    if result.missing:
        lines += ["", "No accuracy measured: " + ", ".join(result.missing) + "."]
    return lines
