"""Tables, CSV, Parquet and charts of an experiment's rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from fitact_hw.reporting.map_statistics import Interval, mean_interval, paired_interval
from fitact_hw.reporting.palette import COLOURS
from fitact_hw.resilience.store import COLUMNS, Row
from fitact_hw.resilience.subjects import FAULTY, LEARNED, PROTECTED
from golden.bounds.schemes import titled
from golden.networks.artefacts import write_bytes, write_text
from golden.quantisation.quantise import word_name

REFERENCE = "fitact"
"""The scheme that the others are compared with."""


@dataclass(frozen=True)
class Summary:
    """Accuracy over maps of one network at one rate, in per cent; and the paired difference of the reference
    minus this one (None for the reference itself, or where it was not run)."""

    scheme: str
    word_bits: int
    memory: str
    rate: float
    maps: int
    images: int
    bound_bytes: int
    mean: float
    low: float
    high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None

    @property
    def label(self) -> str:
        """Scheme, and where its bounds are if that is not the faulty memory."""
        return self.scheme if self.memory == FAULTY else f"{self.scheme} ({self.memory} bounds)"


def summarise(rows: Sequence[Row], reference: str = REFERENCE) -> list[Summary]:
    """One summary per network and rate, in the order of the rows' first appearance within a word width.

    A network is compared with the reference in the same kind of bound memory; one that has no bounds with the
    reference in faulty memory, or in protected memory if it was run only there. Only maps that both have count in
    the difference.
    """
    groups: dict[tuple[str, int, str, float], dict[int, Row]] = {}
    for row in rows:
        groups.setdefault((row.scheme, row.word_bits, row.memory, row.rate), {})[row.map] = row
    summaries = []
    for (scheme, word_bits, memory, rate), by_map in groups.items():
        first = next(iter(by_map.values()))
        values = {index: 100 * row.accuracy for index, row in sorted(by_map.items())}
        whole = mean_interval(np.array(list(values.values())))
        rival = groups.get((reference, word_bits, memory, rate), {})
        if not rival and first.bound_bytes == 0:
            rival = groups.get((reference, word_bits, PROTECTED, rate), {})
        common = [index for index in values if index in rival]
        gain: Interval | None = None
        if scheme != reference and common:
            ours = np.array([100 * rival[index].accuracy for index in common])
            gain = paired_interval(ours, np.array([values[index] for index in common]))
        ends = (None, None, None) if gain is None else (gain.mean, gain.low, gain.high)
        spread = (whole.mean, whole.low, whole.high)
        summaries.append(
            Summary(scheme, word_bits, memory, rate, len(values), first.images, first.bound_bytes, *spread, *ends)
        )
    return summaries


@dataclass(frozen=True)
class BoundsCost:
    """What is lost because the bounds lie in faulty memory: accuracy with protected bounds minus that with
    faulty ones, in points, over the same maps."""

    scheme: str
    word_bits: int
    rate: float
    maps: int
    lost: float
    low: float
    high: float


def bounds_cost(rows: Sequence[Row]) -> list[BoundsCost]:
    """The loss of every network and rate that was run with both kinds of bound memory."""
    groups: dict[tuple[str, int, float], dict[str, dict[int, float]]] = {}
    for row in rows:
        kinds = groups.setdefault((row.scheme, row.word_bits, row.rate), {})
        kinds.setdefault(row.memory, {})[row.map] = 100 * row.accuracy
    costs = []
    for (scheme, word_bits, rate), kinds in groups.items():
        common = sorted(kinds.get(FAULTY, {}).keys() & kinds.get(PROTECTED, {}).keys())
        if rate > 0 and common:
            faulty, kept = (np.array([kinds[kind][index] for index in common]) for kind in (FAULTY, PROTECTED))
            loss = paired_interval(kept, faulty)
            costs.append(BoundsCost(scheme, word_bits, rate, loss.count, loss.mean, loss.low, loss.high))
    return costs


def signed(points: float) -> str:
    """A difference with its sign and one decimal; what rounds to nothing is +0.0."""
    return f"{points:+.1f}".replace("-0.0", "+0.0")


def with_interval(mean: float, low: float | None, high: float | None) -> str:
    """A difference and its interval."""
    assert low is not None
    assert high is not None
    return f"{signed(mean)} ({signed(low)} {signed(high)})"


def write_tables(rows: Sequence[Row], summaries: Sequence[Summary], folder: Path, stem: str) -> list[Path]:
    """``<stem>`` (summaries), ``<stem>_maps`` (one line per map) and, if bounds were in both kinds of memory,
    ``<stem>_bounds`` as CSV and Parquet; returns the paths."""
    tables: dict[str, tuple[list[str], list[tuple[object, ...]]]] = {
        stem: ([field.name for field in fields(Summary)], [astuple(summary) for summary in summaries]),
        f"{stem}_maps": (list(COLUMNS), [astuple(row) for row in rows]),
    }
    costs = bounds_cost(rows)
    if costs:
        names = [field.name for field in fields(BoundsCost)]
        tables[f"{stem}_bounds"] = (names, [astuple(cost) for cost in costs])
    paths = []
    for name, (columns, lines) in tables.items():
        paths.append(_write_csv(folder / f"{name}.csv", columns, lines))
        paths.append(_write_parquet(folder / f"{name}.parquet", columns, lines))
    return paths


def _write_csv(path: Path, columns: list[str], lines: Sequence[tuple[object, ...]]) -> Path:
    write_text(path, csv_text(columns, lines))
    return path


def csv_text(columns: Sequence[str], lines: Iterable[tuple[object, ...]]) -> str:
    """A table as CSV: floats with six digits, rates with all; nothing may hold a comma."""
    text = [",".join(columns)]
    for line in lines:
        text.append(",".join(_field(column, value) for column, value in zip(columns, line, strict=True)))
    return "\n".join(text) + "\n"


def _field(column: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    # the fault maps depend on every bit of a rate
    return repr(value) if column == "rate" and value else f"{value:.6g}"


def _write_parquet(path: Path, columns: list[str], lines: Sequence[tuple[object, ...]]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    data = {name: [line[i] for line in lines] for i, name in enumerate(columns)}
    file = io.BytesIO()
    parquet.write_table(pa.table(data), file)
    write_bytes(path, file.getvalue())
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    """Lines of a written CSV file by column name."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def print_summaries(console: Console, summaries: Sequence[Summary], reference: str = REFERENCE) -> None:
    """Per word width: accuracy by scheme and rate with 95 % intervals; then the paired differences."""
    for word_bits in sorted({summary.word_bits for summary in summaries}):
        part = [summary for summary in summaries if summary.word_bits == word_bits]
        rates = sorted({summary.rate for summary in part})
        some = part[0]
        cell = {(s.label, s.rate): f"{s.mean:.1f} ({s.low:.1f}-{s.high:.1f})" for s in part}
        title = f"Top-1 accuracy in %, mean and 95 % interval over maps ({word_bits} bits, {some.images} images)"
        _print(console, title, list(dict.fromkeys(s.label for s in part)), rates, cell)
        gains = {
            (s.label, s.rate): with_interval(s.difference, s.difference_low, s.difference_high)
            for s in part
            if s.difference is not None
        }
        if gains:
            title = f"{reference} minus rival in points, same maps, 95 % interval ({word_bits} bits)"
            _print(console, title, list(dict.fromkeys(label for label, _ in gains)), rates, gains)


def print_costs(console: Console, costs: Sequence[BoundsCost]) -> None:
    """Per word width: points lost because the bounds themselves are hit."""
    for word_bits in sorted({cost.word_bits for cost in costs}):
        part = [cost for cost in costs if cost.word_bits == word_bits]
        cell = {(c.scheme, c.rate): with_interval(c.lost, c.low, c.high) for c in part}
        title = f"Points lost because the bounds are hit too, same maps, 95 % interval ({word_bits} bits)"
        _print(console, title, list(dict.fromkeys(c.scheme for c in part)), sorted({c.rate for c in part}), cell)


def _print(
    console: Console, title: str, labels: list[str], rates: list[float], cell: Mapping[tuple[str, float], str]
) -> None:
    table = Table(title=title)
    table.add_column("scheme")
    for rate in rates:
        table.add_column("no fault" if rate == 0 else f"BER {rate:g}", justify="right")
    for label in labels:
        table.add_row(titled(label), *(cell.get((label, rate), "") for rate in rates))
    console.print(table)


def plot_accuracy(summaries: Sequence[Summary], title: str, path: Path) -> None:
    """Accuracy over log bit error rate: one panel per word width, one line with its band per network."""
    words = sorted({summary.word_bits for summary in summaries}, reverse=True)
    figure, axes = _panels(len(words))
    for axis, word_bits in zip(axes, words, strict=True):
        part = [s for s in summaries if s.word_bits == word_bits]
        for label in dict.fromkeys(s.label for s in part):
            line = sorted((s for s in part if s.label == label and s.rate > 0), key=lambda s: s.rate)
            if not line:
                continue
            rates = [s.rate for s in line]
            style = {"linestyle": "-" if line[0].memory == FAULTY else "--"}
            colour = COLOURS.get(line[0].scheme)
            (drawn,) = axis.plot(
                rates, [s.mean for s in line], marker="o", markersize=4, label=titled(label), color=colour, **style
            )
            axis.fill_between(rates, [s.low for s in line], [s.high for s in line], alpha=0.15, color=drawn.get_color())
        clean = [s.mean for s in part if s.rate == 0]
        if clean:
            axis.axhline(max(clean), color="#999999", linewidth=0.8, linestyle=":", label="no fault (best)")
        axis.set_xscale("log")
        axis.set_title(word_name(word_bits))
        axis.set_xlabel("bit error rate in parameter memory")
        # below the panel: inside it would cover the curves
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=3, frameon=False)
    _finish(figure, axes, title, path)


def plot_storage(summaries: Sequence[Summary], title: str, path: Path) -> None:
    """Accuracy against bytes of bound storage: one panel per word width and rate."""
    panels = sorted({(-s.word_bits, s.rate) for s in summaries if s.rate > 0})
    figure, axes = _panels(len(panels))
    markers = {"layer": "s", "channel": "^", "patch": "D", "neuron": "o"}
    colours = {"clip": "#00798c", "saturate": "#d1495b", LEARNED: "#edae49"}
    forms = {"word": "words", "code4": "4-bit codes", LEARNED: "words, learned"}
    for axis, (negative, rate) in zip(axes, panels, strict=True):
        for s in summaries:
            if (s.word_bits, s.rate) != (-negative, rate) or s.memory != FAULTY:
                continue
            granularity, above, form = s.scheme.split("-")
            colour = colours.get(form, colours[above])
            axis.errorbar(
                s.bound_bytes,
                s.mean,
                yerr=[[max(0.0, s.mean - s.low)], [max(0.0, s.high - s.mean)]],
                fmt=markers[granularity],
                color=colour,
                markerfacecolor="white" if form == "code4" else colour,
                markersize=6,
                capsize=2,
                linewidth=1,
                label=f"{granularity} {above} {forms[form]}",
            )
        axis.set_xscale("log")
        axis.set_title(f"{word_name(-negative)}, BER {rate:g}")
        axis.set_xlabel("bytes of bound storage")
    axes[-1].legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _finish(figure, axes, title, path)


def _panels(count: int):  # type: ignore[no-untyped-def]
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, count, figsize=(4.6 * count + 1.5, 4.4), sharey=True, squeeze=False)
    return figure, list(axes[0])


def _finish(figure, axes, title: str, path: Path) -> None:  # type: ignore[no-untyped-def]
    from matplotlib import pyplot as plt

    axes[0].set_ylabel("top-1 accuracy (%)")
    for axis in axes:
        axis.grid(alpha=0.3)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.suptitle(f"{title}\n(mean and 95 % interval over fault maps)", fontsize=11)
    figure.tight_layout()
    partial = path.with_name(path.name + ".part")
    figure.savefig(partial, dpi=130, format="png")
    partial.replace(path)
    plt.close(figure)
