"""Forms of a file of faults with statuses."""

from __future__ import annotations

from enum import Enum


class ExportFormat(str, Enum):
    """What a file of faults with statuses looks like."""

    CSV = "csv"
    PARQUET = "parquet"
    DICTIONARY = "dictionary"

    @property
    def suffix(self) -> str:
        """Of a file of this form."""
        return ".txt" if self is ExportFormat.DICTIONARY else f".{self.value}"
