"""The work of an experiment in pieces that any process can do."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fitact_hw.resilience.store import Row
from fitact_hw.resilience.subjects import FAULTY, Subject
from golden.bounds.stored import StoredBounds
from golden.data.dataset import DataSet
from golden.exact.evaluator import Evaluator
from golden.exact.fused import use_compiler
from golden.fault_maps import Memory, bound_segments, draw, stored_bounds
from golden.parameter_check import checked
from golden.qnetwork import QNetwork

Tick = Callable[[int], object]
"""Called with the number of image evaluations just done."""

Job = tuple[float, int]
"""Bit error rate and number of a fault map; rate 0 and map 0 for the fault-free network."""

CLEAN: Job = (0.0, 0)

COMPILE_AFTER_SECONDS = 60.0
"""Work of a process after which compiling pays."""


@dataclass(frozen=True)
class Group:
    """Jobs of one network that share its fault-free run, on the images from ``first`` to before ``stop``."""

    subject: Subject
    jobs: tuple[Job, ...]
    first: int
    stop: int

    @property
    def evaluations(self) -> int:
        """Image evaluations that are asked for."""
        return len(self.jobs) * (self.stop - self.first)


@dataclass(frozen=True)
class Outcome:
    """Rows of a group's jobs (for its images only), the network's fingerprint, and what the evaluation took."""

    group: Group
    rows: list[Row]
    network: str
    seconds: float


class Worker:
    """Evaluates groups; keeps the network that it evaluated last. ``seed`` is that of the fault maps."""

    def __init__(self, seed: int, images: DataSet) -> None:
        self._seed = seed
        self._images = images
        self._subject: Subject | None = None
        self._seconds = 0.0

    def __call__(self, group: Group, tick: Tick) -> Outcome:
        """Do the work of ``group``. Raises GoldenError if its network can't be loaded."""
        if self._subject is None or group.subject.key != self._subject.key:
            self._take(group.subject)
        memory = Memory(bounds=group.subject.memory == FAULTY)
        maps = [draw(self._qnet, rate, self._seed, index, memory, self._stored) for rate, index in group.jobs]
        check, seen = group.subject.check, maps
        if check is not None:
            seen = [checked(self._qnet, faults, check, self._stored)[0] for faults in maps]
        patches = [self._evaluator.patch_of(faults, self._stored) for faults in seen]
        part = slice(group.first, group.stop)
        labels = self._images.labels[part]
        start = time.monotonic()
        correct = self._evaluator.correct(self._words[part], labels, patches, tick)
        seconds = time.monotonic() - start
        if self._seconds < COMPILE_AFTER_SECONDS <= self._seconds + seconds:
            use_compiler(True)
        self._seconds += seconds
        rows = [
            replace(
                self._row,
                rate=faults.rate,
                map=faults.index,
                images=len(labels),
                correct=int(hits),
                weight_flips=faults.count("weight"),
                bias_flips=faults.count("bias", "shift"),
                bound_flips=faults.count("bound"),
            )
            for faults, hits in zip(maps, correct, strict=True)
        ]
        return Outcome(group, rows, self._network, seconds)

    def _take(self, subject: Subject) -> None:
        self._subject = None
        self._qnet, self._stored = subject.load()
        self._network = fingerprint(self._qnet, self._stored)
        self._evaluator, self._words = Evaluator(self._qnet), subject.words(self._qnet, self._images)
        bounds = stored_bounds(self._qnet) if self._stored is None else self._stored
        size = -(-sum(s.size for s in bound_segments(bounds)) // 8)
        self._row = Row(*subject.key, *CLEAN, 0, 0, 0, 0, 0, size)
        self._subject = subject


def fingerprint(qnet: QNetwork, stored: Mapping[str, StoredBounds] | None) -> str:
    """Short hash of everything that decides a network's results."""
    digest = hashlib.sha256(f"{qnet.word_bits} {qnet.acc_bits} {qnet.input_frac}".encode())
    for layer in qnet.layers:
        shape = (layer.kind, layer.kernel, layer.stride, layer.padding, layer.activation, layer.source)
        digest.update(
            repr((layer.name, shape, layer.residual and (layer.residual.source, layer.residual.lshift))).encode()
        )
        for array in (layer.weight, layer.bias, layer.shift, layer.bound):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    for name, bounds in (stored or {}).items():
        digest.update(f"{name} {bounds.bits} {bounds.base}".encode() + bounds.raw.tobytes())
    return digest.hexdigest()[:16]
