"""Names and colours of the outcome classes in tables and charts."""

from __future__ import annotations

from fitact_hw.faults import Outcome

COLOURS = {
    Outcome.MASKED: "#b8c4cc",
    Outcome.BENIGN: "#7fb2d6",
    Outcome.SDC: "#d1495b",
    Outcome.DETECTED: "#edae49",
    Outcome.HANG: "#66418a",
    Outcome.BUS_ERROR: "#3c6e47",
}
"""One colour per outcome class, the same in every chart."""

LABELS = {outcome: outcome.value.replace("_", " ") for outcome in Outcome} | {Outcome.SDC: "SDC"}
"""How tables and charts name the outcome classes."""
