"""Upsets of the array's control, as a behavioural array takes them.

Swaps and loads travel east, a column a cycle. One that is flipped on its way is wrong in the columns that it has not
reached yet. The array in C++ does all columns of a row at once (`array.h`), so such an upset strikes it when the
flipped
signal entered the row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PE = re.compile(r"u_array\.g_row\[(\d+)\]\.g_col\[(\d+)\]\.u_pe\.(swap|load)_q")
_SKEW = re.compile(r"u_array\.g_row\[(\d+)\]\.u_swap_skew\.g_line\.g_stage\[(\d+)\]\.stage_q")


@dataclass(frozen=True)
class Strike:
    """A swap (or ``load``) of ``row`` is wrong from ``column`` on.

    It is the one that the clock edge takes ``wait`` cycles after the cycle that lies ``ahead`` cycles before the upset.
    """

    row: int
    column: int
    load: bool
    ahead: int
    wait: int


def strike_of(site: str) -> Strike | None:
    """What an upset of the register at ``site`` is; None if it is no control of the array."""
    if found := _PE.fullmatch(site):
        row, column = int(found[1]), int(found[2])
        return Strike(row, column + 1, found[3] == "load", column + 1, 0)
    if found := _SKEW.fullmatch(site):
        row, stage = int(found[1]), int(found[2])
        return Strike(row, 0, False, 0, row - 1 - stage)
    return None
