"""Results of a study as tables: on the terminal, as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fitact_hw.reporting.map_statistics import ENOUGH_MAPS, too_few
from fitact_hw.resilience.store import COLUMNS, Row
from fitact_hw.resilience.summary import REFERENCE, BoundsCost, Summary, bounds_cost
from golden.bounds.schemes import titled
from golden.errors import GoldenError
from golden.support.files import write_bytes, write_text


def signed(points: float) -> str:
    """A difference with its sign and one decimal; what rounds to nothing is +0.0."""
    return f"{points:+.1f}".replace("-0.0", "+0.0")


def signed_interval(mean: float | None, low: float | None, high: float | None) -> str:
    """A difference and, if it has one, its interval; empty if there is none."""
    if mean is None:
        return ""
    if low is None or high is None or low == mean == high:
        return signed(mean)
    return f"{signed(mean)} ({signed(low)} {signed(high)})"


def accuracy_cell(summary: Summary) -> str:
    """Mean and, if there are several maps, interval."""
    if summary.low is None or summary.maps == 1:
        return f"{summary.mean:.1f}"
    return f"{summary.mean:.1f} ({summary.low:.1f}-{summary.high:.1f})"


_UNPUBLISHED = ("pairs",)
"""Fields of a summary that its files do not have."""


def write_tables(rows: Sequence[Row], summaries: Sequence[Summary], folder: Path, stem: str) -> list[Path]:
    """``<stem>`` (summaries), ``<stem>_maps`` (one line per map) and, if bounds were in both kinds of memory,
    ``<stem>_bounds`` as CSV and Parquet; returns the paths. A column ``note`` says which lines give no verdict; there
    is none where all do."""
    tables = {stem: _noted(Summary, summaries), f"{stem}_maps": (list(COLUMNS), [astuple(row) for row in rows])}
    costs = bounds_cost(rows)
    if costs:
        tables[f"{stem}_bounds"] = _noted(BoundsCost, costs)
    paths = []
    for name, (columns, lines) in tables.items():
        paths.append(_write_csv(folder / f"{name}.csv", columns, lines))
        paths.append(_write_parquet(folder / f"{name}.parquet", columns, lines))
    return paths


def _noted(kind: type, lines: Sequence[Summary] | Sequence[BoundsCost]) -> tuple[list[str], list[tuple[object, ...]]]:
    """Columns and lines of summaries, with their notes if there are any."""
    names = [field.name for field in fields(kind) if field.name not in _UNPUBLISHED]
    names += ["note"] if any(line.note for line in lines) else []
    return names, [tuple(getattr(line, name) for name in names) for line in lines]


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


def read_maps(path: Path) -> list[Row]:
    """The rows of a ``<stem>_maps.csv`` file. Raises GoldenError for any other file."""
    kinds = {"str": str, "int": int, "float": float}
    try:
        return [Row(**{f.name: kinds[str(f.type)](line[f.name]) for f in fields(Row)}) for line in read_csv(path)]
    except (KeyError, ValueError, OSError) as error:
        raise GoldenError(f"{path}: no table of fault maps ({error!r})") from None


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
        cell = {(s.label, s.rate): accuracy_cell(s) for s in part}
        title = f"Top-1 accuracy in %, mean and 95 % interval over maps ({word_bits} bits, {some.images} images)"
        _print(console, title, list(dict.fromkeys(s.label for s in part)), rates, cell)
        gains = {
            (s.label, s.rate): signed_interval(s.difference, s.difference_low, s.difference_high)
            for s in part
            if s.difference is not None
        }
        if gains:
            title = f"{titled(reference)} minus rival in points, same maps, 95 % interval ({word_bits} bits)"
            _print(console, title, list(dict.fromkeys(label for label, _ in gains)), rates, gains)
    maps = min((s.maps for s in summaries if s.rate > 0), default=ENOUGH_MAPS)
    if too_few(maps):
        why = "one map has no interval" if maps == 1 else "intervals of so few are too narrow"
        console.print(f"[yellow]{too_few(maps)}, and {why}: ask for --maps {ENOUGH_MAPS} or more[/]")


def print_costs(console: Console, costs: Sequence[BoundsCost]) -> None:
    """Per word width: points lost because the bounds themselves are hit."""
    for word_bits in sorted({cost.word_bits for cost in costs}):
        part = [cost for cost in costs if cost.word_bits == word_bits]
        cell = {(c.scheme, c.rate): signed_interval(c.lost, c.low, c.high) for c in part}
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
