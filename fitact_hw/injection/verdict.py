"""What the engine finds out about an upset, and what that cost."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from fitact_hw.faults import Outcome
from sim.job import Status

STATUS = Path("/proc/self/status")


class Mechanism(str, Enum):
    """How an outcome was found; stored as ``way``."""

    DEAD = "dead"
    """The upset is never read: nothing was simulated."""
    FUNCTIONAL = "functional"
    """What the upset changes in a layer's output was computed without RTL, then the golden model; or it strikes only
    the error code, which nothing but the host reads."""
    RECONVERGED = "reconverged"
    """RTL until nothing that matters differed any more."""
    GOLDEN = "golden"
    """RTL until only layer outputs differed, then the golden model."""
    FULL = "full"
    """RTL to the end."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What one upset did: ``status``, ``code``, ``cycles`` and ``logits`` int64 (1, classes) as of a plain RTL run.

    ``mechanism``: how it was found; ``simulated_cycles``: RTL cycles from the upset until that was known (0 for
    collapsed ones); ``collapsed``: it is equivalent to another upset of the list, which was simulated. ``detected``,
    ``corrected_words``, ``detected_words``: what the buffers' protection noticed. ``clamp_hits``: of the whole run, as
    the clamps' alarm counts them; ``range_hits``: of the range check of parameters.
    """

    outcome: Outcome
    status: Status
    code: int
    cycles: int
    logits: np.ndarray
    violation: str
    mechanism: Mechanism
    simulated_cycles: int
    collapsed: bool = False
    detected: bool = False
    corrected_words: int = 0
    detected_words: int = 0
    clamp_hits: int = 0
    range_hits: int = 0


@dataclass
class Times:
    """Where the time goes, in seconds of wall clock, and the most memory that one process held, in bytes.

    ``audited``: upsets that were judged without the whole machine and in it, with the same verdict.
    """

    trace: float = 0.0
    states: float = 0.0
    faulty: float = 0.0
    judge: float = 0.0
    functional: float = 0.0
    golden: float = 0.0
    faulty_cycles: int = 0
    audited: int = 0
    peak_bytes: int = 0
    mechanisms: Counter[str] = field(default_factory=Counter)

    def note_memory(self) -> None:
        """Note the most memory that this process ever held (0 where the system does not tell).

        Not as `getrusage` has it: a new process starts there with the figure of the one that started it.
        """
        with contextlib.suppress(OSError):
            status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
            self.peak_bytes = 1024 * int(status.get("VmHWM", "0 kB").split()[0])

    @property
    def seconds(self) -> float:
        """All of them; ``judge`` is part of ``faulty``."""
        return self.trace + self.states + self.faulty + self.functional + self.golden

    def merge(self, other: Times) -> None:
        """Add the figures of another process."""
        for name in ("trace", "states", "faulty", "judge", "functional", "golden", "faulty_cycles", "audited"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        self.mechanisms.update(other.mechanisms)
