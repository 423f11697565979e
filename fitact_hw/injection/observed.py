"""What a faulty run has left in registers that are no part of the state, and whether it can still matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fitact_hw.fsim.machine import MOST_HITS
from fitact_hw.isa import INSTRUCTION_BYTES
from fitact_hw.program import Program
from sim.engine.library import CLAMP_COUNT, Library

ERROR_CODE = "u_control.error_code_q"

FEW_HITS = 1 << 30
"""More than the outputs of any network."""


@dataclass(frozen=True)
class Observed:
    """Registers at the end of the run: ``cycles`` of the machine's counter, error ``code``, what buffer protection
    noticed, hits of the clamps that an alarm counted, and of the range check of parameters."""

    cycles: int
    code: int = 0
    detected: bool = False
    corrected_words: int = 0
    detected_words: int = 0
    clamp_hits: int = 0
    range_hits: int = 0


@dataclass(frozen=True, eq=False)
class Reach:
    """Bytes that the fault-free run still touches: ``first`` to ``last`` (int64) from each ``cycle`` (ascending) on.

    ``ahead``: address of the instruction behind the last one, which the fetch unit asks for if the window allows it.
    """

    cycle: np.ndarray
    first: np.ndarray
    last: np.ndarray
    ahead: int
    window: tuple[int, int]

    @staticmethod
    def of(program: Program, requests: np.ndarray, writes: np.ndarray) -> Reach:
        """``requests`` and ``writes`` as recorded by :class:`Library` (the latter's cycle and address)."""
        cycle = np.concatenate([requests["cycle"], writes["cycle"]]).astype(np.int64)
        first = np.concatenate([requests["address"], writes["address"]]).astype(np.int64)
        bus = np.full(len(writes), program.config.bus_bytes, np.int64)
        last = first + np.concatenate([requests["bytes"].astype(np.int64), bus]) - 1
        order = np.argsort(cycle, kind="stable")
        first = np.minimum.accumulate(first[order][::-1])[::-1]
        last = np.maximum.accumulate(last[order][::-1])[::-1]
        ahead = program.program_address + INSTRUCTION_BYTES * len(program.instructions)
        return Reach(cycle[order], first, last, ahead, (0, program.memory_bytes - 1))

    def allowed(self, cycle: int, base: int, last: int) -> bool:
        """Whether every check of an address after ``cycle`` gives the same result with the window ``base``..``last``.

        A row or instruction is checked before it is requested: what is requested before ``cycle`` was checked before.
        """
        if (base, last) == self.window:
            return True
        place = int(np.searchsorted(self.cycle, cycle))
        if place < len(self.cycle) and (self.first[place] < base or self.last[place] > last):
            return False
        return self._ahead_outside(base, last) == self._ahead_outside(*self.window)

    def _ahead_outside(self, base: int, last: int) -> bool:
        return self.ahead < base or self.ahead + INSTRUCTION_BYTES - 1 > last


def observe(library: Library, reach: Reach, end: int, clamp_hits: int) -> Observed | None:
    """The end of a faulty run whose state is now that of the fault-free run; None if only RTL can tell.

    ``end`` and ``clamp_hits``: cycles and hits of the fault-free run, to which those of layers that still differ are
    to be added. The run goes on like the fault-free one unless data that differ are on their
    way, the watchdog expires or an address falls out of the window.
    """
    if library.passing_matters:
        return None
    cycle = library.cycle
    left = end - cycle
    count, watchdog = library.value("u_control.cycles_q"), library.value("u_csr.watchdog_cycles_q")
    base, last = (library.value(f"u_csr.window_{name}_address_q") for name in ("base", "last"))
    hits = 0
    if library.config.clamp_alarm:
        hits = library.value(CLAMP_COUNT) + clamp_hits - library.clean_clamp_hits
        if hits > MOST_HITS - FEW_HITS:
            return None  # it may have reached its end, or reach it
    if (watchdog and count + left > watchdog) or not reach.allowed(cycle, base, last):
        return None
    return Observed(
        (count + left) % (1 << 64),
        library.value(ERROR_CODE),
        bool(library.value("u_csr.status_detected_q")),
        library.value("u_protection.g_corrects.corrected_count_q"),
        library.value("u_protection.detected_count_q"),
        hits,
        library.value("u_range_count.count_q"),
    )


def code_of(flips: Iterable[tuple[str, int, int]]) -> int | None:
    """The error code that the host reads after an upset of nothing else; None if ``flips`` strike other sites.

    Only the start of a program and an error write the register; the fault-free run leaves it at 0 (NONE).
    """
    code = 0
    for site, _, mask in flips:
        if site != ERROR_CODE:
            return None
        code ^= mask
    return code
