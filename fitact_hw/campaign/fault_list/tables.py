"""Fault lists as tables: CSV with a header, or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from fitact_hw.campaign.fault_list.listed import Listed
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Upset
from golden.support.installation import how_to_install

EVENT = "event"
PARTS = ("site", "bit", "cycle")
"""Columns of a fault without ``event``; ``bit``: one number, or several with spaces between."""

OTHERS = ("word", "image", "scheme")
"""Columns that may be missing: word 0, image 0, every scheme."""

Found = Listed | str
"""A fault, or what is wrong with its line."""


def csv_faults(text: str) -> Iterator[Found]:
    """Faults of a CSV table. Raises FitActError without the columns that are needed."""
    reader = csv.DictReader(io.StringIO(text))
    _check_columns(reader.fieldnames or ())
    for line in reader:
        yield fault_of(f"line {reader.line_num}", line)


def parquet_faults(content: bytes) -> Iterator[Found]:
    """Faults of a Parquet table, such as the archive of a campaign. Raises FitActError for another file."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise FitActError(f"Parquet needs pyarrow: {how_to_install()}") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
    except (OSError, pyarrow.ArrowException) as error:
        raise FitActError(f"cannot be read as Parquet: {error}") from None
    names = file.schema_arrow.names
    _check_columns(names)
    wanted = [name for name in (EVENT, *PARTS, *OTHERS) if name in names]
    for number, row in enumerate(file.read(columns=wanted).to_pylist()):
        yield fault_of(f"row {number}", row)


def _check_columns(names: Any) -> None:
    if EVENT not in names and (missing := [name for name in PARTS if name not in names]):
        raise FitActError(f"column {missing[0]} is missing: a fault list has {EVENT}, or {', '.join(PARTS)}")


def fault_of(place: str, row: Mapping[str, Any]) -> Found:
    """The fault in a row, or what is wrong with it."""
    try:
        image = _number(row.get("image"), "image", 0)
        scheme = str(row.get("scheme") or "").strip()
        event = str(row.get(EVENT) or "").strip()
        upsets = FaultEvent.parse(event).upsets if event else (_upset(row),)
    except FitActError as error:
        return f"{place}: {error}"
    return Listed(place, upsets, image, scheme)


def _upset(row: Mapping[str, Any]) -> Upset:
    bits = str("" if (given := row.get("bit")) is None else given).split()
    if not bits:
        raise FitActError("bit is missing: write one number, or several with spaces between")
    mask = 0
    for bit in bits:
        mask |= 1 << _number(bit, "bit")
    site = str(row.get("site") or "").strip()
    return Upset(site, _number(row.get("word"), "word", 0), mask, _number(row.get("cycle"), "cycle"))


MOST_BITS = 1 << 20
"""A bit number above it is a slip: no word is so wide, and a mask of it would fill the memory."""


def _number(value: Any, name: str, default: int | None = None) -> int:
    text = "" if value is None else str(value).strip()
    if not text and default is not None:
        return default
    if not text.isdecimal() or (name == "bit" and int(text) > MOST_BITS):
        raise FitActError(f"{name} {text or repr('')}: must be a whole number, at least 0")
    return int(text)
