"""`fitact alarms`: the study of one campaign, its tables and its chart."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from fitact_hw.alarms.charts import roc
from fitact_hw.alarms.clean import Clean, bounded, clean_csv, count_clean, read_clean
from fitact_hw.alarms.curve import curve_csv, points
from fitact_hw.alarms.page import markdown
from fitact_hw.alarms.struck import AlarmError, load_struck, strike, struck_csv
from fitact_hw.campaign.archive import load_archive, write_archive
from fitact_hw.campaign.report.tally import Tally
from fitact_hw.campaign.snapshot import Campaign, load_campaign
from fitact_hw.estimation.intervals import CONFIDENCE
from fitact_hw.fault_models import SEU
from fitact_hw.injection.engine import Engine
from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.provenance import Run, fingerprint, of_weights
from fitact_hw.reporting.published import DATA
from fitact_hw.reporting.terminal import bar, noter
from golden.support.files import write_json, write_text


def stem_of(campaign: Campaign) -> str:
    """Name of the files, from what the campaign is."""
    return re.sub(r"[^a-z0-9]+", "_", f"alarms {campaign.title}".lower().removesuffix(" upsets")).strip("_")


def run_alarms(
    console: Console,
    source: Path,
    out: Path,
    *,
    margins: tuple[int, ...],
    images: int,
    confidence: float,
) -> dict[str, Any]:
    """Write page, chart and tables on the campaign ``source`` (a folder or a Parquet file) into ``out``.

    ``images``: clean test images; their hits are taken from the table of an earlier run in ``out`` if that is of as
    many images and the same margins. Raises CampaignError and AlarmError for campaigns that cannot be weighted or
    judged again, FitActError for too few images.
    """
    began = Run()
    campaign = load_archive(source) if source.is_file() else load_campaign(source)
    options = campaign.options
    if options.fault_model != SEU.name:
        raise AlarmError(f"{source} has {options.fault_model} faults: an alarm is judged on single upsets ({SEU.name})")
    tally = Tally.of(campaign)
    schemes = bounded(options.model, options.config, tuple(tally.rows))
    if not schemes:
        raise AlarmError(f"{source} has no scheme with bounds: its clamps never act")
    stem, note = stem_of(campaign), noter(console)
    clean = _clean(console, campaign, schemes, images, margins, out / DATA / f"{stem}_clean.csv")
    engine = Engine(options.config, note=note)
    with bar(console, "upsets judged again") as progress:
        struck = strike(campaign, tally, schemes, margins, engine, progress)
    found = points(tally, clean, struck, margins, confidence)
    text = curve_csv(found)
    record = began.record(
        campaign=fingerprint(repr((campaign.identity, campaign.rows))), weights=of_weights(options.model)
    )
    files = {"curve": out / DATA / f"{stem}.csv", "upsets": out / DATA / f"{stem}_upsets.csv"}
    write_text(files["curve"], text)
    files["campaign"] = out / DATA / archive_of(stem)
    if not (source.is_file() and source.resolve() == files["campaign"].resolve()):
        write_archive(files["campaign"], campaign)
    write_text(files["upsets"], struck_csv(struck))
    write_json(out / DATA / f"{stem}.json", record)
    files["page"] = out / f"{stem}.md"
    write_text(files["page"], markdown(campaign, found, margins, stem, began.command))
    files["chart"] = save_png(roc(found, campaign.title), out / f"{stem}.png")
    note(f"page: {files['page']}; curve: {files['curve']}")
    return {"files": files, "points": list(csv.DictReader(io.StringIO(text))), "provenance": record}


def archive_of(stem: str) -> str:
    """Name of the published campaign of a study."""
    return f"{stem}_campaign.parquet"


def redrawn(curve: Path) -> Any:
    """The chart of a published study, from the tables beside ``curve`` and its campaign."""
    folder, stem = curve.parent, curve.stem
    campaign = load_archive(folder / archive_of(stem))
    clean = read_clean((folder / f"{stem}_clean.csv").read_text(encoding="utf-8"))
    struck, margins = load_struck(folder / f"{stem}_upsets.csv"), tuple(clean[0].images)
    return roc(points(Tally.of(campaign), clean, struck, margins, CONFIDENCE), campaign.title)


def _clean(
    console: Console, campaign: Campaign, schemes: tuple[str, ...], images: int, margins: tuple[int, ...], path: Path
) -> list[Clean]:
    kept = read_clean(path.read_text(encoding="utf-8")) if path.is_file() else []
    usable = {
        item.scheme: item
        for item in kept
        if tuple(item.images) == margins and all(sum(counts.values()) == images for counts in item.images.values())
    }
    found = []
    with bar(console, "clean images") as progress:
        done, total = 0, images * sum(scheme not in usable for scheme in schemes)

        def count(more: int) -> None:
            nonlocal done
            done += more
            progress(done, total)

        for scheme in schemes:
            if scheme not in usable:
                usable[scheme] = count_clean(
                    campaign.options.model, campaign.options.config, (scheme,), images, margins, count
                )[0]
                write_text(path, clean_csv([usable[name] for name in schemes if name in usable]))
            found.append(usable[scheme])
    return found
