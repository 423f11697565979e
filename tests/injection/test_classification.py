"""Every combination of done, error code, flag and logits, and the outcome that it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fitact_hw.faults import HANG_FACTOR, Outcome, classify, hang_limits
from fitact_hw.registers import ErrorCode

REFERENCE = np.array([[3, 9, 9], [5, 1, -4]])
"""The first class of two equal maxima counts."""

LOGITS = {
    "same": (REFERENCE, Outcome.MASKED),
    "other values, same class": (np.array([[3, 9, 8], [5, 1, -4]]), Outcome.BENIGN),
    "a tie that the first class still wins": (np.array([[3, 9, 9], [5, 5, 5]]), Outcome.BENIGN),
    "a tie that an earlier class now wins": (np.array([[9, 9, 9], [5, 1, -4]]), Outcome.SDC),
    "one image of two": (np.array([[3, 9, 9], [5, 6, -4]]), Outcome.SDC),
    "both images": (np.array([[3, 8, 9], [5, 6, -4]]), Outcome.SDC),
}
CODES = {
    ErrorCode.ILLEGAL_INSTRUCTION: Outcome.DETECTED,
    ErrorCode.ADDRESS: Outcome.BUS_ERROR,
    ErrorCode.BUS: Outcome.BUS_ERROR,
    ErrorCode.BUFFER_RANGE: Outcome.DETECTED,
    ErrorCode.TOKEN_OVERFLOW: Outcome.DETECTED,
    ErrorCode.WATCHDOG: Outcome.HANG,
    ErrorCode.UNCORRECTED_WORD: Outcome.DETECTED,
}


def test_the_table_names_every_code() -> None:
    assert {ErrorCode.NONE, *CODES} == set(ErrorCode)


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("flag", [False, True])
def test_a_code_settles_it_whatever_else_there_is(logits: str, flag: bool) -> None:
    """Done or not, flag or not, logits or not; a code that no machine knows, left by an upset, was detected too."""
    known = {int(code): outcome for code, outcome in CODES.items()}
    for code, finished in itertools.product(range(1, 16), (False, True)):
        wanted = known.get(code, Outcome.DETECTED)
        assert classify(finished, code, LOGITS[logits][0], REFERENCE, flag) is wanted, (code, finished)


@pytest.mark.parametrize("logits", LOGITS)
def test_without_a_code(logits: str) -> None:
    """Never done is a hang, also with a raised flag; done with a flag is detected; else the logits say it."""
    values, outcome = LOGITS[logits]
    for flag in (False, True):
        assert classify(False, ErrorCode.NONE, values, REFERENCE, flag) is Outcome.HANG
    assert classify(True, ErrorCode.NONE, values, REFERENCE, True) is Outcome.DETECTED
    assert classify(True, ErrorCode.NONE, values, REFERENCE) is outcome
    assert classify(True, ErrorCode.NONE, values.reshape(2, 3, 1, 1), REFERENCE.reshape(2, 3, 1, 1)) is outcome


def test_limits_of_a_hang() -> None:
    """The watchdog expires at twice the fault-free cycles, the bench gives up half of that later."""
    assert HANG_FACTOR == 2
    assert [hang_limits(cycles) for cycles in (1, 7, 1000)] == [(2, 3), (14, 21), (2000, 3000)]
