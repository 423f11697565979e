"""Which outcomes of an upset a probability counts."""

from __future__ import annotations

from fitact_hw.faults import Outcome

FAILURE, EFFECT, SDC = "failure", "effect", Outcome.SDC.value

MEASURES: dict[str, frozenset[str]] = {
    **{outcome.value: frozenset((outcome.value,)) for outcome in Outcome},
    FAILURE: frozenset(o.value for o in Outcome if o not in (Outcome.MASKED, Outcome.BENIGN)),
    EFFECT: frozenset(o.value for o in Outcome if o is not Outcome.MASKED),
}
"""Name of a probability -> outcomes that count. ``failure``: no right answer in time; ``effect``: not masked."""
