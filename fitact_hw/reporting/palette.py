"""How schemes and outcomes look in every chart: colours that the colour-blind tell apart, and a second mark for each.

The hues of schemes (Okabe and Ito) and of outcomes differ, so that a chart with both is not misread.
"""

from __future__ import annotations

from dataclasses import dataclass

from fitact_hw.faults import Outcome
from golden.bounds.schemes import look_of

NEUTRAL, GRID, STRIPE, EMPTY = "#8a94a0", "#e4e7ea", "#f5f6f8", "#d9dde1"
"""What belongs to no scheme, grid lines, every other line of a chart, and places without data."""

SERIES = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8c6d31")
"""Colours of what is neither scheme nor outcome."""


@dataclass(frozen=True)
class Style:
    """Colour and marker of matplotlib."""

    colour: str
    marker: str


def scheme_style(scheme: str) -> Style:
    """Of a protection by its name, as it is declared; all unknown names look alike."""
    return Style(*look_of(scheme))


@dataclass(frozen=True)
class OutcomeStyle:
    """Colour and hatch of matplotlib, and how tables and charts name the outcome."""

    colour: str
    hatch: str
    label: str


OUTCOMES = {
    Outcome.MASKED: OutcomeStyle("#e9ecee", "", "masked"),
    Outcome.BENIGN: OutcomeStyle("#a9cfa0", "", "benign"),
    Outcome.SDC: OutcomeStyle("#c1121f", "", "SDC"),
    Outcome.DETECTED: OutcomeStyle("#f6ec3f", "..", "detected"),
    Outcome.HANG: OutcomeStyle("#a0694e", "////", "hang"),
    Outcome.BUS_ERROR: OutcomeStyle("#2f5d3a", "xx", "bus error"),
}
"""Every outcome of an upset, in the order of charts."""

LABELS = {outcome: style.label for outcome, style in OUTCOMES.items()}
"""How tables and charts name the outcomes."""
