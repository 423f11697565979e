"""The two experiments a user runs: schemes over bit error rates, and the granularity of bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.published import DATA
from fitact_hw.reporting.terminal import noter
from fitact_hw.resilience import charts, markdown, tables
from fitact_hw.resilience.pool import HERE, Processes
from fitact_hw.resilience.store import DATABASE, ResultStore
from fitact_hw.resilience.study import run
from fitact_hw.resilience.subjects import Settings, Subject, granularity_subjects, scheme_subjects
from fitact_hw.resilience.summary import REFERENCE, Summary, bounds_cost, summarise
from golden.bounds.granularity import Granularity
from golden.bounds.schemes import DEFAULT
from golden.bounds.stored import BoundFormat, variant_name
from golden.subjects.names import short_name
from golden.support.files import write_text

RESILIENCE, GRANULARITY = "resilience", "granularity"

FINEST = variant_name(Granularity.NEURON, False, BoundFormat.WORD.value)
"""What the other networks of the granularity study are compared with."""


def run_resilience(settings: Settings, folder: Path, console: Console, processes: Processes = HERE) -> list[Summary]:
    """Accuracy of every scheme at every rate; page and chart in ``folder``, CSV and Parquet in its ``data``."""
    summaries = _run(settings, scheme_subjects(settings), folder, console, processes, RESILIENCE, REFERENCE)
    save_png(charts.accuracy(summaries, short_name(settings.model), settings.seed), folder / f"{RESILIENCE}.png")
    return summaries


def run_granularity(
    settings: Settings,
    folder: Path,
    console: Console,
    processes: Processes = HERE,
    source: str = DEFAULT.name,
    learned: Sequence[Path] = (),
) -> list[Summary]:
    """Accuracy against bytes of bound storage for every granularity, form and activation; see granularity_subjects."""
    subjects = granularity_subjects(settings, source, learned)
    extra = {"source": source, "learned": list(learned)}
    summaries = _run(settings, subjects, folder, console, processes, GRANULARITY, FINEST, extra)
    save_png(
        charts.storage(summaries, short_name(settings.model), settings.seed, source), folder / f"{GRANULARITY}.png"
    )
    return summaries


def _run(
    settings: Settings,
    subjects: list[Subject],
    folder: Path,
    console: Console,
    processes: Processes,
    stem: str,
    reference: str,
    extra: Mapping[str, Any] | None = None,
) -> list[Summary]:
    rows = run(settings, subjects, folder, console, processes=processes)
    order = {s.key: index for index, s in enumerate(subjects)}
    rows.sort(key=lambda row: (order[row.scheme, row.word_bits, row.memory], row.rate, row.map))
    summaries = summarise(rows, reference)
    tables.write_tables(rows, summaries, folder / DATA, stem)
    with ResultStore(folder / DATABASE) as store:
        facts = {**asdict(settings), "runs": store.runs()}
    write_text(folder / DATA / f"{stem}.json", json.dumps(facts, indent=1) + "\n")
    tables.print_summaries(console, summaries, reference)
    costs = bounds_cost(rows)
    tables.print_costs(console, costs)
    markdown.write_page(settings, summaries, costs, reference, folder / f"{stem}.md", extra)
    said = f"results in {folder}: {stem}.md, {stem}.png, and {DATA}/{stem}.csv, {DATA}/{stem}_maps.csv (and .parquet)"
    noter(console)(said)
    return summaries
