"""What one traced fault-free run of a program tells about all its runs; kept on disk beside the engine's build."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fitact_hw.injection.functional.judge import FunctionalProgram
from fitact_hw.injection.functional.order import Unsuitable
from fitact_hw.injection.memory_map import MemoryMap
from fitact_hw.injection.observed import Reach
from fitact_hw.program import Program
from golden.qnetwork import QNetwork
from golden.support.arrays import UNREADABLE
from golden.support.files import replacing
from sim.engine.access import AccessTrace
from sim.engine.layout import REQUEST_DTYPE
from sim.engine.library import Library
from sim.engine.tokens import TokenTrace
from sim.job import MemoryModel

GRID_CYCLES = 256
"""States are compared this often (cycles); doubled until a run has at most GRID_POINTS comparisons."""

LAYER_END_CYCLES = (-128, -64, -32, -16, -8, -4, 0, 3, 6, 9, 12, 16, 20)
"""And so long after the last write of every layer, or before it: while the next layer has not used what differs."""

GRID_POINTS = 8192

TRACES = "traces"
MOST_TRACES = 32
"""Traces kept beside one build; the oldest go first."""

VERSION = 1
"""Of the trace files' content."""

PLACE_DTYPE = np.dtype([("cycle", np.uint64), ("address", np.uint64)])


@dataclass(frozen=True, eq=False)
class Trace:
    """Recorded in a fault-free run: buffer accesses, token counters, read bursts (REQUEST_DTYPE) and writes of memory
    (PLACE_DTYPE)."""

    accesses: AccessTrace
    tokens: np.ndarray
    requests: np.ndarray
    writes: np.ndarray


@dataclass(frozen=True, eq=False)
class Facts:
    """What holds for every image of a program: control does not depend on data.

    ``points``: int64, cycles in which states are compared; ``boundary``: bool, those just after a layer; ``live``:
    uint64 (points, words64), the live buffer words in each; ``cycles``: of the whole run.
    """

    network: QNetwork
    program: Program
    accesses: AccessTrace
    tokens: TokenTrace
    memory: MemoryMap
    reach: Reach
    points: np.ndarray
    boundary: np.ndarray
    live: np.ndarray
    cycles: int

    @cached_property
    def functional(self) -> FunctionalProgram | Unsuitable:
        """What judges upsets of buffers without RTL, or why there is nothing of that kind."""
        try:
            if not self.memory.settled:
                raise Unsuitable("a layer reads words before they are final")
            if not self.countable:
                raise Unsuitable("the alarm counts hits in padding lanes of a bounded pool or residual layer")
            return FunctionalProgram(self.program, self.accesses)
        except Unsuitable as error:
            return error

    @cached_property
    def countable(self) -> bool:
        """Whether the golden model knows all hits that an alarm of the clamps counts: it has no padding lanes, whose
        words pools and residuals hand on."""
        config = self.program.config
        return not config.clamp_alarm or not any(
            layer.bound is not None
            and layer.out_shape[0] % config.side
            and (layer.kind != "conv" or layer.residual is not None)
            for layer in self.network.layers
        )

    @staticmethod
    def of(network: QNetwork, program: Program, trace: Trace, counters: Sequence[str]) -> Facts:
        """Everything that follows from a trace; ``counters``: :attr:`Library.tokens`."""
        accesses = trace.accesses
        cycles, grid = accesses.cycles, GRID_CYCLES
        while cycles // grid > GRID_POINTS:
            grid *= 2
        places = MemoryMap(network, program, accesses, trace.requests, trace.writes)
        boundary = {end + after for end in places.ends.values() for after in LAYER_END_CYCLES if end + after > 0}
        points = np.array(sorted(boundary.union(range(grid, cycles, grid))), np.int64)
        flags = np.isin(points, list(boundary))
        reach = Reach.of(program, trace.requests, trace.writes)
        tokens = TokenTrace.from_records(counters, trace.tokens)
        live = accesses.live_sets(points)
        return Facts(network, program, accesses, tokens, places, reach, points, flags, live, cycles)


def trace_path(library: Library, program: Program, model: MemoryModel) -> Path:
    """Where the trace of ``program`` is kept: named by everything that it depends on."""
    text = json.dumps([VERSION, program.fingerprint, model.options()])
    return library.folder / TRACES / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def read_trace(path: Path, library: Library) -> Trace | None:
    """The trace in ``path``; None if there is none or it is damaged."""
    try:
        with np.load(path) as data:
            keys = tuple(np.cumsum(data[f"keys{number}"]) for number in range(len(library.buffers)))
            tokens, requests, writes = data["tokens"], data["requests"], data["writes"]
            cycles = int(data["cycles"])
    except UNREADABLE:
        return None
    if requests.dtype != REQUEST_DTYPE or writes.dtype != PLACE_DTYPE:
        return None
    names, depths = zip(*((site.path, site.depth) for site in library.buffers), strict=True)
    return Trace(AccessTrace(names, depths, keys, cycles), tokens, requests, writes)


def write_trace(path: Path, trace: Trace) -> None:
    """Keep a trace; whole or not at all. A full disk or a folder that cannot be written costs time later, no result."""
    accesses = trace.accesses
    arrays = {f"keys{n}": np.diff(keys, prepend=np.uint64(0)) for n, keys in enumerate(accesses.keys)}
    arrays |= {"tokens": trace.tokens, "requests": trace.requests, "writes": trace.writes}
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays, cycles=np.int64(accesses.cycles))
        kept = sorted(path.parent.glob("*.npz"), key=lambda item: item.stat().st_mtime)
        for old in kept[:-MOST_TRACES]:
            old.unlink(missing_ok=True)
