"""`fitact campaign publish`: campaigns as Markdown pages with tables and charts that can be committed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from fitact_hw.campaign.archive import write_archive
from fitact_hw.campaign.report import charts
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.report.comparison import Comparison
from fitact_hw.campaign.report.findings import all_comparisons, scope_sentences, sections
from fitact_hw.campaign.report.measures import SDC
from fitact_hw.campaign.report.page import FIT_SOURCE, environment, method_lines, pivot
from fitact_hw.campaign.report.summary import csv_text
from fitact_hw.campaign.snapshot import Campaign, load_campaign
from fitact_hw.campaign.store import CampaignError
from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.published import DATA
from golden.subjects.names import short_name
from golden.support.files import write_text


def page_name(model: str) -> str:
    """Name of the page of all campaigns on ``model``."""
    return f"campaigns_{model}.md"


def file_stem(campaign: Campaign) -> str:
    """Name of a campaign's files, from what it is (not where it lay)."""
    return re.sub(r"[^a-z0-9]+", "_", f"campaign {campaign.title}".lower().removesuffix(" upsets")).strip("_")


def run_publish(
    console: Console, folders: Sequence[Path], out: Path, fit_per_mbit: float, confidence: float
) -> dict[str, Path]:
    """Write a page for each network, charts for each campaign of ``folders`` and, in ``data/``, CSV and Parquet.

    Raises CampaignError."""
    campaigns = [load_campaign(folder) for folder in folders]
    stems = [file_stem(campaign) for campaign in campaigns]
    twice = {stem for stem in stems if stems.count(stem) > 1}
    if twice:
        raise CampaignError(f"two campaigns would write {', '.join(sorted(twice))}: publish one of them")
    (out / DATA).mkdir(parents=True, exist_ok=True)
    pages = {}
    for model in dict.fromkeys(short_name(campaign.options.model) for campaign in campaigns):
        chosen = [campaign for campaign in campaigns if short_name(campaign.options.model) == model]
        names = " ".join(f"build/campaigns/{campaign.folder.resolve().name}" for campaign in chosen)
        text = environment().get_template("campaigns.md.j2").render(
            campaigns=[_describe(campaign, out, fit_per_mbit, confidence) for campaign in chosen], model=model,
            command=f"fitact campaign publish {names}", confidence=confidence, fit_per_mbit=fit_per_mbit,
            fit_source=FIT_SOURCE, data=DATA,
        )  # fmt: skip
        write_text(out / page_name(model), text)
        pages[model] = out / page_name(model)
        console.print(f"page: {pages[model]}", soft_wrap=True)
    return pages


@dataclass(frozen=True)
class Chart:
    """A chart of a page: end of its file's name, what it shows, matplotlib's figure."""

    name: str
    caption: str
    figure: Any


def published_charts(analysis: Analysis, comparisons: Sequence[Comparison]) -> list[Chart]:
    """The charts of a campaign that are published."""
    drawn = [
        Chart("structures", "SDC and any failure by structure",
              charts.probabilities(analysis, analysis.structures, "structure")),
        Chart("layers", "SDC and any failure by layer", charts.probabilities(analysis, analysis.layers, "layer")),
    ]  # fmt: skip
    if analysis.bit_positions:
        drawn.append(Chart("bits", "Upsets by bit of the value", charts.bit_positions(analysis)))
    sdc = [item for item in comparisons if item.measure == SDC]
    if sdc:
        drawn.append(Chart("paired", "Paired differences of the SDC probability", charts.differences(analysis, sdc)))
    return drawn


def _describe(campaign: Campaign, out: Path, fit_per_mbit: float, confidence: float) -> dict[str, Any]:
    """Write the files of one campaign; returns what the page says of it."""
    analysis, stem = Analysis(campaign, confidence), file_stem(campaign)
    comparisons = all_comparisons(analysis)
    write_text(out / DATA / f"{stem}.csv", csv_text(analysis, comparisons, fit_per_mbit))
    write_archive(out / DATA / f"{stem}.parquet", campaign)
    pictures = [
        (drawn.caption, save_png(drawn.figure, out / f"{stem}_{drawn.name}.png").name)
        for drawn in published_charts(analysis, comparisons)
    ]
    return {
        "title": campaign.title, "schemes": analysis.schemes, "machine": analysis.machine,
        "open": scope_sentences(analysis),
        "csv": f"{stem}.csv", "archive": f"{stem}.parquet",
        "structures": pivot(analysis.structures), "methods": method_lines(analysis, fit_per_mbit),
        "findings": sections(analysis, comparisons, fit_per_mbit), "charts": pictures,
    }  # fmt: skip
