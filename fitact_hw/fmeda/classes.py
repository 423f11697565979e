"""Which effect of an upset belongs to which class of ISO 26262: a policy, kept in a table that can be replaced."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from fitact_hw.campaign.store import Row
from fitact_hw.errors import FitActError
from fitact_hw.faults import Outcome
from fitact_hw.structures import STRUCTURES
from golden.support.choices import must_be

DEFAULT = Path(__file__).with_name("classes.csv")

CORRECTED, SILENT, ALARM = "corrected", "silent", "alarm"

EFFECTS = (*(outcome.value for outcome in Outcome), CORRECTED, SILENT, ALARM)
"""Outcomes of a campaign, three of them divided: see :func:`effect`."""

ANY = "*"
COLUMNS = ("structure", "effect", "class", "reason")


class Class(str, Enum):
    """What a fault is to safety (ISO 26262-1 and -5)."""

    SAFE = "safe"
    DD = "dd"
    """Dangerous, detected by a safety mechanism."""
    DU = "du"
    """Dangerous, undetected: single-point or residual."""
    LATENT = "latent"
    """In a safety mechanism, undetected: dangerous with a second fault."""


TITLES = {Class.SAFE: "safe", Class.DD: "detected", Class.DU: "undetected", Class.LATENT: "latent"}


class ClassesError(FitActError):
    """A table of classes that cannot be used."""


def effect(row: Row, alarm: bool = False) -> str:
    """What the upset of ``row`` did: its outcome, but ``corrected`` if the outputs are right because buffer protection
    corrected a word, ``silent`` for a hang that no watchdog ended, and ``alarm`` for an SDC that the clamps raised an
    ``alarm`` of."""
    if alarm and row.outcome == Outcome.SDC:
        return ALARM
    if row.outcome == Outcome.HANG and not row.code:
        return SILENT
    if row.outcome == Outcome.MASKED and row.corrected_words:
        return CORRECTED
    return row.outcome


@dataclass(frozen=True)
class Rule:
    """A line of the table."""

    structure: str
    effect: str
    klass: Class
    reason: str


@dataclass(frozen=True)
class Classes:
    """A table of classes: a rule of a structure goes before one of all. ``source``: where it comes from."""

    rules: tuple[Rule, ...]
    source: str

    @property
    def _found(self) -> Mapping[tuple[str, str], Class]:
        return {(rule.structure, rule.effect): rule.klass for rule in self.rules}

    def of(self, structure: str, what: str) -> Class:
        """The class of an effect of an upset in ``structure``."""
        found = self._found
        return found.get((structure, what)) or found[ANY, what]

    def possible(self, structure: str) -> frozenset[Class]:
        """Classes that an upset in ``structure`` can come to."""
        return frozenset(self.of(structure, what) for what in EFFECTS)

    @staticmethod
    def load(path: Path = DEFAULT) -> Classes:
        """The table in the CSV file ``path``. Raises ClassesError naming the line that cannot be used."""
        shown = "fitact_hw/fmeda/classes.csv" if path == DEFAULT else str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ClassesError(f"{path} cannot be read as a table of classes: {error}") from None
        reader = csv.DictReader(io.StringIO(text))
        if missing := [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]:
            raise ClassesError(f"{path}: column {missing[0]} is missing: the first line must be {','.join(COLUMNS)}")
        rules: dict[tuple[str, str], Rule] = {}
        for line in reader:
            structure, what, klass = ((line[name] or "").strip() for name in COLUMNS[:3])
            place = f"{path}, line {reader.line_num}"
            for kind, given, known in (
                ("structure", structure, (ANY, *STRUCTURES)),
                ("effect", what, EFFECTS),
                ("class", klass, tuple(item.value for item in Class)),
            ):
                if given not in known:
                    raise ClassesError(f"{place}: {kind} {given!r} {must_be(given, known)}")
            if (structure, what) in rules:
                raise ClassesError(f"{place}: {structure} {what} has a class already")
            rules[structure, what] = Rule(structure, what, Class(klass), (line.get("reason") or "").strip())
        if open_ := [what for what in EFFECTS if (ANY, what) not in rules]:
            raise ClassesError(f"{path}: no line for {ANY},{open_[0]}: every effect needs a class for all structures")
        return Classes(tuple(rules.values()), shown)
