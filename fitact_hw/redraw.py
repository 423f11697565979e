"""Draws the charts of published results again from their data: no simulation, no network, the same figures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitact_hw.alarms.run import archive_of, redrawn
from fitact_hw.campaign.archive import load_archive
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.report.findings import all_comparisons
from fitact_hw.campaign.report.publish import file_stem, published_charts
from fitact_hw.errors import FitActError
from fitact_hw.overhead import charts as overhead_charts
from fitact_hw.overhead import pareto
from fitact_hw.overhead.flow import OVERHEAD
from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.published import DATA
from fitact_hw.resilience import charts as resilience_charts
from fitact_hw.resilience.experiments import GRANULARITY, RESILIENCE
from fitact_hw.resilience.summary import summarise
from fitact_hw.resilience.tables import read_maps
from fitact_hw.simulate import charts as sim_charts
from fitact_hw.simulate import counts

Named = tuple[str, Any]
"""Name of a PNG file, and matplotlib's figure."""

CONFIDENCE = 0.95


def redraw(folder: Path, drawn: Callable[[Path], None]) -> list[Path]:
    """Draw every chart of the pages in ``folder`` from the tables in its ``data``; returns the PNG files written.

    ``drawn`` is called with each. Raises FitActError where there are no such tables, or if one cannot be read.
    """
    data = folder / DATA
    if not data.is_dir():
        raise FitActError(f"{folder} has no folder {DATA!r} of published tables: name a folder such as docs/results")
    written = []
    for pattern, figures in SOURCES.items():
        for path in sorted(data.glob(pattern)):
            for name, figure in figures(path, folder):
                written.append(save_png(figure, folder / name))
                drawn(written[-1])
    if not written:
        raise FitActError(f"{data} holds none of {', '.join(SOURCES)}: nothing to draw")
    return written


def _campaign(path: Path, _: Path) -> Iterator[Named]:
    campaign = load_archive(path)
    analysis = Analysis(campaign, CONFIDENCE)
    for chart in published_charts(analysis, all_comparisons(analysis)):
        yield f"{file_stem(campaign)}_{chart.name}.png", chart.figure


@dataclass(frozen=True)
class Study:
    """What the title of a chart of fault maps needs and its table does not hold."""

    experiment: str
    model: str
    seed: int
    source: str


def study_of(page: Path) -> Study | None:
    """The study that made a page, from the command on it; None if it is no page of one."""
    found = re.search(r"^\* command: `fitact (.*)`$", page.read_text(encoding="utf-8") if page.is_file() else "", re.M)
    words = shlex.split(found[1]) if found else []
    if not words or words[0] not in (RESILIENCE, GRANULARITY):
        return None
    options = dict(zip(words[2::2], words[3::2], strict=False))
    return Study(words[0], words[1], int(options["--seed"]), options.get("--source", ""))


def _maps(path: Path, folder: Path) -> Iterator[Named]:
    stem = path.stem.removesuffix("_maps")
    study = study_of(folder / f"{stem}.md")
    if study is None:  # other tables of maps have pages of their own kind, without a chart
        return
    summaries = summarise(read_maps(path))
    if study.experiment == GRANULARITY:
        yield f"{stem}.png", resilience_charts.storage(summaries, study.model, study.seed, study.source)
    else:
        yield f"{stem}.png", resilience_charts.accuracy(summaries, study.model, study.seed)


def _alarms(path: Path, _: Path) -> Iterator[Named]:
    if (path.parent / archive_of(path.stem)).is_file():  # else one of the tables that the curve is made of
        yield f"{path.stem}.png", redrawn(path)


def _pareto(path: Path, _: Path) -> Iterator[Named]:
    yield f"{path.stem}.png", pareto.chart(pareto.read_csv(path))


def _overhead(path: Path, _: Path) -> Iterator[Named]:
    yield f"{path.stem}.png", overhead_charts.comparison(json.loads(path.read_text(encoding="utf-8")))


def _sim(path: Path, _: Path) -> Iterator[Named]:
    yield f"{path.stem}.png", sim_charts.upsets(*counts.read_csv(path))


SOURCES: dict[str, Callable[[Path, Path], Iterator[Named]]] = {
    "campaign_*.parquet": _campaign,
    "*_maps.csv": _maps,
    "alarms_*.csv": _alarms,
    "pareto_*.csv": _pareto,
    OVERHEAD: _overhead,
    "sim_*.csv": _sim,
}
"""Tables that charts are drawn from: name -> function of the table and the folder of its page."""
