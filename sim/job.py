"""What a simulation is asked to do and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path

import numpy as np

from fitact_hw.faults import Upset
from fitact_hw.program import Program

NO_LIMIT_CYCLES = 1 << 40
"""Default of :attr:`Job.limit_cycles`: more than any run takes."""

EVERYTHING = "*"
"""Name in :attr:`Job.keep` that stands for the whole memory."""

STALL_CHANNELS = ("ar", "r", "aw", "w", "b")


@dataclass(frozen=True)
class MemoryModel:
    """Behaviour of the external memory; the same numbers always give the same cycles.

    Latencies in cycles from the address (the last data beat) to the first response; an interval is the least number
    of cycles from one data beat to the next; ``outstanding`` bursts per direction are accepted before the address
    channel stalls. ``stall_*`` is the chance in 256 that the channel pauses for a cycle. Bytes
    ``errors[0]..errors[1]`` answer SLVERR; bytes beyond the memory answer DECERR.
    """

    read_latency: int = 20
    write_latency: int = 10
    read_interval: int = 1
    write_interval: int = 1
    outstanding: int = 8
    reorder: bool = False
    seed: int = 1
    stall_ar: int = 0
    stall_r: int = 0
    stall_aw: int = 0
    stall_w: int = 0
    stall_b: int = 0
    errors: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if min(self.read_interval, self.write_interval, self.outstanding) < 1:
            raise ValueError("intervals and outstanding must be at least 1")
        if not all(0 <= getattr(self, f"stall_{name}") <= 255 for name in STALL_CHANNELS):
            raise ValueError("stalls are chances in 256, below 256")

    def options(self) -> list[int]:
        """The numbers of :data:`OPTIONS_DTYPE`."""
        numbers = [int(getattr(self, name)) for name in _SINGLE_OPTIONS]
        stalls = [int(getattr(self, f"stall_{name}")) for name in STALL_CHANNELS]
        return [*numbers, *stalls, *(self.errors or (1, 0))]


_SINGLE_OPTIONS = [
    item.name for item in fields(MemoryModel) if item.name != "errors" and not item.name.startswith("stall_")
]
OPTIONS_DTYPE = np.dtype(
    [
        *((name, np.uint64) for name in _SINGLE_OPTIONS),
        ("stall", np.uint64, len(STALL_CHANNELS)),
        ("error_first", np.uint64),
        ("error_last", np.uint64),
    ]
)
"""A memory model as memory.cpp takes it; no address answers SLVERR while ``error_first`` is above ``error_last``."""


@dataclass(frozen=True)
class WaveWindow:
    """Cycles ``first`` to ``last`` of a run are dumped into ``file`` (its suffix is set to .fst or .vcd)."""

    first: int
    last: int
    file: Path


@dataclass(frozen=True, eq=False)
class Job:
    """One run of one program.

    ``memory``: uint8 image at start (default: the program's). ``upsets`` are applied at the falling clock edge of their
    cycle. ``watchdog`` (cycles, 0: off) goes into the machine's register; at ``limit_cycles`` the test bench itself
    gives up. ``keep`` names the tensors whose bytes come back (default: the logits; ``EVERYTHING``: all memory).
    ``window``: first and last byte that the machine may access (default: the memory). ``halt_on_detect``: a machine
    with buffer protection halts at a word that it cannot correct, instead of going on with zero. ``alarm_threshold``:
    clamp hits from which a machine with an alarm of the clamps sets its flag (0: off).
    """

    program: Program
    memory: np.ndarray | None = None
    upsets: tuple[Upset, ...] = ()
    watchdog: int = 0
    limit_cycles: int = NO_LIMIT_CYCLES
    keep: tuple[str, ...] | None = None
    model: MemoryModel = MemoryModel()
    window: tuple[int, int] | None = None
    halt_on_detect: bool = False
    alarm_threshold: int = 0
    trace: bool = False
    waves: WaveWindow | None = None

    @property
    def image(self) -> np.ndarray:
        """The uint8 memory image at start."""
        return self.program.memory if self.memory is None else self.memory

    def regions(self) -> dict[str, tuple[int, int]]:
        """Name -> (address, bytes) of what is kept. Raises KeyError for an unknown tensor."""
        names = (self.program.logits,) if self.keep is None else self.keep
        result = {}
        for name in names:
            if name == EVERYTHING:
                result[name] = (0, int(self.image.size))
            else:
                placement = self.program.tensors[name]
                result[name] = (placement.address, placement.size_bytes)
        return result

    def fork_cycle(self) -> int:
        """First cycle in which this run differs from the fault-free one (or is to be dumped)."""
        cycles = [upset.cycle for upset in self.upsets]
        if self.waves:
            cycles.append(self.waves.first)
        return min(cycles, default=NO_LIMIT_CYCLES)


class Status(str, Enum):
    """How a run ended."""

    DONE = "done"
    ERROR = "error"
    TIMEOUT = "timeout"
    """No interrupt until the test bench gave up, or a register block that answers no more."""


TRACE_DTYPE = np.dtype([("cycle", np.int64), ("events", np.uint64)])
"""One entry of :attr:`RunResult.events`: bits as in :class:`sim.trace.Event`."""


@dataclass(frozen=True, eq=False)
class RunResult:
    """What one run did.

    ``code``: error code of the status register. ``cycles``: the machine's counter (start to done or error), for a
    timeout the cycle in which the test bench gave up. ``applied``: upsets that were reached before the end.
    ``detected``: the flag of the buffers' protection in the status register; ``corrected_words`` and
    ``detected_words``: its counters. ``clamp_hits``, ``clamp_first`` (compute instructions before the first hit, its
    lane), ``clamped`` and ``alarm``: registers and flags of the clamps' alarm; ``range_hits``: count of the range check
    of parameters. ``violation``: first breach of the AXI protocol, "" if none. ``regions``: name -> uint8 bytes at the
    end. ``seconds`` (wall), ``cpu_seconds`` and ``simulated_cycles``: of this run's own process,
    without the shared way to its first upset.
    """

    job: Job
    status: Status
    code: int
    cycles: int
    instructions: int
    applied: int
    read_beats: int
    write_beats: int
    violation: str
    seconds: float
    cpu_seconds: float
    simulated_cycles: int
    regions: dict[str, np.ndarray] = field(default_factory=dict)
    events: np.ndarray | None = None
    waves: Path | None = None
    detected: bool = False
    corrected_words: int = 0
    detected_words: int = 0
    clamp_hits: int = 0
    clamp_first: tuple[int, int] = (0, 0)
    clamped: bool = False
    alarm: bool = False
    range_hits: int = 0

    @property
    def cycles_per_second(self) -> float:
        """Simulation speed per CPU second, which other work on the machine disturbs least."""
        return self.simulated_cycles / self.cpu_seconds if self.cpu_seconds > 0 else 0.0

    def tensor(self, name: str) -> np.ndarray:
        """A kept tensor as int64 (images, channels, rows, columns). Raises KeyError if it was not kept."""
        placement = self.job.program.tensors[name]
        if name in self.regions:
            memory = np.zeros(placement.address + placement.size_bytes, np.uint8)
            memory[placement.address :] = self.regions[name]
            return placement.read(memory)
        return placement.read(self.regions[EVERYTHING])
