"""`fitact campaign report`: HTML page, CSV and Parquet beside the store, and a summary on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fitact_hw.campaign.archive import write_archive
from fitact_hw.campaign.report.analysis import (
    BIT,
    BOUND,
    LAYER,
    MACHINE,
    PE_COL,
    PE_ROW,
    STRUCTURE,
    Analysis,
)
from fitact_hw.campaign.report.comparison import Comparison, scheme_name
from fitact_hw.campaign.report.findings import all_comparisons, scope_sentences
from fitact_hw.campaign.report.measures import EFFECT, FAILURE, MEASURES, SDC
from fitact_hw.campaign.report.page import FIT_SOURCE, accounting_lines, render, replay_command
from fitact_hw.campaign.report.places import LIVE_ONLY, worst_sites
from fitact_hw.campaign.snapshot import load_campaign
from fitact_hw.reporting.formats import number_interval, percent_interval
from fitact_hw.reporting.statistics import Difference, Estimate
from fitact_hw.reporting.terminal import noter
from golden.support.files import write_text

PAGE, PARQUET, CSV = "report.html", "report.parquet", "report.csv"

CSV_HEADER = (
    "group", "key", "scheme", "rival", "measure", "hits", "upsets", "value", "low", "high", "fit", "fit_low",
    "fit_high", "p",
)  # fmt: skip


def run_report(console: Console, folder: Path, fit_per_mbit: float, confidence: float) -> dict[str, Any]:
    """Write everything about the campaign in ``folder``, print a summary, return aggregates. Raises CampaignError."""
    analysis = Analysis(load_campaign(folder), confidence)
    comparisons = all_comparisons(analysis)
    print_summary(console, analysis, comparisons, fit_per_mbit)
    page = render(analysis, comparisons, fit_per_mbit, (CSV, PARQUET))
    write_text(folder / PAGE, page)
    lines = csv_text(analysis, comparisons, fit_per_mbit)
    write_text(folder / CSV, lines)
    write_archive(folder / PARQUET, analysis.campaign)
    noter(console)(f"report: {folder / PAGE}; aggregates: {folder / CSV}; all injections: {folder / PARQUET}")
    files = {"page": folder / PAGE, "aggregates": folder / CSV, "injections": folder / PARQUET}
    return {"files": files, "aggregates": list(csv.DictReader(io.StringIO(lines)))}


def csv_text(analysis: Analysis, comparisons: Iterable[Comparison], fit_per_mbit: float) -> str:
    """All aggregates, a line per group, key, scheme and measure (of bits, PEs and bounds: SDC, failure, effect only).

    A line with ``rival`` is a paired difference: P(rival fails) - P(scheme fails).
    ``hits``: injections that count (of a difference: faults on which only the rival fails). Rates only where they
    have a meaning: whole machine and structures. Where structures have no injection, ``value`` is empty and the
    interval bounds what may happen in them.
    """
    groups = {
        MACHINE: analysis.machine, STRUCTURE: analysis.structures, LAYER: analysis.layers,
        BIT: analysis.bit_positions, BOUND: analysis.bound_flips, PE_ROW: analysis.pe_rows, PE_COL: analysis.pe_columns,
    }  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for group, entries in groups.items():
        for entry in entries:
            for measure in MEASURES if group in (MACHINE, STRUCTURE, LAYER) else (SDC, FAILURE, EFFECT):
                e = entry.estimates[measure]
                line = [group, ":".join(entry.key), entry.scheme, "", measure, e.hits, e.total, *_ends(e)]
                rated = group in (MACHINE, STRUCTURE)
                writer.writerow([*line, *_ends(entry.fit(measure, fit_per_mbit))] if rated else line)
    for item in comparisons:
        d, group = item.difference, MACHINE if item.key == MACHINE else STRUCTURE
        line = [group, item.key, item.scheme, item.rival, item.measure, d.only_first, d.total, *_ends(d)]
        writer.writerow([*line, "", "", "", f"{d.p:.4g}"])
    return text.getvalue()


def _ends(value: Estimate | Difference) -> list[str]:
    """Value and interval; what is only bounded has no value."""
    found = "" if value.unsampled else f"{value.value:.5g}"
    return [found, f"{value.low:.5g}", f"{value.high:.5g}"]


def print_summary(console: Console, analysis: Analysis, comparisons: Sequence[Comparison], fit_per_mbit: float) -> None:
    """SDC and failures by structure and scheme, the whole machine, the paired comparison, the worst sites."""
    console.print(f"[bold]{analysis.campaign.title}[/], {len(analysis.campaign.rows):,} injections")
    _print_structures(console, analysis)
    _print_machine(console, analysis, comparisons, fit_per_mbit)
    _print_worst(console, analysis)
    for name, value in accounting_lines(analysis.campaign.facts.get("runs", [])):
        console.print(f"{name}: {value}", highlight=False, soft_wrap=True)


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def _print_structures(console: Console, analysis: Analysis) -> None:
    title = f"SDC probability of an upset, {100 * analysis.confidence:g}% intervals"
    table = _table(title, ("structure",), ("upsets each", *map(scheme_name, analysis.schemes)))
    entries = analysis.structures
    for name in dict.fromkeys(entry.key[0] for entry in entries):
        of_name = {entry.scheme: entry for entry in entries if entry.key[0] == name}
        cells = [
            percent_interval(of_name[scheme].estimates[SDC]) if scheme in of_name else "" for scheme in analysis.schemes
        ]
        table.add_row(name, str(max(entry.upsets for entry in of_name.values())), *cells)
    console.print(table)


def _print_machine(
    console: Console, analysis: Analysis, comparisons: Sequence[Comparison], fit_per_mbit: float
) -> None:
    table = _table(
        f"{analysis.scope.capitalize()}, by bits; raw rate {fit_per_mbit:g} FIT/Mbit ({FIT_SOURCE})",
        ("scheme",), ("SDC", "any failure", "FIT of SDC"),
    )  # fmt: skip
    for entry in analysis.machine:
        found = [percent_interval(entry.estimates[measure]) for measure in (SDC, FAILURE)]
        table.add_row(scheme_name(entry.scheme), *found, number_interval(entry.fit(SDC, fit_per_mbit)))
    console.print(table)
    for sentence in scope_sentences(analysis):
        console.print(f"[yellow]{sentence}[/]")
    for item in comparisons:
        if item.key == MACHINE and item.measure == SDC:
            d = item.difference
            console.print(
                f"{scheme_name(item.scheme)} against {scheme_name(item.rival)}, SDC on the same faults: {item.words} "
                f"({percent_interval(d)}; only the other {d.only_first}, "
                f"only this {d.only_second}, p = {d.p:.2g})"
            )
            if resolution := item.resolution(analysis.confidence):
                console.print(f"  {resolution}", soft_wrap=True)


def _print_worst(console: Console, analysis: Analysis) -> None:
    sites = worst_sites(analysis.campaign.rows, analysis.schemes, analysis.confidence)
    if not sites:
        return
    title = f"Sites that fail most surely{LIVE_ONLY if analysis.weighting else ''}"
    table = _table(title, ("site",), ("failing upsets", "share", "one of them"))
    for site in sites:
        share = percent_interval(site.failing)
        table.add_row(site.path, f"{site.failing.hits} of {site.failing.total}", share, site.example.id)
    console.print(table)
    console.print(f"replay: {replay_command(analysis.campaign.folder, sites[0].example)}", soft_wrap=True)
