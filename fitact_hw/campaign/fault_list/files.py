"""Reading a fault list from a file of any form, and writing the faults of a campaign with their statuses."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

from fitact_hw.campaign.archive import write_archive
from fitact_hw.campaign.fault_list import tables, text
from fitact_hw.campaign.fault_list.formats import ExportFormat
from fitact_hw.campaign.fault_list.listed import FaultList, FaultListError, Listed
from fitact_hw.campaign.plan import command_of
from fitact_hw.campaign.snapshot import Campaign
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.errors import FitActError
from fitact_hw.sites import list_sites
from golden.support.files import write_text


def read_fault_list(path: Path) -> FaultList:
    """The list in ``path``: ``.csv``, ``.parquet``, else the text form. Raises CampaignError, FaultListError."""
    try:
        content = path.read_bytes()
        found = list(_faults(path, content))
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignError(f"{path} cannot be read as a fault list: {error}") from None
    except FitActError as error:
        raise CampaignError(f"{path}: {error}") from None
    if wrong := [item for item in found if isinstance(item, str)]:
        raise FaultListError(path.name, len(found), wrong)
    if not found:
        raise CampaignError(f"{path} has no faults: see docs/reference/formats.md for what a fault list holds")
    faults = tuple(item for item in found if isinstance(item, Listed))
    return FaultList(path.name, hashlib.sha256(content).hexdigest(), faults)


def _faults(path: Path, content: bytes) -> Iterable[tables.Found]:
    if path.suffix == ".parquet":
        return tables.parquet_faults(content)
    read: Callable[[str], Iterable[tables.Found]] = tables.csv_faults if path.suffix == ".csv" else text.text_faults
    return read(content.decode("utf-8-sig"))


def export(campaign: Campaign, form: ExportFormat, path: Path) -> None:
    """Write every fault of ``campaign`` with its status. Raises CampaignError without pyarrow (Parquet only)."""
    if form is ExportFormat.PARQUET:
        write_archive(path, campaign)
    elif form is ExportFormat.CSV:
        write_text(path, _csv(campaign.rows))
    else:
        memories = [site.path for site in list_sites(campaign.options.config) if site.kind == "memory"]
        head = f"{campaign.title}\n{command_of(campaign.options)}"
        write_text(path, text.dictionary(campaign.rows, memories, head))


def _csv(rows: Iterable[Row]) -> str:
    """All columns of a row; what an older store does not have is empty."""
    names = [item.name for item in fields(Row)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return stream.getvalue()
