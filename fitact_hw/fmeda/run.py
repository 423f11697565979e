"""`fitact fmeda`: the page, its tables, and what is printed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fitact_hw.fmeda import page
from fitact_hw.fmeda.classes import Classes
from fitact_hw.fmeda.rates import Rate
from fitact_hw.fmeda.subjects import Alarm, load, subjects
from fitact_hw.fmeda.table import LEVELS, lines, metrics
from fitact_hw.overhead.html import html
from fitact_hw.reporting.provenance import Run, fingerprint, section
from fitact_hw.reporting.terminal import noter
from golden.support.files import write_json, write_text

PAGE, FIT, METRICS, RECORD = "fmeda.html", "fmeda.csv", "fmeda_metrics.csv", "fmeda.json"


def run_fmeda(
    console: Console,
    sources: Sequence[Path],
    out: Path,
    rates: Mapping[str, Rate],
    classes: Classes,
    *,
    schemes: Sequence[str] = (),
    confidence: float = 0.95,
    external_mbit: float = 0.0,
    alarm: Alarm | None = None,
) -> dict[str, Any]:
    """Write page and tables on the campaigns in ``sources`` (folders or Parquet files) into ``out``.

    Raises CampaignError for a campaign that cannot be read or weighted, FitActError for a missing raw rate.
    """
    began, campaigns = Run(), [load(path) for path in sources]
    found = subjects(campaigns, schemes, classes, external_mbit, alarm)
    results = [
        page.Result(item, lines(item.parts, rates, confidence), metrics(item.parts, rates, confidence))
        for item in found
    ]
    _print(console, results)
    fit, targets = page.fit_csv(results), page.metrics_csv(results)
    prints = {
        path.name: fingerprint(repr((campaign.identity, campaign.rows)))
        for path, campaign in zip(sources, campaigns, strict=True)
    }
    record = began.record(campaigns=prints)
    text = page.markdown(results, rates, classes, confidence, began.command)
    write_text(out / PAGE, html("\n".join([text, "", *section(record), ""]), {}))
    write_text(out / FIT, fit)
    write_text(out / METRICS, targets)
    write_json(out / RECORD, record)
    noter(console)(f"page: {out / PAGE}; FIT: {out / FIT}; metrics: {out / METRICS}")
    return {
        "files": {"page": out / PAGE, "fit": out / FIT, "metrics": out / METRICS},
        "classes": {"source": classes.source, "rules": classes.rules},
        "rates": list(rates.values()),
        "fit": list(csv.DictReader(io.StringIO(fit))),
        "metrics": list(csv.DictReader(io.StringIO(targets))),
        "provenance": record,
        "left_out": page.LEFT_OUT if external_mbit else (*page.LEFT_OUT, page.OF_MEMORY),
    }


def _print(console: Console, results: Sequence[page.Result]) -> None:
    for result in results:
        table = Table(title=result.title, title_justify="left")
        for name in ("metric", "value", *LEVELS):
            table.add_column(name, justify="left" if name == "metric" else "right")
        for metric in result.metrics:
            table.add_row(metric.name, page.shown(metric), *(metric.verdicts or [""] * len(LEVELS)))
        console.print(table)
