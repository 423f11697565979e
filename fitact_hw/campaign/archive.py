"""A campaign as one Parquet file: all injections and what they belong to; a store can be made of it again."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from fitact_hw.campaign.merge import Part, join_into
from fitact_hw.campaign.snapshot import Campaign, options_from
from fitact_hw.campaign.store import ROWS, CampaignError, Row
from golden.support.files import write_bytes
from golden.support.installation import how_to_install

METADATA = b"fitact_campaign"
"""Key of the file's metadata: JSON with ``schema`` (of the rows), ``identity`` and ``facts`` of the store."""


def write_archive(path: Path, campaign: Campaign) -> None:
    """All rows with typed columns that some row has, the logits as a list. Raises CampaignError without pyarrow."""
    pyarrow, parquet = _pyarrow()
    columns = {item.name: [getattr(row, item.name) for row in campaign.rows] for item in fields(Row)}
    columns = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    columns["logits"] = [json.loads(text) for text in columns["logits"]]
    columns["cycles"] = pyarrow.array(columns["cycles"], pyarrow.uint64())  # an upset can set the counter's top bit
    head = {"schema": ROWS, "identity": campaign.identity, "facts": campaign.facts}
    table = pyarrow.table(columns).replace_schema_metadata({METADATA: json.dumps(head, sort_keys=True)})
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    write_bytes(path, file.getvalue())


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[Row]]:
    """Identity, facts and rows that :func:`write_archive` wrote. Raises CampaignError for any other file."""
    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise CampaignError(f"{path} cannot be read as Parquet: {error}") from None
    text = (table.schema.metadata or {}).get(METADATA)
    if text is None:
        raise CampaignError(f"{path} is no archive of a campaign: name a file that `fitact campaign report` wrote")
    head = json.loads(text)
    if head["schema"] != ROWS:
        raise CampaignError(f"{path} has rows of version {head['schema']}, this program knows {ROWS}")
    rows = [Row(**{**values, "logits": json.dumps(values["logits"])}) for values in table.to_pylist()]
    return head["identity"], head["facts"], rows


def load_archive(path: Path) -> Campaign:
    """The campaign in the archive ``path``, without a store. Raises CampaignError."""
    identity, facts, rows = read_archive(path)
    options = options_from(identity, facts, (row.number for row in rows))
    return Campaign(path.parent, options, identity, facts, tuple(rows))


def restore(path: Path, folder: Path) -> int:
    """Put the injections of the archive ``path`` into the store of ``folder``; returns how many were new.

    The store is made if it is missing. Raises CampaignError if it belongs to another campaign or contradicts.
    """
    identity, facts, rows = read_archive(path)
    part = Part(str(path), identity, facts, {(row.scheme, row.number): row for row in rows}, {})
    return join_into(folder, [part])


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CampaignError(f"Parquet needs pyarrow: {how_to_install()}") from None
    return pyarrow, pyarrow.parquet
