"""What is judged without the whole machine and in it must be judged alike."""

from __future__ import annotations

import numpy as np

from fitact_hw.faults import FaultEvent
from fitact_hw.injection.case import EngineError
from fitact_hw.injection.verdict import Mechanism, Verdict

AUDIT_SHARE = 0.01
"""Of the upsets that are judged without the whole machine, so many (chosen by their hash) are judged in it as well."""

_JUDGED = (
    *("outcome", "status", "code", "cycles", "violation", "detected", "corrected_words", "detected_words"),
    *("clamp_hits", "range_hits"),
)


def compare(event: FaultEvent, found: Verdict, rtl: Verdict) -> None:
    """Raises EngineError if RTL judges ``event`` otherwise than it was ``found``."""
    wrong = [name for name in _JUDGED if getattr(found, name) != getattr(rtl, name)]
    if not np.array_equal(found.logits, rtl.logits):
        wrong.append("logits")
    if wrong:
        way = "functional simulation" if found.mechanism is Mechanism.FUNCTIONAL else "behavioural array"
        raise EngineError(f"{event.id}: {way} and RTL differ in {', '.join(wrong)}: this is a defect, report it")
