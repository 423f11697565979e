"""How many upsets of a run of `fitact sim` ended how, as a table that its chart can be drawn from."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from fitact_hw.campaign.store import Row
from fitact_hw.errors import FitActError

Counts = Mapping[str, Mapping[str, Counter[str]]]
"""Scheme -> structure (and `ALL`) -> outcome value -> upsets."""

ALL = "all structures"
"""Row label of the sum over structures."""


@dataclass(frozen=True)
class Origin:
    """The run: network, machine, kind and seed of its upsets."""

    model: str
    rows: int
    cols: int
    word_bits: int
    shape: str
    seed: int


def count_outcomes(upsets: Iterable[tuple[str, str, str, int]]) -> dict[str, dict[str, Counter[str]]]:
    """Sums of (scheme, structure, outcome value, upsets), and over all structures."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for scheme, structure, outcome, number in upsets:
        for key in (structure, ALL):
            counts.setdefault(scheme, {}).setdefault(key, Counter())[outcome] += number
    return counts


def outcome_counts(rows: Iterable[Row]) -> dict[str, dict[str, Counter[str]]]:
    """Counts of recorded upsets."""
    return count_outcomes((row.scheme, row.structure, row.outcome, 1) for row in rows)


def ordered_structures(counts: Counts) -> list[str]:
    """Structures in alphabetical order, the sum last."""
    return [*sorted({key for scheme in counts.values() for key in scheme} - {ALL}), ALL]


_COLUMNS = ("scheme", "structure", "outcome", "upsets")


def csv_text(origin: Origin, counts: Counts) -> str:
    """A line for every scheme, structure and outcome that occurred."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(field.name for field in fields(Origin)), *_COLUMNS])
    for scheme, of_scheme in counts.items():
        for structure in sorted(of_scheme.keys() - {ALL}):
            for outcome, number in sorted(of_scheme[structure].items()):
                writer.writerow([*astuple(origin), scheme, structure, outcome, number])
    return text.getvalue()


def read_csv(path: Path) -> tuple[Origin, Counts]:
    """Inverse of :func:`csv_text`. Raises FitActError for any other file."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = list(csv.DictReader(stream))
        first = lines[0]
        origin = Origin(
            first["model"], int(first["rows"]), int(first["cols"]), int(first["word_bits"]), first["shape"],
            int(first["seed"]),
        )  # fmt: skip
        found = ((line["scheme"], line["structure"], line["outcome"], int(line["upsets"])) for line in lines)
        return origin, count_outcomes(found)
    except (OSError, UnicodeDecodeError, KeyError, ValueError, IndexError, TypeError) as error:
        raise FitActError(f"{path}: no table of `fitact sim` ({error!r})") from None
